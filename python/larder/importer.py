"""Copies what a DiskCache directory holds, in the order in which it was stored, with expiry and tags."""

import os
import pickle
import sqlite3
import time
from collections import namedtuple
from pathlib import Path

from .diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_TEXT, Cache

Imported = namedtuple("Imported", "items expired pickled missing")

_PAGE = 500


def _databases(source):
    source = Path(os.path.expanduser(os.fspath(source)))
    if (source / "cache.db").is_file():
        return [source / "cache.db"]
    shards = sorted(source.glob("[0-9][0-9][0-9]/cache.db"))
    if not shards:
        raise ValueError(f"{source}: holds no cache.db, so it is no directory of DiskCache")
    return shards


def import_diskcache(source, target, trusted=False, progress=None):
    """Copies a DiskCache Cache or FanoutCache directory into ``larder.diskcache.Cache(target)``.

    The source is only read. Keys and values that are pickled are unpickled when ``trusted``, which runs code, else left
    out and counted. progress(done, all) is called now and then. An item that is there already is overwritten.
    """
    databases = _databases(source)
    counts = {"items": 0, "expired": 0, "pickled": 0, "missing": 0}
    connections = [sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) for path in databases]
    try:
        whole = sum(one.execute("SELECT count(*) FROM Cache").fetchone()[0] for one in connections)
        settings = dict(connections[0].execute("SELECT key, value FROM Settings WHERE key IN ('size_limit', "
                                               "'eviction_policy', 'cull_limit')"))
        if len(databases) > 1 and "size_limit" in settings:
            settings["size_limit"] = int(settings["size_limit"] * len(databases))
        done = 0
        with Cache(target, **settings) as cache:
            for path, connection in zip(databases, connections):
                for row in _rows(connection):
                    _copy(path.parent, row, cache, trusted, counts)
                    done += 1
                    if progress is not None and done % _PAGE == 0:
                        progress(done, whole)
        if progress is not None:
            progress(done, whole)
    finally:
        for connection in connections:
            connection.close()
    return Imported(**counts)


def _rows(connection):
    last = -1
    while True:
        rows = connection.execute("SELECT rowid, key, raw, expire_time, tag, mode, filename, value FROM Cache "
                                  "WHERE rowid > ? ORDER BY rowid LIMIT ?", (last, _PAGE)).fetchall()
        if not rows:
            return
        yield from rows
        last = rows[-1][0]


def _copy(folder, row, cache, trusted, counts):
    _, key, raw, expires, tag, mode, filename, value = row
    rest = None if expires is None else expires - time.time()
    if rest is not None and rest <= 0:
        counts["expired"] += 1
        return
    if not trusted and (not raw or mode == MODE_PICKLE):
        counts["pickled"] += 1
        return
    if filename is not None:
        try:
            content = (folder / filename).read_bytes()
        except FileNotFoundError:
            counts["missing"] += 1
            return
        value = content.decode("utf-8") if mode == MODE_TEXT else content
    if mode == MODE_PICKLE:
        value = pickle.loads(value)
    elif mode == MODE_BINARY and not isinstance(value, bytes):
        value = bytes(value)
    cache.set(key if raw else pickle.loads(key), value, expire=rest, tag=tag)
    counts["items"] += 1
