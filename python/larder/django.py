"""Larder as Django's cache (3.2 to 5).

    CACHES = {"default": {"BACKEND": "larder.django.LarderCache", "LOCATION": "/var/cache/mysite"}}

Django's own semantics of timeouts, versions, prefixes and key functions. OPTIONS are those of larder.Cache (size_limit,
policy, durability, ...). Values are kept by type and read by other languages; what has no rule is pickled, as Django's
other backends do with everything: OPTIONS {"allow_pickle": False} forbids it. ``tags=`` of set(), add() and set_many(),
and ``evict(tag)``, are beside what Django knows.
"""

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from .cache import Cache

_ABSENT = object()


class LarderCache(BaseCache):
    def __init__(self, location, params):
        super().__init__(params)
        options = {"allow_pickle": True, **params.get("OPTIONS", {})}
        # Django's own two, which say what it culls by itself; the engine does that better.
        for name in ("MAX_ENTRIES", "CULL_FREQUENCY", "max_entries", "cull_frequency"):
            options.pop(name, None)
        self._cache = Cache(location, **options)

    @property
    def cache(self):
        """The larder.Cache beneath."""
        return self._cache

    def _name(self, key, version):
        key = self.make_key(key, version=version)
        self.validate_key(key)
        return key

    def _expire(self, timeout):
        """Seconds to live, None for ever; not more than 0: dead at once."""
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout

    def get(self, key, default=None, version=None):
        return self._cache.get(self._name(key, version), default)

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None, tags=None):
        self._cache.set(self._name(key, version), value, self._expire(timeout), tags)

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None, tags=None):
        name, expire = self._name(key, version), self._expire(timeout)
        if expire is not None and expire <= 0:
            return name not in self._cache
        return self._cache.add(name, value, expire, tags)

    def touch(self, key, timeout=DEFAULT_TIMEOUT, version=None):
        return self._cache.touch(self._name(key, version), self._expire(timeout))

    def delete(self, key, version=None):
        return self._cache.delete(self._name(key, version))

    def has_key(self, key, version=None):
        return self._name(key, version) in self._cache

    def incr(self, key, delta=1, version=None):
        try:
            return self._cache.incr(self._name(key, version), delta, default=None)
        except KeyError:
            raise ValueError(f"Key {key!r} not found") from None

    def get_many(self, keys, version=None):
        keys = list(keys)
        values = self._cache.get_many([self._name(key, version) for key in keys], _ABSENT)
        return {key: value for key, value in zip(keys, values) if value is not _ABSENT}

    def set_many(self, data, timeout=DEFAULT_TIMEOUT, version=None, tags=None):
        expire = self._expire(timeout)
        names = {self._name(key, version): value for key, value in data.items()}
        if expire is not None and expire <= 0:
            self._cache.delete_many(names)
        else:
            self._cache.set_many(names, expire, tags)
        return []

    def delete_many(self, keys, version=None):
        self._cache.delete_many([self._name(key, version) for key in keys])

    def clear(self):
        self._cache.clear()

    def evict(self, tag):
        """All entries that were stored with the tag are gone at once, for everybody."""
        self._cache.evict(tag=tag)

    def memoize(self, name=None, *, timeout=DEFAULT_TIMEOUT, **options):
        """larder.Cache.memoize with Django's timeout."""
        return self._cache.memoize(name, expire=self._expire(timeout), **options)
