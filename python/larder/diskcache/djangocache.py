"""DjangoCache: DiskCache's backend for Django, over FanoutCache."""

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from .core import ENOVAL
from .fanout import FanoutCache


class DjangoCache(BaseCache):
    def __init__(self, directory, params):
        super().__init__(params)
        self._cache = FanoutCache(directory, params.get("SHARDS", 8), params.get("DATABASE_TIMEOUT", 0.010),
                                  **params.get("OPTIONS", {}))

    @property
    def directory(self):
        return self._cache.directory

    def cache(self, name):
        return self._cache.cache(name)

    def deque(self, name, maxlen=None):
        return self._cache.deque(name, maxlen=maxlen)

    def index(self, name):
        return self._cache.index(name)

    def get_backend_timeout(self, timeout=DEFAULT_TIMEOUT):
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return -1 if timeout == 0 else timeout

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None, read=False, tag=None, retry=True):
        return self._cache.add(self.make_key(key, version), value, self.get_backend_timeout(timeout), read, tag, retry)

    def get(self, key, default=None, version=None, read=False, expire_time=False, tag=False, retry=False):
        return self._cache.get(self.make_key(key, version), default, read, expire_time, tag, retry)

    def read(self, key, version=None):
        return self._cache.read(self.make_key(key, version))

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None, read=False, tag=None, retry=True):
        return self._cache.set(self.make_key(key, version), value, self.get_backend_timeout(timeout), read, tag, retry)

    def touch(self, key, timeout=DEFAULT_TIMEOUT, version=None, retry=True):
        return self._cache.touch(self.make_key(key, version), self.get_backend_timeout(timeout), retry)

    def pop(self, key, default=None, version=None, expire_time=False, tag=False, retry=True):
        return self._cache.pop(self.make_key(key, version), default, expire_time, tag, retry)

    def delete(self, key, version=None, retry=True):
        return self._cache.delete(self.make_key(key, version), retry)

    def incr(self, key, delta=1, version=None, default=None, retry=True):
        try:
            return self._cache.incr(self.make_key(key, version), delta, default, retry)
        except KeyError:
            raise ValueError(f"Key '{key}' not found") from None

    def decr(self, key, delta=1, version=None, default=None, retry=True):
        return self.incr(key, -delta, version, default, retry)

    def has_key(self, key, version=None):
        return self.make_key(key, version) in self._cache

    def expire(self):
        return self._cache.expire()

    def stats(self, enable=True, reset=False):
        return self._cache.stats(enable=enable, reset=reset)

    def create_tag_index(self):
        self._cache.create_tag_index()

    def drop_tag_index(self):
        self._cache.drop_tag_index()

    def evict(self, tag):
        return self._cache.evict(tag)

    def cull(self):
        return self._cache.cull()

    def clear(self):
        return self._cache.clear()

    def close(self, **kwargs):
        self._cache.close()

    def memoize(self, name=None, timeout=DEFAULT_TIMEOUT, version=None, typed=False, tag=None, ignore=()):
        base = self._cache.memoize(name, typed, self.get_backend_timeout(timeout), tag, ignore)

        def decorator(function):
            made = base(function)

            def wrapper(*args, **kwargs):
                key = wrapper.__cache_key__(*args, **kwargs)
                result = self.get(key, ENOVAL, version, retry=True)
                if result is ENOVAL:
                    result = function(*args, **kwargs)
                    if self.get_backend_timeout(timeout) is None or self.get_backend_timeout(timeout) > 0:
                        self.set(key, result, timeout, version, tag=tag, retry=True)
                return result

            wrapper.__cache_key__, wrapper.__wrapped__ = made.__cache_key__, function
            return wrapper

        return decorator
