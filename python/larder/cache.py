"""larder.Cache: a directory that any number of threads and processes open at once and use as a dict."""

import os
import time
from collections import namedtuple

from . import _larder
from .codec import NPY, array_over
from .memoize import memoize as _memoize

Info = namedtuple("Info", "sequence stored expires bytes cost format pinned tags")
Report = namedtuple("Report", "findings entries repaired")

# Entries read at once while going through a cache: few at first, for those who want few.
_PAGE_FIRST, _PAGE_MOST = 100, 16_000


class Cache(_larder.Cache):
    """The cache in ``directory``, which is made when missing.

    Keys and values are what docs/format/values.md lists: None, bool, int, float, str, bytes, list, tuple, dict, set,
    datetime, Decimal, UUID, NumPy arrays, Arrow tables. Any thread may use it, a forked child, too.

    The settings count when the cache is made; who opens it later gets what is kept in the directory (``options``), and
    ``change()`` changes it for all.

    size_limit: bytes of all files together (1 GiB). policy: "s3-fifo", "least-recently-stored", "least-recently-used",
    "least-frequently-used" or "none". durability: when writes reach the disk for a power loss: "timed" (each
    ``flush_every_ms``), "each" or "none"; the death of a process loses nothing in any case.
    allow_pickle: whatever has no rule is pickled. Reading a pickle runs code: only where all who write are trusted.
    """

    def __init__(self, directory, *, size_limit=0, shards=0, durability="timed", flush_every_ms=0, policy="s3-fifo",
                 entry_limit=0, create=True, read_only=False, allow_pickle=False):
        path = os.path.expanduser(os.fspath(directory))
        self.allow_pickle = allow_pickle
        self._directory = path
        self._read_only = read_only
        self._open(path, size_limit, shards, durability, flush_every_ms, policy, entry_limit, create, read_only)

    @property
    def directory(self):
        """The path it was opened with."""
        return self._directory

    @property
    def closed(self):
        return self._closed()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"larder.Cache({self._directory!r})"

    def __reduce__(self):
        return _reopen, (type(self), os.path.abspath(self._directory), self._read_only, self.allow_pickle)

    # --- One entry ---

    def info(self, key):
        """What is known of the entry beside its value, or None. Times are seconds since 1970."""
        known = self._info(key)
        return None if known is None else Info(**known)

    def view(self, key):
        """The value's bytes as a read-only memoryview into shared memory, or None.

        They stay as they are while the view lives, whatever happens to the entry. That holds back the space they lie
        in: keep it for a moment. A NumPy array comes as an array over them.
        """
        found = self._view(key)
        if found is None:
            return None
        view, kind = found
        return array_over(view) if kind == NPY else view

    def compare_and_set(self, key, sequence, value, **options):
        """Sets only when the entry is the one with this ``info(key).sequence`` (0: when there is none)."""
        return self._compare_and_set(key, value, sequence=sequence, **options)

    def incr(self, key, delta=1, default=0):
        """Adds to a number and returns the sum; an absent one begins at ``default`` (None: KeyError).

        All else of the entry stays as it is. int of any size, or float.
        """
        if type(delta) is int and default == 0 and type(default) is int:
            try:
                return self._incr(key, delta)
            except (ValueError, OverflowError):
                pass  # a float, or beyond 64 bits
        while True:
            info = self.info(key)
            before = self.get(key, _ABSENT)
            if before is _ABSENT:
                if default is None:
                    raise KeyError(key)
                if self.add(key, default + delta):
                    return default + delta
                continue
            if type(before) not in (int, float):
                raise TypeError(f"larder: the value under {key!r} is no number but {type(before).__name__}")
            if info is None:
                continue
            rest = None if info.expires is None else info.expires - time.time()
            if self._compare_and_set(key, before + delta, sequence=info.sequence, expire=rest, tags=info.tags,
                                     cost=info.cost, pinned=info.pinned, keeps_place=True):
                return before + delta

    def decr(self, key, delta=1, default=0):
        return self.incr(key, -delta, default)

    def setdefault(self, key, default=None, **options):
        """The value under the key; when there is none, ``default``, which is set."""
        while True:
            value = self.get(key, _ABSENT)
            if value is not _ABSENT:
                return value
            if self.add(key, default, **options):
                return default

    # --- Many ---

    def set_many(self, entries, expire=None, tags=None):
        """Sets all of a mapping, or of pairs, in any order; each as atomic as set(), the whole not."""
        pairs = list(entries.items() if hasattr(entries, "items") else entries)
        self._set_many([key for key, _ in pairs], [value for _, value in pairs], expire, tags)

    def _pages(self, what, reverse, prefix, pattern, tag):
        place, size = 0, _PAGE_FIRST
        while True:
            place, rows = self._list(place, reverse, size, prefix, pattern, tag, what)
            yield from rows
            if place == 0:
                return
            size = min(size * 4, _PAGE_MOST)

    def keys(self, prefix="", pattern="", tag="", reverse=False):
        """The keys in the order in which they were stored; all that is given must apply.

        prefix and pattern (* ? [abc], as in a shell) are of keys that are text. What is written meanwhile is seen at
        its new place, at its old, or both; everything else exactly once.
        """
        return self._pages("keys", reverse, prefix, pattern, tag)

    def items(self, prefix="", pattern="", tag="", reverse=False):
        """(key, value) in one pass; see keys()."""
        return self._pages("items", reverse, prefix, pattern, tag)

    def infos(self, prefix="", pattern="", tag="", reverse=False):
        """(key, Info) without reading values; see keys()."""
        for key, known in self._pages("infos", reverse, prefix, pattern, tag):
            yield key, Info(**known)

    def values(self, **which):
        return (value for _, value in self.items(**which))

    def __iter__(self):
        return self.keys()

    def __reversed__(self):
        return self.keys(reverse=True)

    def evict(self, tag="", prefix="", pattern=""):
        """Removes the entries to which all that is given applies; how many.

        With nothing but a tag they are gone at once for every reader, however many they are (None is returned); they
        are removed as room is made.
        """
        if not tag and not prefix and not pattern:
            raise ValueError("larder: evict() needs a tag, a prefix or a pattern; all entries: clear()")
        if tag and not prefix and not pattern:
            return self._evict_tag(tag)
        return self._evict(prefix, pattern, tag)

    def transact(self, work, deadline=10.0):
        """Runs ``work(t)`` and returns what it returns; all that it wrote by ``t`` happens, or nothing.

        For readers in all processes and for the death of any. It is run again when others changed what it had read, so
        it should have no other effect. What it raises takes everything back. TimeoutError: others were always quicker.
        """
        return self._transact(work, round(deadline * 1000))

    # --- The whole cache ---

    def stats(self):
        """Numbers since the cache was made, over all processes, as a dict."""
        return self._stats()

    def tag_stats(self):
        """{tag: (entries, bytes)}."""
        return self._tag_stats()

    @property
    def options(self):
        """As kept in the directory, now."""
        return self._options()

    def change(self, size_limit=None, entry_limit=None, policy=None, durability=None, flush_every_ms=None):
        """Changes settings for all who have it open."""
        self._change(size_limit, entry_limit, policy, durability, flush_every_ms)

    @property
    def volume(self):
        """Bytes of all files."""
        return self._stats()["disk_bytes"]

    def check(self, repair=False):
        """Reads every file and every checksum; with repair, what is damaged goes. A healthy cache has no findings."""
        return Report(*self._check(repair))

    def backup(self, to, progress=None):
        """A copy in the new directory ``to`` of the cache at one moment, while all go on.

        progress(bytes_done, bytes_all) is called now and then; what it raises ends the copy and leaves nothing.
        """
        self._backup(os.fspath(to), progress)

    def memoize(self, name=None, *, expire=None, tags=None, typed=False, ignore=(), key=None, cache_if=None,
                source=False):
        """Remembers what a function returned, for all processes; see larder.memoize."""
        return _memoize(self, name, expire=expire, tags=tags, typed=typed, ignore=ignore, key=key, cache_if=cache_if,
                        source=source)


_ABSENT = object()


def _reopen(cls, directory, read_only, allow_pickle):
    return cls(directory, read_only=read_only, allow_pickle=allow_pickle, create=False)
