"""Cache.memoize: which calls are one, what is kept, and for how long."""

import asyncio
import subprocess
import sys

import pytest


def counted(cache, **options):
    calls = []

    @cache.memoize(**options)
    def f(a, b=2, *rest, c=None, **more):
        calls.append((a, b, rest, c, more))
        return len(calls)

    return f, calls


def test_calls_are_bound_by_the_signature(cache):
    f, calls = counted(cache)
    assert f(1) == f(1, 2) == f(1, b=2) == f(b=2, a=1) == f(1, c=None) == 1
    assert f(1, 2, 3) == 2 and f(1, 2, c=3) == 3 and f(1, 2, x=3) == 4 and f(1, x=3, b=2) == 4
    # DiskCache takes these two for one.
    assert f("x", None, "a") == 5 and f("x", None, c="a") == 6
    assert len(calls) == 6


def test_a_none_is_kept(cache):
    calls = []

    @cache.memoize()
    def f():
        calls.append(1)

    assert f() is None and f() is None and len(calls) == 1


def test_typed(cache):
    f, _ = counted(cache)
    assert f(1) == f(1.0)
    g, _ = counted(cache, name="g", typed=True)
    assert g(1) != g(1.0) and g(a=[1]) != g(a=[1.0]) and g(1) == g(1)


def test_ignore_by_name_and_position(cache):
    f, _ = counted(cache, ignore=("b", "log"))
    assert f(1, 5) == f(1, 6) == f(1, b=7) == f(1, log=8)
    g, _ = counted(cache, name="g", ignore=(0,))
    assert g(1) == g(2) == g(a=3) and g(1, 5) != g(1)
    with pytest.raises(ValueError, match="no argument 'z' to ignore"):

        @cache.memoize(ignore=("z",))
        def h(a):
            return a


def test_key_and_cache_if(cache):
    f, _ = counted(cache, key=lambda a, **_: a % 10)
    assert f(1) == f(11) != f(2)
    calls = []

    @cache.memoize(cache_if=lambda result: result is not None)
    def g(x):
        calls.append(x)
        return x

    assert [g(None), g(None), g(1), g(1)] == [None, None, 1, 1] and calls == [None, None, 1]


def test_expire_tags_forget(cache):
    f, calls = counted(cache, expire=60, tags=["t"])
    f(1)
    info = cache.info(f.cache_key(1))
    assert info.tags == ("t",) and info.expires is not None and info.cost > 0
    assert f.forget(1) and not f.forget(1)
    f(1)
    cache.evict(tag="t")
    f(1)
    assert len(calls) == 3


def test_methods_and_large_arguments(cache):
    f, calls = counted(cache)
    assert f("x" * 100_000) == f("x" * 100_000) == 1 and f("y" * 100_000) == 2


def test_what_cannot_be_kept_is_said(cache):
    with pytest.raises(TypeError, match="generator"):

        @cache.memoize()
        def numbers():
            yield 1

    with pytest.raises(TypeError, match=r"@cache\.memoize\(\)"):

        @cache.memoize
        def f():
            pass


def test_async_functions(cache):
    calls = []

    @cache.memoize()
    async def f(x):
        calls.append(x)
        await asyncio.sleep(0)
        return x * 2

    async def use():
        assert await f(2) == 4 and await f(2) == 4 and await f(x=2) == 4

    asyncio.run(use())
    assert calls == [2] and asyncio.iscoroutinefunction(f)


def test_source(cache):
    def make(text, **options):
        names = {}
        exec(compile(text, "somewhere", "exec"), names)
        return cache.memoize("f", source=True)(names["f"])

    first = make("def f(x): return x + 1")
    assert first(1) == 2
    assert make("# moved\n\ndef f(x):\n    # and told\n    return x + 1").cache_key(1) == first.cache_key(1)
    assert make("def f(x): return x + 2")(1) == 3


def test_other_processes_find_it(cache, directory):
    program = ("import larder, sys\n"
               "@larder.Cache(sys.argv[1]).memoize('shared')\n"
               "def f(x): print('ran'); return frozenset([x])\n"
               "print(f((1, 'a')))")
    runs = [subprocess.run([sys.executable, "-c", program, str(directory)], check=True, capture_output=True, text=True)
            for _ in range(2)]
    assert runs[0].stdout.startswith("ran") and not runs[1].stdout.startswith("ran")
