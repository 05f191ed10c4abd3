"""Django's cache API on both backends, and a small project with sessions and pages kept in it."""

import tempfile
import time

import pytest

django = pytest.importorskip("django")
from django.conf import settings  # noqa: E402

FOLDER = tempfile.TemporaryDirectory()
if not settings.configured:
    settings.configure(
        SECRET_KEY="not a secret", ALLOWED_HOSTS=["testserver"], ROOT_URLCONF=__name__, USE_TZ=True, DATABASES={},
        # cache_page takes hold of it at import; other tests set their own.
        CACHES={"default": {"BACKEND": "larder.django.LarderCache", "LOCATION": FOLDER.name + "/cache"}},
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"], INSTALLED_APPS=["django.contrib.sessions"])
    django.setup()

from django.core.cache import caches  # noqa: E402
from django.core.cache.backends.base import InvalidCacheKey  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402

calls = []


def count(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


@cache_page(60)
def page(request):
    calls.append(1)
    return HttpResponse(f"made {len(calls)}")


urlpatterns = [path("count", count), path("page", page)]


def backends(tmp_path):
    return {name: {"BACKEND": backend, "LOCATION": str(tmp_path / name), **more} for name, backend, more in [
        ("default", "larder.django.LarderCache", {"OPTIONS": {"size_limit": 32 << 20, "MAX_ENTRIES": 5}}),
        ("prefixed", "larder.django.LarderCache", {"KEY_PREFIX": "p", "VERSION": 2, "TIMEOUT": None}),
        ("strict", "larder.django.LarderCache", {"OPTIONS": {"allow_pickle": False}}),
        ("disk", "larder.diskcache.DjangoCache", {"SHARDS": 2})]}


@pytest.fixture(params=["default", "prefixed", "disk"])
def cache(request, tmp_path):
    with override_settings(CACHES=backends(tmp_path)):
        yield caches[request.param]


def test_djangos_own_words(cache):
    assert cache.get("a") is None and cache.get("a", 5) == 5
    cache.set("a", {"any": [1, (2,)]})
    assert cache.get("a") == {"any": [1, (2,)]} and "a" in cache and cache.has_key("a")
    assert cache.add("a", 1) is False and cache.add("b", 1) is True
    cache.set("none", None)
    assert cache.get("none", "default") is None
    assert cache.get_or_set("c", lambda: 7) == 7 == cache.get("c")
    assert cache.delete("c") is True and cache.delete("c") is False
    assert cache.incr("b") == 2 and cache.decr("b", 5) == -3
    for missing in (cache.incr, cache.decr, cache.incr_version):
        with pytest.raises(ValueError, match="not found"):
            missing("missing")
    assert cache.set_many({"x": 1, "y": 2}) in ([], None) and cache.get_many(["x", "y", "z"]) == {"x": 1, "y": 2}
    cache.delete_many(["x"])
    assert cache.get_many(["x", "y"]) == {"y": 2}
    cache.clear()
    assert cache.get("a") is None


def test_timeouts(cache):
    cache.set("gone", 1, timeout=0)
    cache.set("gone too", 1, timeout=-5)
    cache.set("ever", 1, timeout=None)
    cache.set("soon", 1, timeout=0.05)
    assert cache.get("gone") is None and cache.get("gone too") is None and cache.get("ever") == 1
    assert cache.touch("ever", 100) is True and cache.touch("gone") is False
    deadline = time.time() + 30
    while cache.get("soon") == 1 and time.time() < deadline:
        time.sleep(0.01)
    assert cache.get("soon") is None


def test_versions(cache):
    cache.set("k", 1, version=1)
    cache.set("k", 3, version=3)
    assert cache.get("k", version=1) == 1 and cache.get("k", version=3) == 3
    assert cache.incr_version("k", version=1) == 2 and cache.get("k", version=2) == 1 and cache.get("k", version=1) is None


def test_prefixes_share_a_directory(tmp_path):
    shared = {"BACKEND": "larder.django.LarderCache", "LOCATION": str(tmp_path / "shared")}
    with override_settings(CACHES={"default": {**shared, "KEY_PREFIX": "a"}, "other": {**shared, "KEY_PREFIX": "b"}}):
        caches["default"].set("k", 1)
        assert caches["other"].get("k") is None and caches["default"].cache.get("a:1:k") == 1


class Thing:
    pass


def test_tags_memoize_and_pickles(tmp_path):
    with override_settings(CACHES=backends(tmp_path)):
        cache = caches["default"]
        cache.set("a", 1, tags=["t"])
        cache.set_many({"b": 2}, tags=["t"])
        cache.evict("t")
        assert cache.get_many(["a", "b"]) == {}
        cache.set("thing", Thing())
        assert isinstance(cache.get("thing"), Thing)
        with pytest.raises(TypeError, match="allow_pickle"):
            caches["strict"].set("thing", Thing())
        assert cache.memoize("f", timeout=60)(lambda x: x + 1)(1) == 2
        with pytest.warns(Warning, match="memcached"):
            cache.set("a key with spaces", 1)
        assert InvalidCacheKey is not None
        disk = caches["disk"]
        disk.set("a", 1, tag="t")
        assert disk.get("a", tag=True) == (1, "t") and disk.evict("t") == 1 and disk.pop("a") is None
        f = disk.memoize(timeout=60)(lambda x: x + 1)
        assert f(1) == f(1) == 2 and disk.get(f.__cache_key__(1)) == 2
        disk.deque("d").append(1)
        assert list(disk.deque("d")) == [1] and disk.stats() == (0, 0)


def test_a_project_with_sessions_and_pages(tmp_path):
    calls.clear()
    with override_settings(CACHES=backends(tmp_path)):
        client, other = Client(), Client()
        assert [client.get("/count").content for _ in range(3)] == [b"1", b"2", b"3"]
        assert other.get("/count").content == b"1"
        assert client.get("/page").content == other.get("/page").content == b"made 1" and calls == [1]
