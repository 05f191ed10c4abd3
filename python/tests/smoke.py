"""What needs no pytest, for every Python from 3.8 on: python smoke.py"""

import doctest
import sys
import tempfile

import larder

assert doctest.testmod(larder).failed == 0
with larder.Cache(tempfile.mkdtemp() + "/cache") as cache:
    cache["a"] = [1, (2.5, "x")]
    assert cache["a"] == [1, (2.5, "x")]
    double = cache.memoize("double")(lambda x: x * 2)
    assert double(1) == double(1) == 2
    cache["b"] = b"x" * 100
    assert bytes(cache.view("b")) == b"x" * 100
    cache.transact(lambda t: t.set("c", t.get("b")))
    try:
        cache.transact(lambda t: 1 / 0)
        sys.exit("the exception is lost")
    except ZeroDivisionError:
        pass
    assert cache.info("c").bytes == 100 and [key for key in cache][-1] == "c"
    try:
        cache.set("x" * 100_000, 1)
        sys.exit("too long a key was taken")
    except larder.TooLargeError:
        pass
print(sys.version.split()[0], "fine")
