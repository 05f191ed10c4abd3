"""The cache for asyncio: hits are answered at once, whatever may wait goes to a thread."""

import asyncio
import functools

from .cache import Cache

_READS = ("get", "get_many", "info", "view", "stats", "options", "directory", "closed")
_SLOW = ("set", "add", "replace", "compare_and_set", "delete", "delete_many", "pop", "touch", "incr", "decr", "setdefault",
         "set_many", "evict", "clear", "cull", "flush", "tag_stats", "check", "backup", "change", "transact", "close")


class AsyncCache:
    """A Cache whose calls are awaited: ``await cache.get("a")``. Takes what Cache takes, or a Cache.

    Reads take no lock and less than a microsecond, so they are done on the loop. Writes may wait for a disk or for
    room, so they are done by the loop's executor; a call that is cancelled may still be carried out.
    """

    def __init__(self, directory, **options):
        self.cache = directory if isinstance(directory, Cache) else Cache(directory, **options)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def keys(self, **which):
        """Page by page, so that the loop goes on meanwhile."""
        async for row in self._pages("keys", **which):
            yield row

    async def items(self, **which):
        async for row in self._pages("items", **which):
            yield row

    async def _pages(self, what, prefix="", pattern="", tag="", reverse=False):
        place = 0
        loop = asyncio.get_running_loop()
        while True:
            place, rows = await loop.run_in_executor(
                None, functools.partial(self.cache._list, place, reverse, 1000, prefix, pattern, tag, what))
            for row in rows:
                yield row
            if place == 0:
                return

    def memoize(self, name=None, **options):
        return self.cache.memoize(name, **options)


def _inline(name):
    async def call(self, *args, **kwargs):
        found = getattr(self.cache, name)
        return found(*args, **kwargs) if callable(found) else found

    call.__name__ = name
    call.__doc__ = getattr(Cache, name).__doc__
    return call


def _threaded(name):
    async def call(self, *args, **kwargs):
        work = functools.partial(getattr(self.cache, name), *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(None, work)

    call.__name__ = name
    call.__doc__ = getattr(Cache, name).__doc__
    return call


for _name in _READS:
    setattr(AsyncCache, _name, _inline(_name))
for _name in _SLOW:
    setattr(AsyncCache, _name, _threaded(_name))
