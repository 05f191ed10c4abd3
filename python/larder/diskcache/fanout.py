"""FanoutCache: the engine has its shards inside, so this is a Cache with FanoutCache's words."""

import contextlib
import os.path as op
from functools import reduce

from .core import ENOVAL, Cache, Disk
from .persistent import Deque, Index


class FanoutCache(Cache):
    def __init__(self, directory=None, shards=8, timeout=0.010, disk=Disk, **settings):
        super().__init__(directory, timeout, disk, **settings)
        self._count = shards
        self._caches, self._deques, self._indexes = {}, {}, {}

    @contextlib.contextmanager
    def transact(self, retry=True):
        assert retry, "retry must be True in FanoutCache"
        with super().transact():
            yield

    def read(self, key):
        return super().read(key)

    def expire(self, retry=False):
        return super().expire()

    def reset(self, key, value=ENOVAL):
        return super().reset(key, value)

    def _sub(self, kind, name):
        return reduce(op.join, name.split("/"), op.join(self._directory, kind))

    def cache(self, name, timeout=60, disk=None, **settings):
        if name not in self._caches:
            self._caches[name] = Cache(self._sub("cache", name), timeout, disk or type(self._disk), **settings)
        return self._caches[name]

    def deque(self, name, maxlen=None):
        if name not in self._deques:
            self._deques[name] = Deque(directory=self._sub("deque", name), maxlen=maxlen)
        return self._deques[name]

    def index(self, name):
        if name not in self._indexes:
            self._indexes[name] = Index(self._sub("index", name))
        return self._indexes[name]

    def __getstate__(self):
        return self._directory, self._count, self._timeout, type(self._disk)

