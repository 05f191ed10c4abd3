"""larder.Cache as a user meets it."""

import asyncio
import os
import pickle
import random
import subprocess
import sys
import threading
import time

import larder
import pytest


def test_as_a_dict(cache):
    assert len(cache) == 0 and "a" not in cache
    cache["a"] = 1
    assert cache["a"] == 1 and "a" in cache and len(cache) == 1
    del cache["a"]
    for missing in (lambda: cache["a"], lambda: cache.__delitem__("a")):
        with pytest.raises(KeyError, match="a"):
            missing()
    assert cache.get("a") is None and cache.get("a", 5) == 5 and cache.get("a", default=6) == 6


def test_set_and_its_kin(cache):
    assert cache.set("a", 1) is True
    assert cache.add("a", 2) is False and cache.add("b", 2) is True
    assert cache.replace("c", 3) is False and cache.replace("b", 3) is True
    assert [cache.get(key) for key in "abc"] == [1, 3, None]
    assert cache.pop("a") == 1 and cache.pop("a") is None and cache.pop("a", 9) == 9
    assert cache.delete("b") is True and cache.delete("b") is False
    assert cache.setdefault("d", []) == [] and cache.setdefault("d", 1) == []


def test_compare_and_set(cache):
    assert cache.compare_and_set("a", 0, 1)
    seen = cache.info("a").sequence
    assert not cache.compare_and_set("a", 0, 2)
    assert cache.compare_and_set("a", seen, 2) and not cache.compare_and_set("a", seen, 3)
    assert cache["a"] == 2


def test_expiry(cache):
    before = time.time()
    cache.set("a", 1, expire=100)
    assert before + 99 < cache.info("a").expires < time.time() + 101
    cache.set("b", 1, expire=0.05)
    cache.set("c", 1)
    assert cache.info("c").expires is None
    deadline = time.time() + 30
    while "b" in cache and time.time() < deadline:
        time.sleep(0.01)
    assert "b" not in cache and "a" in cache
    assert cache.touch("a") and cache.info("a").expires is None
    assert not cache.touch("b", 5)
    # Dead as soon as it is stored.
    cache.set("c", 2, expire=0)
    cache.set("d", 2, expire=-1)
    assert "c" not in cache and "d" not in cache
    with pytest.raises(ValueError, match="expire"):
        cache.set("a", 1, expire=float("nan"))
    with pytest.raises(TypeError):
        cache.set("a", 1, expire="soon")


def test_incr(cache):
    assert cache.incr("n") == 1 and cache.incr("n", 5) == 6 and cache.decr("n", 10) == -4
    assert cache["n"] == -4 and type(cache["n"]) is int
    assert cache.incr("from ten", default=10) == 11
    with pytest.raises(KeyError):
        cache.incr("none", default=None)
    cache.set("x", 1.5, expire=1000, tags=["t"])
    assert cache.incr("x", 0.5) == 2.0 and cache.info("x").tags == ("t",) and cache.info("x").expires > time.time() + 900
    cache["big"] = 2**63 - 1
    assert cache.incr("big") == 2**63 and cache.incr("big") == 2**63 + 1
    assert cache.decr("n", 2**70) == -4 - 2**70
    cache["text"] = "5 or so"
    with pytest.raises(TypeError, match="no number but str"):
        cache.incr("text")


def test_tags(cache):
    cache.set("a", 1, tags="red")
    cache.set("b", 2, tags=["red", "round"])
    cache.set("c", 3)
    assert cache.info("b").tags == ("red", "round") or set(cache.info("b").tags) == {"red", "round"}
    assert list(cache.keys(tag="red")) == ["a", "b"] and dict(cache.items(tag="round")) == {"b": 2}
    assert {tag: count for tag, (count, _) in cache.tag_stats().items()} == {"red": 2, "round": 1}
    cache.evict(tag="red")
    assert list(cache) == ["c"]
    for wrong in (5, [5], b"x"):
        with pytest.raises(TypeError):
            cache.set("a", 1, tags=wrong)


def test_evict_by_prefix_and_pattern(cache):
    cache.set_many({f"user:{i}": i for i in range(10)})
    cache["other"] = 1
    assert cache.evict(pattern="user:[0-4]") == 5 and cache.evict(prefix="user:") == 5
    assert list(cache) == ["other"]
    with pytest.raises(ValueError, match="clear"):
        cache.evict()
    assert cache.clear() == 1 and len(cache) == 0


def test_batches(cache):
    entries = {i: [i, str(i)] if i % 3 else i for i in range(1000)}
    cache.set_many(entries, expire=60, tags=["batch"])
    assert cache.get_many(range(1000)) == list(entries.values())
    assert cache.get_many(["none", 5], default=0) == [0, entries[5]]
    assert cache.info(7).tags == ("batch",)
    assert cache.delete_many(range(500, 2000)) == 500 and len(cache) == 500


def test_order_and_iteration_under_writes(cache):
    keys = [f"k{i}" for i in range(2500)]
    for key in keys:
        cache[key] = key
    assert list(cache) == keys and list(reversed(cache)) == keys[::-1]
    seen = []
    for number, key in enumerate(cache.keys()):
        seen.append(key)
        if number == 10:
            del cache["k2000"]
            cache["new"] = 1
    assert [key for key in seen if key != "new"] == [key for key in keys if key != "k2000"]
    assert [key for key, info in cache.infos(prefix="k249") if info.bytes == 5] == keys[2490:]
    assert list(cache.values(prefix="k1", pattern="k1?")) == [f"k1{i}" for i in range(10)]


def test_a_transaction_is_all_or_nothing(cache):
    cache["a"], cache["b"] = 10, 0

    def move(t):
        t.set("a", t.get("a") - 5)
        t.set("b", t.get("b") + 5, tags=["moved"])
        assert "b" in t and t.add("b", 1) is False and t.get("none", 7) == 7
        t.delete("nothing")
        return "moved"

    assert cache.transact(move) == "moved" and cache.get_many("ab") == [5, 5]

    def fail(t):
        t.set("a", 0)
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        cache.transact(fail)
    assert cache["a"] == 5
    kept = []
    cache.transact(kept.append)
    with pytest.raises(ValueError, match="over"):
        kept[0].get("a")


def test_threads_lose_nothing(cache):
    def work():
        for _ in range(500):
            cache.incr("n")
            cache.transact(lambda t: t.set("m", t.get("m", 0) + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache["n"] == 2000 and cache["m"] == 2000


def test_a_forked_child_goes_on(cache):
    cache["a"] = 1
    pid = os.fork()
    if pid == 0:
        try:
            ok = cache["a"] == 1
            for _ in range(100):
                cache.incr("n")
            os._exit(0 if ok else 1)
        finally:
            os._exit(2)
    for _ in range(100):
        cache.incr("n")
    assert os.waitpid(pid, 0)[1] == 0
    assert cache["n"] == 200


def test_other_processes_share_it(cache, directory):
    cache["a"] = {"from": "here"}
    done = subprocess.run(
        [sys.executable, "-c", "import larder, sys; c = larder.Cache(sys.argv[1]); c['b'] = [c['a'], 'back']",
         str(directory)], check=True, env=os.environ)
    assert done.returncode == 0 and cache["b"] == [{"from": "here"}, "back"]


def test_processes_by_spawn(cache, directory):
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        # The cache itself is pickled: by its directory.
        assert pool.map(cache.get, ["none"] * 4) == [None] * 4
    again = pickle.loads(pickle.dumps(cache))
    cache["x"] = 1
    assert again["x"] == 1 and again.directory == str(directory)


def test_settings(directory):
    cache = larder.Cache(directory, size_limit=32 << 20, policy="least-recently-used", durability="none")
    assert cache.options["size_limit"] == 32 << 20 and cache.options["policy"] == "least-recently-used"
    other = larder.Cache(directory)
    other.change(size_limit=16 << 20, policy="s3-fifo", durability="each", entry_limit=5000)
    assert cache.options["policy"] == "s3-fifo" and cache.options["size_limit"] == 16 << 20
    assert cache.options["entry_limit"] == 5000
    with pytest.raises(ValueError, match="policy is 'best', must be one of"):
        larder.Cache(directory, policy="best")
    with pytest.raises(larder.InvalidError):
        cache.change(size_limit=1)


def test_errors_are_built_in_kinds_too(cache, directory, tmp_path):
    with pytest.raises(larder.TooLargeError):
        cache["x" * 70_000] = 1
    with pytest.raises(FileNotFoundError, match="none"):
        larder.Cache(tmp_path / "none", create=False)
    reader = larder.Cache(directory, read_only=True)
    with pytest.raises(PermissionError):
        reader["a"] = 1
    cache.close()
    assert cache.closed
    with pytest.raises(ValueError, match="closed"):
        cache.get("a")
    with pytest.raises(TypeError, match="unknown argument 'colour'"):
        reader.set("a", 1, colour=1)
    with pytest.raises(TypeError, match="needs the argument 'value'"):
        reader.set("a")


def test_eviction_keeps_to_the_limit(directory):
    cache = larder.Cache(directory, size_limit=16 << 20)
    for i in range(5000):
        cache[i] = os.urandom(10_000)
    assert cache.volume <= 16 << 20 and 500 < len(cache) < 2000
    cache.set("kept", 1, pinned=True)
    assert cache.info("kept").pinned and cache.stats()["evictions"] > 3000


def test_check_and_backup(cache, directory, tmp_path):
    cache.set_many((i, "x" * 1000) for i in range(100))
    assert cache.check().findings == [] and cache.check().entries == 100
    told = []
    cache.backup(tmp_path / "copy", progress=lambda done, whole: told.append((done, whole)))
    assert len(larder.Cache(tmp_path / "copy")) == 100 and told

    def stop(done, whole):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        cache.backup(tmp_path / "other", progress=stop)
    assert not (tmp_path / "other").exists()


def test_large_values(cache):
    large = os.urandom(20 << 20)
    cache["large"] = large
    assert cache["large"] == large and cache.view("large") == large
    assert os.listdir(os.path.join(cache.directory, "blobs"))


def test_random_operations_as_a_dict(cache):
    dice = random.Random(3)
    twin = {}
    for step in range(20_000):
        key, value = dice.randrange(300), dice.choice([step, str(step), (step,), None])
        what = dice.randrange(7)
        if what < 3:
            cache[key] = twin[key] = value
        elif what == 3:
            assert cache.pop(key, "none") == twin.pop(key, "none")
        elif what == 4:
            assert cache.delete(key) == (twin.pop(key, cache) is not cache)
        elif what == 5:
            assert cache.add(key, value) == (key not in twin)
            twin.setdefault(key, value)
        else:
            assert cache.get(key, cache) == twin.get(key, cache)
    assert dict(cache.items()) == twin and len(cache) == len(twin)


def test_async(directory):
    async def use():
        async with larder.AsyncCache(directory) as cache:
            await cache.set("a", 1, expire=60)
            assert await cache.get("a") == 1 and await cache.incr("n", 5) == 5
            await asyncio.gather(*(cache.incr("n") for _ in range(50)))
            assert await cache.get("n") == 55
            assert [key async for key in cache.keys()] == ["a", "n"]
            assert await cache.delete("a")
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0)

            ticker = asyncio.ensure_future(tick())
            await cache.transact(lambda t: time.sleep(0.05))
            ticker.cancel()
            assert ticks > 10  # the loop went on

    asyncio.run(use())
