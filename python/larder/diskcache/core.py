"""Cache, Disk and the words of DiskCache's core module, over larder.Cache."""

import functools
import io
import itertools
import json
import os
import os.path as op
import pickle
import pickletools
import tempfile
import threading
import time
import warnings
import zlib
from contextlib import contextmanager

from .. import _larder
from .. import cache as _cache
from ..errors import LarderError

__all__ = ["Cache", "Disk", "JSONDisk", "ENOVAL", "UNKNOWN", "Timeout", "DEFAULT_SETTINGS", "EVICTION_POLICY",
           "EmptyDirWarning", "UnknownFileWarning", "args_to_key", "full_name"]


class Constant(tuple):
    """A value that is told by its identity."""

    def __new__(cls, name):
        return tuple.__new__(cls, (name,))

    def __repr__(self):
        return str(self[0])


ENOVAL = Constant("ENOVAL")
UNKNOWN = Constant("UNKNOWN")
DBNAME = "cache.db"
MODE_NONE, MODE_RAW, MODE_BINARY, MODE_TEXT, MODE_PICKLE = range(5)

DEFAULT_SETTINGS = {
    "statistics": 0, "tag_index": 0, "eviction_policy": "least-recently-stored", "size_limit": 2**30, "cull_limit": 10,
    "sqlite_auto_vacuum": 1, "sqlite_cache_size": 2**13, "sqlite_journal_mode": "wal", "sqlite_mmap_size": 2**26,
    "sqlite_synchronous": 1, "disk_min_file_size": 2**15, "disk_pickle_protocol": pickle.HIGHEST_PROTOCOL,
}
METADATA = {"count": 0, "size": 0, "hits": 0, "misses": 0}
EVICTION_POLICY = {name: {"init": None, "get": None, "cull": None} for name in
                   ("none", "least-recently-stored", "least-recently-used", "least-frequently-used")}

_SIZE_LEAST = 16 << 20    # the engine's least limit
_SIZE_WITHOUT = 64 << 30  # for those that DiskCache never evicts from
_HIDDEN = "\0larder:queues"  # {prefix: [first number, last number]}
_MIDDLE = 500_000_000_000_000
_PICKLED = "\0larder:pickle"
_ABSENT = object()
_PLAIN_KEYS = frozenset([str, bytes, int, float])


class Timeout(Exception):
    """Others were always quicker."""


class UnknownFileWarning(UserWarning):
    pass


class EmptyDirWarning(UserWarning):
    pass


def full_name(function):
    return f"{function.__module__}.{function.__qualname__}"


def args_to_key(base, args, kwargs, typed, ignore=()):
    """The key of a call. The named arguments are a part of their own, so that no two calls have one key."""
    args = tuple(arg for index, arg in enumerate(args) if index not in ignore)
    named = tuple(sorted((name, value) for name, value in kwargs.items() if name not in ignore))
    key = (*base, args, named)
    if typed:
        key += (tuple(type(arg).__name__ for arg in args), tuple(type(value).__name__ for _, value in named))
    return key


class Disk:
    """How keys and values are kept. Subclass it to change that; what the methods give and take is DiskCache's.

    There are no value files: large values are the engine's business.
    """

    def __init__(self, directory, min_file_size=0, pickle_protocol=0):
        self._directory = directory
        self.min_file_size = min_file_size
        self.pickle_protocol = pickle_protocol

    def hash(self, key):
        return zlib.adler32(_larder.key_bytes(self.put(key)[0])) & 0xFFFFFFFF

    def put(self, key):
        if type(key) in (bytes, str, float) or (type(key) is int and -2**63 <= key < 2**63):
            return key, True
        return pickletools.optimize(pickle.dumps(key, protocol=self.pickle_protocol)), False

    def get(self, key, raw):
        return key if raw else pickle.loads(key)

    def store(self, value, read, key=UNKNOWN):
        if read:
            value = b"".join(iter(lambda: value.read(2**22), b""))
            return len(value), MODE_BINARY, None, value
        return 0, MODE_RAW, None, value

    def fetch(self, mode, filename, value, read):
        return io.BytesIO(value) if read and isinstance(value, bytes) else value

    def filename(self, key=UNKNOWN, value=UNKNOWN):
        name = os.urandom(16).hex() + ".val"
        relative = op.join(name[:2], name[2:4], name[4:])
        return relative, op.join(self._directory, relative)

    def remove(self, file_path):
        """There are no value files."""


class JSONDisk(Disk):
    """Keys and values as compressed JSON."""

    def __init__(self, directory, compress_level=1, **kwargs):
        self.compress_level = compress_level
        super().__init__(directory, **kwargs)

    def _pack(self, value):
        return zlib.compress(json.dumps(value).encode(), self.compress_level)

    def put(self, key):
        return super().put(self._pack(key))

    def get(self, key, raw):
        return json.loads(zlib.decompress(super().get(key, raw)))

    def store(self, value, read, key=UNKNOWN):
        return super().store(value if read else self._pack(value), read, key=key)

    def fetch(self, mode, filename, value, read):
        data = super().fetch(mode, filename, value, read)
        return data if read else json.loads(zlib.decompress(data))


def _tag_text(tag):
    if tag is None:
        return ()
    for kind, letter in ((str, "s"), (int, "i"), (float, "f")):
        if type(tag) is kind:
            return (letter + str(tag),)
    if type(tag) is bytes:
        return ("b" + tag.hex(),)
    raise TypeError(f"larder: a tag is a str, int, float, bytes or None, not {type(tag).__name__}")


def _tag_of(tags):
    if not tags:
        return None
    letter, text = tags[0][0], tags[0][1:]
    return {"s": str, "i": int, "f": float, "b": bytes.fromhex}[letter](text)


class _Overlay:
    """What a transact() block has read and written. Nothing of it is seen by others before it is committed."""

    def __init__(self, store):
        self.store = store
        self.seen = {}     # key bytes -> (key, sequence that was read; 0: none)
        self.written = {}  # key bytes -> (key, value or _ABSENT, options)

    def get(self, key, default=None):
        name = _larder.key_bytes(key)
        if name in self.written:
            value = self.written[name][1]
            return default if value is _ABSENT else value
        info = self.store.info(key)
        value = self.store.get(key, default)
        self.seen.setdefault(name, (key, 0 if info is None else info.sequence))
        return value

    def info(self, key):
        name = _larder.key_bytes(key)
        if name not in self.written:
            return self.store.info(key)
        _, value, options = self.written[name]
        if value is _ABSENT:
            return None
        expire = options.get("expire")
        return _cache.Info(0, time.time(), None if expire is None else time.time() + expire, 0, 0, 0, False,
                           options.get("tags") or ())

    def set(self, key, value, **options):
        self.written[_larder.key_bytes(key)] = key, value, options
        return True

    def delete(self, key):
        there = self.get(key, _ABSENT) is not _ABSENT
        self.written[_larder.key_bytes(key)] = key, _ABSENT, {}
        return there

    def changes(self):
        """(names of entries that are to go, keys of those that are to come)."""
        gone = {name for name, (key, value, _) in self.written.items() if value is _ABSENT and key in self.store}
        return gone, [key for key, value, _ in self.written.values() if value is not _ABSENT and key not in self.store]

    def commit(self):
        if not self.written:
            return

        def work(t):
            for key, sequence in self.seen.values():
                t.get(key)
                now = self.store.info(key)
                if (0 if now is None else now.sequence) != sequence:
                    raise Timeout(0)
            for key, value, options in self.written.values():
                if value is _ABSENT:
                    t.delete(key)
                else:
                    t.set(key, value, expire=options.get("expire"), tags=options.get("tags"))

        self.store.transact(work, 60.0)


class _Direct:
    """One step by itself, as a transaction of the engine that may be run again."""

    def __init__(self, t, store):
        self.get, self.delete, self.info = t.get, t.delete, store.info
        self._set = t.set

    def set(self, key, value, expire=None, tags=None, **_):
        self._set(key, value, expire=expire, tags=tags)
        return True


class Cache:
    """DiskCache's Cache: see larder.diskcache for what is different."""

    def __init__(self, directory=None, timeout=60, disk=Disk, **settings):
        if not (isinstance(disk, type) and issubclass(disk, Disk)):
            raise ValueError("disk must subclass diskcache.Disk")
        if directory is None:
            directory = tempfile.mkdtemp(prefix="diskcache-")
        directory = op.expandvars(op.expanduser(os.fspath(directory)))
        self._directory = directory
        self._timeout = 0  # until it is open
        os.makedirs(directory, 0o755, exist_ok=True)
        self._settings_path = op.join(directory, "larder.json")
        kept = self._kept_settings()
        self._settings = {**DEFAULT_SETTINGS, **kept, **settings}
        policy = self._settings["eviction_policy"]
        if policy not in EVICTION_POLICY:
            raise KeyError(policy)
        if kept != self._settings:
            self._keep_settings()
        self._disk = disk(directory, **{key[5:]: value for key, value in self._settings.items()
                                        if key.startswith("disk_")})
        self._plain = disk is Disk
        self._store = _cache.Cache(op.join(directory, "larder"), size_limit=self._limit(), policy=policy,
                                   allow_pickle=True)
        self._apply()
        self._local = threading.local()
        self._entering = threading.Lock()
        self._blocks = 0  # threads that are in one, so that the others need not look
        self._get, self._set, self._delete = self._store.get, self._store.set, self._store.delete
        self._timeout = timeout

    # --- Settings ---

    def _kept_settings(self):
        try:
            with open(self._settings_path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def _keep_settings(self):
        draft = f"{self._settings_path}.{os.getpid()}.{threading.get_ident()}"
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(self._settings, file)
        os.replace(draft, self._settings_path)

    def _limit(self):
        if self._settings["cull_limit"] == 0 or self._settings["eviction_policy"] == "none":
            return _SIZE_WITHOUT
        return min(max(int(self._settings["size_limit"]), _SIZE_LEAST), _SIZE_WITHOUT)

    def _apply(self):
        now = self._store.options
        change = {}
        if now["policy"] != self._settings["eviction_policy"]:
            change["policy"] = self._settings["eviction_policy"]
        if now["size_limit"] != self._limit():
            change["size_limit"] = self._limit()
        if change:
            self._store.change(**change)

    @property
    def directory(self):
        return self._directory

    @property
    def timeout(self):
        return self._timeout

    @property
    def disk(self):
        return self._disk

    def __getattr__(self, name):
        if not name.startswith("_"):
            if name in self._settings:
                return self._settings[name]
            if name in METADATA:
                stats = self._store.stats()
                return {"count": len(self), "size": stats["blob_bytes"], "hits": stats["hits"],
                        "misses": stats["misses"]}[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def reset(self, key, value=ENOVAL, update=True):
        if value is ENOVAL:
            self._settings.update(self._kept_settings())
            return getattr(self, key)
        if key == "eviction_policy" and value not in EVICTION_POLICY:
            raise KeyError(value)
        self._settings[key] = value
        if update:
            self._keep_settings()
        if key.startswith("disk_"):
            setattr(self._disk, key[5:], value)
        self._apply()
        return value

    # --- Keys and values ---

    def _key(self, key):
        """What the engine is given: the key itself, or its pickle where it is of no kind that the engine knows."""
        if not self._plain:
            db_key, raw = self._disk.put(key)
            return db_key if raw else (_PICKLED, db_key)
        try:
            _larder.key_bytes(key)
        except (TypeError, ValueError):
            return _PICKLED, pickletools.optimize(pickle.dumps(key, protocol=4))
        return key

    def _key_back(self, key):
        pickled = type(key) is tuple and len(key) == 2 and key[0] == _PICKLED
        if not self._plain:
            return self._disk.get(key[1], False) if pickled else self._disk.get(key, True)
        return pickle.loads(key[1]) if pickled else key

    def _value(self, key, value, read):
        if self._plain and not read:
            return value
        _, mode, filename, content = self._disk.store(value, read, key=key)
        return content if self._plain else (mode, filename, content)

    def _value_back(self, value, read=False):
        if not self._plain:
            mode, filename, content = value
            return self._disk.fetch(mode, filename, content, read)
        return io.BytesIO(value) if read and isinstance(value, bytes) else value

    @property
    def _view(self):
        """Where reads and writes go: the block of transact() that this thread is in, or the cache itself."""
        return getattr(self._local, "block", None) or self._store

    def _stepwise(self, work):
        """Runs work(view) as one step: within the block that this thread is in, or as a transaction."""
        block = getattr(self._local, "block", None)
        if block is not None:
            return work(block)
        try:
            return self._store.transact(lambda t: work(_Direct(t, self._store)), max(self._timeout, 10.0))
        except TimeoutError as error:
            raise Timeout(0) from error

    # --- One item ---

    def set(self, key, value, expire=None, read=False, tag=None, retry=False):
        if not self._blocks and self._plain and not read and type(key) in _PLAIN_KEYS:
            return self._set(key, value, expire, None if tag is None else _tag_text(tag), None, False, True)
        if read or not self._plain:
            value = self._value(key, value, read)
        view = self._view
        tags = None if tag is None else _tag_text(tag)
        try:
            return view.set(key if self._plain else self._key(key), value, expire=expire, tags=tags, keeps_place=True)
        except (TypeError, ValueError) as error:
            if isinstance(error, LarderError):
                raise
            return view.set(self._key(key), value, expire=expire, tags=tags, keeps_place=True)

    def __setitem__(self, key, value):
        self.set(key, value, retry=True)

    def add(self, key, value, expire=None, read=False, tag=None, retry=False):
        name, content, tags = self._key(key), self._value(key, value, read), _tag_text(tag)
        block = getattr(self._local, "block", None)
        if block is None:
            return self._store.add(name, content, expire=expire, tags=tags)
        if block.get(name, _ABSENT) is not _ABSENT:
            return False
        return block.set(name, content, expire=expire, tags=tags)

    def get(self, key, default=None, read=False, expire_time=False, tag=False, retry=False):
        if not self._blocks and self._plain and type(key) in _PLAIN_KEYS and not (read or expire_time or tag):
            return self._get(key, default)
        view = self._view
        name = self._key(key)
        info = view.info(name) if expire_time or tag else None
        value = view.get(name, _ABSENT)
        if value is _ABSENT:
            return self._with(default, None, expire_time, tag)
        return self._with(self._value_back(value, read), info, expire_time, tag)

    @staticmethod
    def _with(value, info, expire_time, tag):
        more = []
        if expire_time:
            more.append(info.expires if info else None)
        if tag:
            more.append(_tag_of(info.tags) if info else None)
        return (value, *more) if more else value

    def __getitem__(self, key):
        value = self.get(key, ENOVAL, retry=True)
        if value is ENOVAL:
            raise KeyError(key)
        return value

    def read(self, key, retry=False):
        handle = self.get(key, ENOVAL, read=True, retry=retry)
        if handle is ENOVAL:
            raise KeyError(key)
        return handle

    def __contains__(self, key):
        name = self._key(key)
        view = self._view
        return name in view if view is self._store else view.get(name, _ABSENT) is not _ABSENT

    def touch(self, key, expire=None, retry=False):
        name = self._key(key)
        block = getattr(self._local, "block", None)
        if block is None:
            return self._store.touch(name, expire)
        value = block.get(name, _ABSENT)
        if value is _ABSENT:
            return False
        return block.set(name, value, expire=expire, tags=block.info(name).tags)

    def incr(self, key, delta=1, default=0, retry=False):
        if not self._blocks and type(key) in _PLAIN_KEYS and self._plain and default == 0 and type(delta) is int:
            try:
                total = self._store._incr(key, delta, True)
                if total is not None:
                    return total
            except ValueError:
                pass  # beyond 64 bits
        name = self._key(key)
        block = getattr(self._local, "block", None)
        before = (block or self._store).get(name, _ABSENT)
        if before is _ABSENT and default is None:
            raise KeyError(key)
        if before is not _ABSENT and type(before) not in (int, float):
            raise TypeError(f"can't add {type(delta).__name__} to {type(before).__name__}")
        base = default if before is _ABSENT else before
        if type(base + delta) is int and not -2**63 <= base + delta < 2**63:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        if block is None:
            return self._store.incr(name, delta, default)
        info = block.info(name)
        rest = None if info is None or info.expires is None else info.expires - time.time()
        block.set(name, base + delta, expire=rest, tags=info.tags if info else None)
        return base + delta

    def decr(self, key, delta=1, default=0, retry=False):
        return self.incr(key, -delta, default, retry)

    def pop(self, key, default=None, expire_time=False, tag=False, retry=False):
        name = self._key(key)
        info = self._view.info(name) if expire_time or tag else None
        block = getattr(self._local, "block", None)
        if block is None:
            value = self._store.pop(name, _ABSENT)
        else:
            value = block.get(name, _ABSENT)
            block.delete(name)
        if value is _ABSENT:
            return self._with(default, None, expire_time, tag)
        return self._with(self._value_back(value), info, expire_time, tag)

    def delete(self, key, retry=False):
        if not self._blocks and self._plain and type(key) in _PLAIN_KEYS:
            return self._delete(key)
        return self._view.delete(self._key(key))

    def __delitem__(self, key, retry=True):
        if not self.delete(key):
            raise KeyError(key)

    # --- Queues: numbers as keys, from the middle to both sides ---

    @staticmethod
    def _number_key(prefix, number):
        return number if prefix is None else f"{prefix}-{number:015d}"

    def push(self, value, prefix=None, side="back", expire=None, read=False, tag=None, retry=False):
        if side not in ("back", "front"):
            raise KeyError(side)
        content, tags = self._value(UNKNOWN, value, read), _tag_text(tag)

        def work(view):
            ends = view.get(_HIDDEN, {})
            first, last = ends.get(prefix, (_MIDDLE, _MIDDLE - 1))
            number = last + 1 if side == "back" else first - 1
            ends[prefix] = (first, number) if side == "back" else (number, last)
            view.set(self._key(self._number_key(prefix, number)), content, expire=expire, tags=tags)
            view.set(_HIDDEN, ends)
            return self._number_key(prefix, number)

        return self._stepwise(work)

    def _end(self, view, prefix, side):
        """(key, value, info) at this end, or None; the ends without what is gone."""
        ends = view.get(_HIDDEN, {})
        if prefix not in ends:
            return None
        first, last = ends[prefix]
        changed = False
        while first <= last:
            number = first if side == "front" else last
            key = self._number_key(prefix, number)
            value = view.get(self._key(key), _ABSENT)
            if value is not _ABSENT:
                break
            first, last, changed = (first + 1, last, True) if side == "front" else (first, last - 1, True)
        else:
            del ends[prefix]
            view.set(_HIDDEN, ends)
            return None
        if changed:
            ends[prefix] = first, last
            view.set(_HIDDEN, ends)
        return key, value, view.info(self._key(key))

    def pull(self, prefix=None, default=(None, None), side="front", expire_time=False, tag=False, retry=False):
        return self._take(prefix, default, side, expire_time, tag, True)

    def peek(self, prefix=None, default=(None, None), side="front", expire_time=False, tag=False, retry=False):
        return self._take(prefix, default, side, expire_time, tag, False)

    def _take(self, prefix, default, side, expire_time, tag, remove):
        if side not in ("back", "front"):
            raise KeyError(side)

        def work(view):
            found = self._end(view, prefix, side)
            if found is not None and remove:
                view.delete(self._key(found[0]))
            return found

        found = self._stepwise(work)
        if found is None:
            return self._with(default, None, expire_time, tag)
        key, value, info = found
        return self._with((key, self._value_back(value)), info, expire_time, tag)

    def peekitem(self, last=True, expire_time=False, tag=False, retry=False):
        for key in self._names(reverse=last):
            value = self._store.get(key, _ABSENT)
            if value is not _ABSENT:
                return self._with((self._key_back(key), self._value_back(value)), self._store.info(key), expire_time, tag)
        raise KeyError("dictionary is empty")

    # --- All ---

    def _names(self, reverse=False, **which):
        kept = (key for key in self._store.keys(reverse=reverse, **which) if key != _HIDDEN)
        block = getattr(self._local, "block", None)
        if block is None or which:
            return kept
        gone, new = block.changes()
        kept = (key for key in kept if _larder.key_bytes(key) not in gone)
        new = [key for key in new if key != _HIDDEN]
        return itertools.chain(reversed(new), kept) if reverse else itertools.chain(kept, new)

    def __len__(self):
        count = len(self._store) - (_HIDDEN in self._store)
        block = getattr(self._local, "block", None)
        if block is None:
            return count
        gone, new = block.changes()
        return count - len(gone) + sum(1 for key in new if key != _HIDDEN)

    def __iter__(self):
        return map(self._key_back, self._names())

    def __reversed__(self):
        return map(self._key_back, self._names(reverse=True))

    def iterkeys(self, reverse=False):
        """In the order of SQLite: numbers, text, bytes, then pickled ones."""

        def order(key):
            kind = type(key)
            if kind in (int, float):
                return 0, key, 0
            if kind is str:
                return 1, key.encode("utf-8", "surrogatepass"), 0
            return (2, key, 1) if kind is bytes else (2, pickle.dumps(key, 0), 0)

        return iter(sorted(self, key=order, reverse=reverse))

    def expire(self, now=None, retry=False):
        if now is None:
            before = self._store.stats()["expirations"]
            self._store.cull()
            return self._store.stats()["expirations"] - before
        gone = [key for key, info in self._store.infos() if info.expires is not None and info.expires <= now]
        return self._store.delete_many(gone)

    def evict(self, tag, retry=False):
        if tag is None:
            return 0
        (text,) = _tag_text(tag)
        return self._store.delete_many(list(self._names(tag=text)))

    def cull(self, retry=False):
        return self._store.cull()

    def clear(self, retry=False):
        count = len(self)
        self._store.clear()
        return count

    def create_tag_index(self):
        self.reset("tag_index", 1)

    def drop_tag_index(self):
        self.reset("tag_index", 0)

    def stats(self, enable=True, reset=False):
        """(hits, misses) as they were before the call, counted while ``statistics`` was on."""
        now = self._store.stats()
        here = now["hits"], now["misses"]
        self._settings.update(self._kept_settings())
        past, since = self._settings.get("_counted", [0, 0]), self._settings.get("_since", list(here))
        if self._settings["statistics"]:
            past = [past[0] + here[0] - since[0], past[1] + here[1] - since[1]]
        self._settings["_counted"] = [0, 0] if reset else past
        self._settings["_since"] = list(here)
        self._settings["statistics"] = int(bool(enable))
        self._keep_settings()
        return tuple(past)

    def volume(self):
        return self._store.volume

    def check(self, fix=False, retry=False):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            for finding in self._store.check(repair=fix).findings:
                warnings.warn(finding, UnknownFileWarning, stacklevel=1)
        return found

    # --- Blocks and functions ---

    @contextmanager
    def transact(self, retry=False):
        """All of the block's writes happen, or none when it raises. Timeout: others wrote what it had read."""
        block = getattr(self._local, "block", None)
        if block is not None:
            yield  # within another, and a part of it
            return
        with self._entering:
            self._blocks += 1
        self._local.block = block = _Overlay(self._store)
        try:
            yield
        finally:
            self._local.block = None
            with self._entering:
                self._blocks -= 1
        block.commit()

    def memoize(self, name=None, typed=False, expire=None, tag=None, ignore=()):
        if callable(name):
            raise TypeError("name cannot be callable")

        def decorator(function):
            base = (full_name(function) if name is None else name,)

            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                key = wrapper.__cache_key__(*args, **kwargs)
                result = self.get(key, default=ENOVAL, retry=True)
                if result is ENOVAL:
                    result = function(*args, **kwargs)
                    if expire is None or expire > 0:
                        self.set(key, result, expire, tag=tag, retry=True)
                return result

            def cache_key(*args, **kwargs):
                return args_to_key(base, args, kwargs, typed, ignore)

            wrapper.__cache_key__ = cache_key
            return wrapper

        return decorator

    def close(self):
        """Nothing that the next call would have to open again: the mapping is shared by all threads."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getstate__(self):
        return self._directory, self._timeout, type(self._disk)

    def __setstate__(self, state):
        self.__init__(*state)
