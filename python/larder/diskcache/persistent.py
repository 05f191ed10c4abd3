"""Deque and Index: sequences and mappings in a cache that evicts nothing."""

import operator
from collections import OrderedDict
from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, Sequence, ValuesView
from contextlib import contextmanager

from .core import _HIDDEN, ENOVAL, Cache


def _compared(op):
    def compare(self, that):
        if not isinstance(that, Sequence):
            return NotImplemented
        if op in (operator.eq, operator.ne) and len(self) != len(that):
            return op is operator.ne
        for one, other in zip(self, that):
            if one != other:
                return op(one, other)
        return op(len(self), len(that))

    return compare


class _OnCache:
    """What both have of the cache beneath."""

    @property
    def cache(self):
        return self._cache

    @property
    def directory(self):
        return self._cache.directory

    @contextmanager
    def transact(self):
        with self._cache.transact(retry=True):
            yield


class Deque(_OnCache, Sequence):
    """A sequence that several processes push to and pop from at both ends."""

    def __init__(self, iterable=(), directory=None, maxlen=None):
        self._cache = Cache(directory, eviction_policy="none")
        self._maxlen = float("inf") if maxlen is None else maxlen
        self._extend(iterable)

    @classmethod
    def fromcache(cls, cache, iterable=(), maxlen=None):
        self = cls.__new__(cls)
        self._cache = cache
        self._maxlen = float("inf") if maxlen is None else maxlen
        self._extend(iterable)
        return self

    @property
    def maxlen(self):
        return self._maxlen

    @maxlen.setter
    def maxlen(self, value):
        self._maxlen = value
        while len(self) > self._maxlen:
            self.popleft()

    # Numbers of the items, first to last: a number whose item was removed from the middle is passed over.

    def _numbers(self):
        first, last = self._cache._view.get(_HIDDEN, {}).get(None, (0, -1))
        return (number for number in range(first, last + 1) if number in self._cache)

    def _number(self, index):
        index = operator.index(index)
        first, last = self._cache._view.get(_HIDDEN, {}).get(None, (0, -1))
        count = len(self)
        if index < -count or index >= count:
            raise IndexError("deque index out of range")
        if index < 0:
            index += count
        if last - first + 1 == count and first + index in self._cache:
            return first + index
        for number in self._numbers():
            if index == 0:
                return number
            index -= 1
        raise IndexError("deque index out of range")

    def __getitem__(self, index):
        return self._cache[self._number(index)]

    def __setitem__(self, index, value):
        self._cache[self._number(index)] = value

    def __delitem__(self, index):
        del self._cache[self._number(index)]

    def __len__(self):
        return len(self._cache)

    def __iter__(self):
        for number in self._numbers():
            value = self._cache.get(number, ENOVAL)
            if value is not ENOVAL:
                yield value

    def __reversed__(self):
        for number in reversed(list(self._numbers())):
            value = self._cache.get(number, ENOVAL)
            if value is not ENOVAL:
                yield value

    __eq__, __ne__ = _compared(operator.eq), _compared(operator.ne)
    __lt__, __gt__ = _compared(operator.lt), _compared(operator.gt)
    __le__, __ge__ = _compared(operator.le), _compared(operator.ge)
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        return f"{type(self).__name__}(directory={self.directory!r})"

    def __iadd__(self, iterable):
        self._extend(iterable)
        return self

    def append(self, value):
        with self._cache.transact():
            self._cache.push(value)
            if len(self) > self._maxlen:
                self.popleft()

    def appendleft(self, value):
        with self._cache.transact():
            self._cache.push(value, side="front")
            if len(self) > self._maxlen:
                self.pop()

    def _extend(self, iterable):
        for value in iterable:
            self.append(value)

    def extend(self, iterable):
        self._extend(iterable)

    def extendleft(self, iterable):
        for value in iterable:
            self.appendleft(value)

    def _taken(self, side, take):
        key, value = take(default=(None, ENOVAL), side=side)
        if value is ENOVAL:
            raise IndexError("pop from an empty deque" if take.__name__ == "pull" else "peek from an empty deque")
        return value

    def pop(self):
        return self._taken("back", self._cache.pull)

    def popleft(self):
        return self._taken("front", self._cache.pull)

    def peek(self):
        return self._taken("back", self._cache.peek)

    def peekleft(self):
        return self._taken("front", self._cache.peek)

    def clear(self):
        self._cache.clear()

    def copy(self):
        return type(self)(directory=self.directory, maxlen=self.maxlen)

    def count(self, value):
        return sum(1 for each in self if each == value)

    def remove(self, value):
        for number in self._numbers():
            if self._cache.get(number, ENOVAL) == value:
                del self._cache[number]
                return
        raise ValueError("deque.remove(value): value not in deque")

    def reverse(self):
        values = list(self)
        with self._cache.transact():
            for number, value in zip(list(self._numbers()), reversed(values)):
                self._cache[number] = value

    def rotate(self, steps=1):
        if not isinstance(steps, int):
            raise TypeError(f"type {type(steps).__name__} is not int")
        count = len(self)
        if count == 0:
            return
        steps %= count
        for _ in range(steps):
            with self._cache.transact():
                self._cache.push(self.pop(), side="front")

    def __getstate__(self):
        return self.directory, self.maxlen

    def __setstate__(self, state):
        directory, maxlen = state
        self.__init__(directory=directory, maxlen=None if maxlen == float("inf") else maxlen)


class Index(_OnCache, MutableMapping):
    """A mapping in the order of insertion."""

    def __init__(self, *args, **kwargs):
        directory = None
        if args and isinstance(args[0], (bytes, str)):
            directory, args = args[0], args[1:]
        elif args and args[0] is None:
            args = args[1:]
        if isinstance(directory, bytes):
            directory = directory.decode()
        self._cache = Cache(directory, eviction_policy="none")
        self.update(*args, **kwargs)

    @classmethod
    def fromcache(cls, cache, *args, **kwargs):
        self = cls.__new__(cls)
        self._cache = cache
        self.update(*args, **kwargs)
        return self

    def __getitem__(self, key):
        return self._cache[key]

    def __setitem__(self, key, value):
        self._cache[key] = value

    def __delitem__(self, key):
        del self._cache[key]

    def __contains__(self, key):
        return key in self._cache

    def get(self, key, default=None):
        return self._cache.get(key, default)

    def setdefault(self, key, default=None):
        while True:
            value = self._cache.get(key, ENOVAL)
            if value is not ENOVAL:
                return value
            if self._cache.add(key, default):
                return default

    def peekitem(self, last=True):
        return self._cache.peekitem(last)

    def pop(self, key, default=ENOVAL):
        value = self._cache.pop(key, ENOVAL)
        if value is not ENOVAL:
            return value
        if default is ENOVAL:
            raise KeyError(key)
        return default

    def popitem(self, last=True):
        while True:
            key, _ = self._cache.peekitem(last)
            value = self._cache.pop(key, ENOVAL)
            if value is not ENOVAL:
                return key, value

    def push(self, value, prefix=None, side="back"):
        return self._cache.push(value, prefix, side)

    def pull(self, prefix=None, default=(None, None), side="front"):
        return self._cache.pull(prefix, default, side)

    def clear(self):
        self._cache.clear()

    def __iter__(self):
        return iter(self._cache)

    def __reversed__(self):
        return reversed(self._cache)

    def __len__(self):
        return len(self._cache)

    def keys(self):
        return KeysView(self)

    def values(self):
        return ValuesView(self)

    def items(self):
        return ItemsView(self)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other):
        if not isinstance(other, Mapping) or len(self) != len(other):
            return False
        if isinstance(other, (Index, OrderedDict)):
            return all(one == two for one, two in zip(self.items(), other.items()))
        return all(self[key] == other.get(key, ENOVAL) for key in self)

    def __ne__(self, other):
        return not self == other

    def __repr__(self):
        return f"{type(self).__name__}({self.directory!r})"

    def memoize(self, name=None, typed=False, ignore=()):
        return self._cache.memoize(name, typed, ignore=ignore)

    def __getstate__(self):
        return self.directory

    def __setstate__(self, state):
        self.__init__(state)
