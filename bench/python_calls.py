"""Times the calls of one cache from Python; run by python_bench.py, once for each cache and round.

usage: python_calls.py larder|diskcache|lru_cache|dict FOLDER VALUE_BYTES OPERATIONS

Prints {workload: microseconds of processor time an operation}. What a cache cannot do is left out.
"""
import functools
import json
import sys
import time


class Dict(dict):
    """A dict with a cache's words."""

    def set(self, key, value):
        self[key] = value

    def delete(self, key):
        return self.pop(key, None) is not None

    def incr(self, key):
        self[key] = self.get(key, 0) + 1


def opened(name: str, folder: str):
    if name == "larder":
        import larder

        return lambda: larder.Cache(folder)
    if name == "diskcache":
        import diskcache

        return lambda: diskcache.Cache(folder)
    return Dict


def main() -> None:
    name, folder, value_bytes, operations = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    open_it = opened(name, folder)
    value = b"v" * value_bytes
    keys = [f"key:{i:012d}" for i in range(operations)]
    times = {}

    def timed(workload, work, count=operations):
        began = time.process_time()
        work()
        times[workload] = (time.process_time() - began) / count * 1e6

    def each(call, *more):
        def work():
            for key in keys:
                call(key, *more)

        return work

    def memoized(function):
        def work():
            for _ in keys:
                function(3)

        return work

    def double(x):
        return x * 2

    if name == "lru_cache":
        function = functools.lru_cache(double)
        function(3)
        timed("memoize_hit", memoized(function))
        print(json.dumps(times))
        return
    cache = open_it()
    timed("set_new", each(cache.set, value))
    timed("set", each(cache.set, value))
    timed("get_hit", each(cache.get))
    timed("get_miss", lambda: [cache.get("no " + key) for key in keys])
    timed("contains", each(cache.__contains__))
    timed("iterate", lambda: [None for _ in cache])
    if hasattr(cache, "iterkeys"):
        timed("iterkeys", lambda: [None for _ in cache.iterkeys()])
    elif name == "larder":
        timed("iterkeys", lambda: [None for _ in cache.keys()])
    cache.set("n", 0)
    timed("incr", lambda: [cache.incr("n") for _ in keys])
    if name != "dict":
        function = cache.memoize()(double)
        function(3)
        timed("memoize_hit", memoized(function))
        cache.close()
        timed("open", lambda: [open_it().close() for _ in range(20)], 20)
        cache = open_it()
    timed("delete", each(cache.delete))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
