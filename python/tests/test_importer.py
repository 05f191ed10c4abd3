"""A DiskCache directory as DiskCache made it, read item for item."""

import os
import subprocess
import sys
import time

import pytest
from larder import diskcache as ours
from larder.importer import import_diskcache

theirs = pytest.importorskip("diskcache")

ITEMS = {"a": 1, b"b": b"bytes", 2.5: "text", ("t", 1): [1, (2,)], "large": b"x" * 100_000, "long": "y\n" * 50_000, "none": None}


@pytest.fixture(params=[theirs.Cache, theirs.FanoutCache], ids=["cache", "fanout"])
def source(request, tmp_path):
    cache = request.param(str(tmp_path / "from"), size_limit=2**28)
    for key, value in ITEMS.items():
        cache[key] = value
    cache.set("tagged", 1, expire=1000, tag="t")
    cache.set("dead", 1, expire=0.001)
    time.sleep(0.01)
    cache.close()
    return tmp_path / "from"


def test_everything_comes_along_when_trusted(source, tmp_path):
    told = []
    report = import_diskcache(source, tmp_path / "to", trusted=True, progress=lambda done, whole: told.append((done, whole)))
    assert (report.items, report.expired, report.pickled, report.missing) == (len(ITEMS) + 1, 1, 0, 0)
    assert told[-1] == (len(ITEMS) + 2, len(ITEMS) + 2)
    cache = ours.Cache(str(tmp_path / "to"))
    for key, value in ITEMS.items():
        assert cache[key] == value and type(cache[key]) is type(value)
    value, expires, tag = cache.get("tagged", expire_time=True, tag=True)
    assert (value, tag) == (1, "t") and time.time() + 900 < expires < time.time() + 1001
    assert "dead" not in cache and cache.size_limit == 2**28


def test_no_code_is_run_unless_trusted(source, tmp_path):
    report = import_diskcache(source, tmp_path / "to")
    # A tuple as a key, a list and a None as values are pickled.
    assert report.pickled == 2 and report.items == len(ITEMS) - 1
    assert ("t", 1) not in ours.Cache(str(tmp_path / "to"))


def test_what_is_no_diskcache_is_said(tmp_path):
    with pytest.raises(ValueError, match="no cache.db"):
        import_diskcache(tmp_path, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_on_the_command_line(source, tmp_path):
    done = subprocess.run([sys.executable, "-m", "larder", "import-diskcache", str(source), str(tmp_path / "to"), "--trusted"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert done.returncode == 0 and done.stdout.startswith(f"{len(ITEMS) + 1} items, 1 had expired, 0 pickled"), done.stderr
    assert done.stderr == ""
    done = subprocess.run([sys.executable, "-m", "larder", "import-diskcache", str(tmp_path), str(tmp_path / "x")],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert done.returncode == 1 and "holds no cache.db" in done.stderr and "Traceback" not in done.stderr
