"""Functions whose results are kept in a cache.

A call's key is the name of the function and its arguments as its signature binds them: ``f(1, 2)``, ``f(1, b=2)`` and
``f(1)`` with a default of 2 are one call. Equal arguments have equal keys (docs/format/values.md).
"""

import functools
import hashlib
import inspect
import time

_ABSENT = object()
_KEY_BYTES_MOST = 60_000


def memoize(cache, name=None, *, expire=None, tags=None, typed=False, ignore=(), key=None, cache_if=None, source=False):
    """A decorator; ``@cache.memoize()``.

    name: instead of the function's own (module and qualified name). expire, tags: as Cache.set. typed: 1 and 1.0 are
    different arguments. ignore: names or positions of arguments that do not count. key(*args, **kwargs): what counts
    instead of the arguments. cache_if(result): whether to keep it. source: the function's own code counts, so that it
    runs anew once it is edited. The time that a call took is told the cache, which keeps dear results longer.

    Takes plain functions, methods, and ``async def`` functions. The wrapper has ``__wrapped__``,
    ``cache_key(*args, **kwargs)`` and ``forget(*args, **kwargs)``.
    """
    if callable(name):
        raise TypeError("larder: memoize takes its options first: write @cache.memoize()")

    def decorate(function):
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"larder: {function.__qualname__} gives a generator, which cannot be kept; return a list")
        call = _Call(function, name, typed, ignore, key, source)
        options = {"expire": expire, "tags": tags}
        lookup, call_name, arguments_of = cache._get_call, call.name, call.arguments
        positional = call.positional

        def look(args, kwargs):
            if not kwargs and len(args) == positional:
                return args, lookup(call_name, args, _ABSENT)
            bound = arguments_of(args, kwargs)
            return bound, lookup(call_name, bound, _ABSENT)

        def keep(bound, result, began):
            if cache_if is None or cache_if(result):
                cost = max(1, int((time.perf_counter() - began) * 1e6))
                cache.set(call.key(bound), result, cost=cost, **options)

        def again(bound):
            # Arguments too large for a key are known by their digest.
            digest_key = call.key(bound)
            return cache.get(digest_key, _ABSENT) if digest_key[-2:-1] == ("sha256",) else _ABSENT

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args, **kwargs):
                bound, result = look(args, kwargs)
                if result is _ABSENT:
                    result = again(bound)
                if result is _ABSENT:
                    began = time.perf_counter()
                    result = await function(*args, **kwargs)
                    keep(bound, result, began)
                return result

        else:

            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                if not kwargs and len(args) == positional:
                    bound = args
                else:
                    bound = arguments_of(args, kwargs)
                result = lookup(call_name, bound, _ABSENT)
                if result is not _ABSENT:
                    return result
                result = again(bound)
                if result is _ABSENT:
                    began = time.perf_counter()
                    result = function(*args, **kwargs)
                    keep(bound, result, began)
                return result

        wrapper.cache_key = lambda *args, **kwargs: call.key(arguments_of(args, kwargs))
        wrapper.forget = lambda *args, **kwargs: cache.delete(wrapper.cache_key(*args, **kwargs))
        return wrapper

    return decorate


class _Call:
    """What a call of one function is known by."""

    def __init__(self, function, name, typed, ignore, key, source):
        self.name = name or f"{function.__module__}.{function.__qualname__}"
        if source:
            self.name += " " + _code_digest(function)
        self._signature = inspect.signature(function)
        self._typed = typed
        self._key = key
        parameters = list(self._signature.parameters.values())
        self._ignored = self._ignored_names(function, parameters, ignore)
        # A call with exactly so many arguments and no names is bound already.
        simple = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
        self.positional = len(parameters) if simple and not typed and key is None and not self._ignored else -1

    @staticmethod
    def _ignored_names(function, parameters, ignore):
        names = [p.name for p in parameters]
        ignored = set()
        for one in (ignore,) if isinstance(ignore, (str, int)) else ignore:
            known = one in names or (isinstance(one, int) and 0 <= one < len(names))
            if not known and not any(p.kind == p.VAR_KEYWORD for p in parameters):
                raise ValueError(f"larder: {function.__qualname__} has no argument {one!r} to ignore; it has {names}")
            ignored.add(names[one] if isinstance(one, int) else one)
        return ignored

    def arguments(self, args, kwargs):
        if self._key is not None:
            return (self._key(*args, **kwargs),)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        parts = []
        for name, value in bound.arguments.items():
            if name in self._ignored:
                continue
            kind = self._signature.parameters[name].kind
            if kind == inspect.Parameter.VAR_KEYWORD:
                value = {k: v for k, v in value.items() if k not in self._ignored}
            parts.append(value)
        if self._typed:
            parts.append(tuple(_type_names(parts)))
        return tuple(parts)

    def key(self, bound):
        from . import _larder

        whole = (self.name, *bound)
        encoded = _larder.key_bytes(whole)
        if len(encoded) <= _KEY_BYTES_MOST:
            return whole
        return (self.name, "sha256", hashlib.sha256(encoded).digest())


def _type_names(value):
    for part in value:
        if isinstance(part, (tuple, list)):
            yield tuple(_type_names(part))
        elif isinstance(part, dict):
            yield tuple(_type_names(part.values()))
        else:
            yield type(part).__name__


def _code_digest(function):
    """Of what the function does, not of where it stands or what its comments say."""
    digest = hashlib.sha256()

    def add(code):
        digest.update(code.co_code)
        for part in (code.co_names, code.co_varnames, code.co_freevars):
            digest.update(repr(part).encode())
        for constant in code.co_consts:
            if hasattr(constant, "co_code"):
                add(constant)
            else:
                digest.update(repr(sorted(constant, key=repr) if isinstance(constant, frozenset) else constant).encode())

    add(inspect.unwrap(function).__code__)
    return digest.hexdigest()[:16]
