"""Every kind of value and key comes back as it was, equal keys have equal bytes, and hostile bytes are refused."""

import datetime
import decimal
import enum
import math
import random
import struct
import uuid
from fractions import Fraction

import larder
import pytest
from larder import _larder

UTC = datetime.timezone.utc
INDIA = datetime.timezone(datetime.timedelta(hours=5, minutes=30))

VALUES = [
    None, True, False, 0, 1, -1, 23, 24, -24, -25, 255, 256, 65535, 65536, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1,
    2**64, -2**63, -2**63 - 1, -2**64, -2**64 - 1, 10**5000, -10**5000, 0.0, -0.0, 1.5, 1e308, 5e-324, 0.1, math.inf,
    -math.inf, "", "a", "ü€😀", "a\r\nb\rc\n", "\0", "lone \ud800 one", b"", b"\0\xff", b"x" * 100_000, "ü" * 100_000,
    [], [1, [2, [3]]], (), (1,), (1, (2, (3,))), {}, {"a": 1, 2: "b", (3, None): [4]}, set(), {1, 2, 3},
    frozenset([1, (2, "x")]), {frozenset([1]): {2}}, bytearray(b"abc"), 1j, complex(math.inf, -0.0),
    datetime.datetime(2026, 11, 21, 18, 40, 35, 123456), datetime.datetime(2026, 11, 21, tzinfo=UTC),
    datetime.datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=INDIA), datetime.date(1, 1, 1), datetime.time(23, 59, 59, 999999),
    datetime.timedelta(-1, 5, 7), decimal.Decimal("1.50"), decimal.Decimal("-0"), decimal.Decimal("1E+100"),
    decimal.Decimal("-12345678901234567890.123456789"), decimal.Decimal("Infinity"), uuid.UUID(int=2**127 + 5),
    {"deep": [{"er": (1.5, None, {"x": b"y"})}]},
]


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, decimal.Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_comes_back_as_it_was(cache, value):
    cache["k"] = value
    assert same(cache["k"], value)
    cache["k"] = [value, {"in": value}]
    assert same(cache["k"], [value, {"in": value}])


def test_nan_is_a_value_and_a_key(cache):
    cache["k"] = math.nan
    assert math.isnan(cache["k"])
    cache[math.nan] = 1
    cache[float("nan")] = 2
    assert cache[math.nan] == 2 and len(cache) == 2


class Colour(enum.Enum):
    RED = "r"


class Shape(enum.IntEnum):
    ROUND = 1


def test_enums_by_opt_in(cache):
    for member in (Colour.RED, Shape.ROUND):
        with pytest.raises(TypeError, match="no rule writes .*(Colour|Shape)"):
            cache["k"] = member
    larder.register_enum(Colour)
    cache["k"] = [Colour.RED]
    assert cache["k"] == [Colour.RED]
    cache[Colour.RED] = 1
    assert cache[Colour.RED] == 1
    with pytest.raises(TypeError):
        larder.register_enum(int)


class Thing:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x


def test_pickle_only_where_allowed(cache, directory):
    with pytest.raises(TypeError, match="allow_pickle=True"):
        cache["k"] = Thing(1)
    with pytest.raises(TypeError, match="allow_pickle=True"):
        cache["k"] = {"a": [Fraction(1, 3)]}
    assert "k" not in cache
    trusting = larder.Cache(directory, allow_pickle=True)
    trusting["k"] = {"a": [Thing(1)]}
    assert trusting["k"] == {"a": [Thing(1)]}
    # Who does not trust reads nothing that could run code.
    with pytest.raises(ValueError, match="is a pickle"):
        cache["k"]


def test_numpy_arrays(cache):
    numpy = pytest.importorskip("numpy")
    for array in (numpy.arange(6).reshape(2, 3), numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
                  numpy.array([], dtype="f4"), numpy.array(5), numpy.array(["a", "bc"]),
                  numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), numpy.array(["2026-11-21"], dtype="M8[D]")):
        cache["k"] = array
        for back in (cache["k"], cache.view("k")):
            assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()
        cache["k"] = {"in": array}
        assert (cache["k"]["in"] == array).all()
    with pytest.raises(TypeError, match="no rule writes"):
        cache["k"] = numpy.array([object()])


def test_a_view_shows_shared_memory_and_stays(cache):
    numpy = pytest.importorskip("numpy")
    cache["k"] = numpy.arange(1000)
    view = cache.view("k")
    assert not view.flags.owndata and not view.flags.writeable
    cache["k"] = numpy.zeros(1000)
    cache["text"] = "text"
    text = cache.view("text")
    assert isinstance(text, memoryview) and text.readonly and bytes(text) == b"text"
    del cache["text"]
    cache.close()
    assert (view == numpy.arange(1000)).all() and bytes(text) == b"text"
    with pytest.raises(TypeError):
        text[0] = 1


KEYS = ["a", "ü", "", "x" * 60_000, b"a", b"", 1, -1, 2**100, 1.5, True, False, None, (), ("a",), ("a", 1), (("a",), 1),
        frozenset([1, 2]), datetime.date(2026, 1, 1), uuid.UUID(int=1), decimal.Decimal("1.5"), "lone \ud800",
        "\udcffraw", math.inf]


def test_keys_are_told_apart_and_come_back(cache):
    for number, key in enumerate(KEYS):
        cache[key] = number
    assert [cache[key] for key in KEYS] == list(range(len(KEYS)))
    back = list(cache)
    assert len(back) == len(KEYS) and all(type(a) is type(b) and a == b for a, b in zip(back, KEYS))


def test_text_keys_are_plain_bytes():
    assert _larder.key_bytes("user:ü") == "user:ü".encode()
    # What others wrote that is no UTF-8 can be named, too.
    assert _larder.key_object(b"\x80x") == "\udc80x" and _larder.key_bytes("\udc80x") == b"\x80x"


def test_equal_keys_have_equal_bytes():
    for one, other in [(1, 1.0), (0, -0.0), (2**70, float(2**70)), ((1, 2.0), (1.0, 2)),
                       (frozenset("abc"), frozenset("cba")), (("a", frozenset([1, 2])), ("a", frozenset([2.0, 1.0])))]:
        assert one == other and _larder.key_bytes(one) == _larder.key_bytes(other)
    # As in DiskCache, and unlike a dict: a truth value is no number.
    for one, other in [(True, 1), (False, 0), ("1", 1), ("a", b"a"), ((1,), 1), ((), None), ("None", None)]:
        assert _larder.key_bytes(one) != _larder.key_bytes(other)
    # However a dict was filled, and though its parts are kept in order as a value.
    assert _larder.key_bytes(({"a": 1, "b": 2},)) == _larder.key_bytes(({"b": 2, "a": 1},))
    ours = "x" * 3
    assert _larder.key_bytes(("a", ours, ours)) == _larder.key_bytes(("a", "xxx", "".join("xxx")))


def random_value(dice, depth=0):
    kind = dice.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return dice.choice([None, True, False])
    if kind == 1:
        return dice.randrange(-2**dice.randrange(1, 200), 2**dice.randrange(1, 200))
    if kind == 2:
        return struct.unpack("d", dice.randbytes(8))[0]
    if kind in (3, 4):
        return "".join(chr(dice.choice([65, 0xE9, 0x20AC, 0x1F600, 0xD800])) for _ in range(dice.randrange(20)))
    if kind == 5:
        return dice.randbytes(dice.randrange(300))
    parts = [random_value(dice, depth + 1) for _ in range(dice.randrange(6))]
    return parts if kind == 6 else tuple(parts) if kind == 7 else {str(i): part for i, part in enumerate(parts)}


def test_random_values():
    dice = random.Random(5)
    for _ in range(3000):
        value = random_value(dice)
        assert same(_larder.decode(*_larder.encode(value)), value)


def test_hostile_bytes_are_refused_or_read_but_never_more():
    dice = random.Random(7)
    good = _larder.encode([1, "two", (3.0, b"four"), {"five": {6}}, datetime.datetime.now(), decimal.Decimal("7"), 2**80])[0]
    refused = 0
    for _ in range(20_000):
        bad = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        bad = bad[:dice.randrange(len(bad) + 1)] if dice.random() < 0.3 else bad
        try:
            _larder.decode(bytes(bad), 4)
        except (ValueError, TypeError, OverflowError):  # TypeError: an unhashable key
            refused += 1
    assert refused > 5000
    for huge in (b"\x9b" + b"\xff" * 8, b"\xbb\x00\x00\x00\xff\xff\xff\xff\xff", b"\x5b\x7f" + b"\xff" * 7, b"\x81" * 10_000,
                 b"\xd9\x4c\x54\x9a\xff\xff\xff\xff", b"", b"\x1f", b"\xf8\x18"):
        with pytest.raises(ValueError, match="damaged"):
            _larder.decode(huge, 4)
    with pytest.raises(ValueError, match="format 15"):
        _larder.decode(b"", 15)
    with pytest.raises(ValueError, match="no integer"):
        _larder.decode(b"1x", 2)


def test_what_holds_itself_is_refused(cache):
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="holds itself"):
        cache["k"] = loop
    deep = 1
    for _ in range(190):
        deep = [deep]
    cache["k"] = deep
    assert cache["k"] == deep
