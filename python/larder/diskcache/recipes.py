"""Averager, locks, throttle, barrier, memoize_stampede: made of entries, by small steps that nobody sees half of."""

import functools
import math
import os
import random
import threading
import time

from .core import ENOVAL, _tag_text, args_to_key, full_name

_SLEEP = 0.001


class Averager:
    def __init__(self, cache, key, expire=None, tag=None):
        self._cache, self._key, self._expire, self._tag = cache, key, expire, tag

    def add(self, value):
        def work(view):
            total, count = view.get(self._cache._key(self._key), (0.0, 0))
            _keep(self._cache, view, self._key, (total + value, count + 1), self._expire, self._tag)

        self._cache._stepwise(work)

    def get(self):
        total, count = self._cache.get(self._key, (0.0, 0))
        return None if count == 0 else total / count

    def pop(self):
        total, count = self._cache.pop(self._key, (0.0, 0))
        return None if count == 0 else total / count


def _keep(cache, view, key, value, expire, tag):
    view.set(cache._key(key), value, expire=expire, tags=_tag_text(tag))


class Lock:
    """Held by whoever added its key. One that its holder's death leaves behind ends with ``expire``."""

    def __init__(self, cache, key, expire=None, tag=None):
        self._cache, self._key, self._expire, self._tag = cache, key, expire, tag

    def acquire(self):
        while not self._cache.add(self._key, None, expire=self._expire, tag=self._tag, retry=True):
            time.sleep(_SLEEP)

    def release(self):
        self._cache.delete(self._key, retry=True)

    def locked(self):
        return self._key in self._cache

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


class RLock:
    """As Lock, for a thread that has it already, too."""

    def __init__(self, cache, key, expire=None, tag=None):
        self._cache, self._key, self._expire, self._tag = cache, key, expire, tag

    @staticmethod
    def _self():
        return f"{os.getpid()}-{threading.get_ident()}"

    def _step(self, allowed, change):
        def work(view):
            value, count = view.get(self._cache._key(self._key), (None, 0))
            if not allowed(value, count):
                return False
            _keep(self._cache, view, self._key, (self._self(), count + change), self._expire, self._tag)
            return True

        return self._cache._stepwise(work)

    def acquire(self):
        while not self._step(lambda value, count: count == 0 or value == self._self(), 1):
            time.sleep(_SLEEP)

    def release(self):
        released = self._step(lambda value, count: count > 0 and value == self._self(), -1)
        assert released, "cannot release un-acquired lock"

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


class BoundedSemaphore:
    def __init__(self, cache, key, value=1, expire=None, tag=None):
        self._cache, self._key, self._value, self._expire, self._tag = cache, key, value, expire, tag

    def _step(self, change):
        def work(view):
            value = view.get(self._cache._key(self._key), self._value) + change
            if not 0 <= value <= self._value:
                return False
            _keep(self._cache, view, self._key, value, self._expire, self._tag)
            return True

        return self._cache._stepwise(work)

    def acquire(self):
        while not self._step(-1):
            time.sleep(_SLEEP)

    def release(self):
        released = self._step(1)
        assert released, "cannot release un-acquired semaphore"

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


def throttle(cache, count, seconds, name=None, expire=None, tag=None, time_func=time.time, sleep_func=time.sleep):
    """At most ``count`` calls in ``seconds``; a call that comes too early sleeps."""

    def decorator(function):
        rate = count / float(seconds)
        key = full_name(function) if name is None else name
        cache.set(key, (time_func(), count), expire=expire, tag=tag, retry=True)

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            def work(view):
                now = time_func()
                last, tally = view.get(cache._key(key), (now, count))
                tally += (now - last) * rate
                if tally > count:
                    _keep(cache, view, key, (now, count - 1), expire, tag)
                    return 0
                if tally >= 1:
                    _keep(cache, view, key, (now, tally - 1), expire, tag)
                    return 0
                return (1 - tally) / rate

            while True:
                delay = cache._stepwise(work)
                if delay <= 0:
                    return function(*args, **kwargs)
                sleep_func(delay)

        return wrapper

    return decorator


def barrier(cache, lock_factory, name=None, expire=None, tag=None):
    """One at a time runs the function."""

    def decorator(function):
        key = full_name(function) if name is None else name
        lock = lock_factory(cache, key, expire=expire, tag=tag)

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with lock:
                return function(*args, **kwargs)

        return wrapper

    return decorator


def memoize_stampede(cache, expire, name=None, typed=False, tag=None, beta=1, ignore=()):
    """As memoize; a result is made anew, by one thread, before it expires: the dearer it is, the earlier.

    Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
    """

    def decorator(function):
        base = (full_name(function) if name is None else name,)

        def timed(*args, **kwargs):
            began = time.time()
            return function(*args, **kwargs), time.time() - began

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            key = wrapper.__cache_key__(*args, **kwargs)
            pair, expires = cache.get(key, default=ENOVAL, expire_time=True, retry=True)
            if pair is not ENOVAL:
                result, took = pair
                left = expires - time.time()
                if -took * beta * math.log(1.0 - random.random()) < left:
                    return result
                # One makes it anew meanwhile.
                if cache.add((*key, "again"), None, expire=max(took, _SLEEP), retry=True):
                    again = threading.Thread(
                        target=lambda: cache.set(key, timed(*args, **kwargs), expire=expire, tag=tag, retry=True))
                    again.daemon = True
                    again.start()
                return result
            pair = timed(*args, **kwargs)
            cache.set(key, pair, expire=expire, tag=tag, retry=True)
            return pair[0]

        def cache_key(*args, **kwargs):
            return args_to_key(base, args, kwargs, typed, ignore)

        wrapper.__cache_key__ = cache_key
        return wrapper

    return decorator
