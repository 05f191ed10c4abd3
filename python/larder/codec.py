"""The kinds of values that are made in Python: docs/format/values.md names each with its bytes.

Nothing here runs code from the cache. Pickles do, so they are written and read only by a cache that was opened with
``allow_pickle=True``.
"""

import datetime
import decimal
import enum
import io
import pickle
import sys
import uuid

from . import _larder

PICKLE, ARROW, NPY = 5, 6, 7  # formats, beside those of python/src/values.h

# CBOR tags of IANA's registry, then our own.
_DATETIME, _DECIMAL, _UUID, _DATE = 0, 4, 37, 1004
_NAIVE, _TIME, _TIMEDELTA, _DECIMAL_TEXT, _COMPLEX, _BYTEARRAY, _ENUM, _ARRAY = (
    0x4C44, 0x4C6D, 0x4C64, 0x4C63, 0x4C7A, 0x4C62, 0x4C65, 0x4C6E)

_enums = {}


def register_enum(cls):
    """Lets members of this Enum be values and parts of keys; also as a decorator. Kept are its name and the value."""
    if not (isinstance(cls, type) and issubclass(cls, enum.Enum)):
        raise TypeError(f"larder: register_enum() takes an Enum class, not {cls!r}")
    _enums[f"{cls.__module__}.{cls.__qualname__}"] = cls
    return cls


def _reduce_decimal(number):
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or (sign and not any(digits)):
        return _DECIMAL_TEXT, str(number)  # NaN, infinity, minus zero
    mantissa = int("".join(map(str, digits)))
    return _DECIMAL, [exponent, -mantissa if sign else mantissa]


def _reduce_datetime(when):
    # An offset of whole minutes is all that RFC 3339 can say.
    offset = when.utcoffset()
    if offset is None:
        return _NAIVE, when.isoformat()
    if offset % datetime.timedelta(minutes=1):
        when = when.astimezone(datetime.timezone.utc)
    return _DATETIME, when.isoformat()


def _npy(array):
    import numpy

    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def _is_array(value):
    numpy = sys.modules.get("numpy")
    # Arrays of Python objects would need pickle.
    return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject


_REDUCERS = {
    datetime.datetime: _reduce_datetime,
    datetime.date: lambda day: (_DATE, day.isoformat()),
    datetime.time: lambda time: (_TIME, time.isoformat()) if time.tzinfo is None else None,
    datetime.timedelta: lambda span: (_TIMEDELTA, [span.days, span.seconds, span.microseconds]),
    decimal.Decimal: _reduce_decimal,
    uuid.UUID: lambda one: (_UUID, one.bytes),
    complex: lambda number: (_COMPLEX, [number.real, number.imag]),
    bytearray: lambda array: (_BYTEARRAY, bytes(array)),
}


def _reduce(value):
    """(tag, value) for what is made of other values; None: not known."""
    reducer = _REDUCERS.get(type(value))
    if reducer is not None:
        return reducer(value)
    if isinstance(value, enum.Enum):
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return (_ENUM, [name, value.value]) if _enums.get(name) is type(value) else None
    if _is_array(value):
        return _ARRAY, _npy(value)
    return None


def _iso_datetime(text):
    # datetime.fromisoformat takes what isoformat gives, but "Z" only since 3.11.
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def _restore_enum(pair):
    cls = _enums.get(pair[0])
    if cls is None:
        raise ValueError(f"larder: the stored value is a member of {pair[0]}; register_enum() that class first")
    return cls(pair[1])


def array_over(content):
    """The NumPy array whose .npy file the bytes are, over them. Takes no memory, whatever its header says."""
    import numpy

    header = io.BytesIO(content[:65536])
    version = numpy.lib.format.read_magic(header)
    read = numpy.lib.format.read_array_header_1_0 if version == (1, 0) else numpy.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(header)
    if dtype.hasobject:
        raise ValueError("larder: the stored array is one of Python objects")
    flat = numpy.frombuffer(content, dtype=dtype, offset=header.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _load_npy(content):
    return array_over(content).copy(order="A")


_RESTORERS = {
    _DATETIME: _iso_datetime,
    _NAIVE: _iso_datetime,
    _DATE: datetime.date.fromisoformat,
    _TIME: datetime.time.fromisoformat,
    _TIMEDELTA: lambda parts: datetime.timedelta(*parts),
    _DECIMAL: lambda parts: decimal.Decimal(
        (1 if parts[1] < 0 else 0, tuple(map(int, str(abs(parts[1])))), parts[0])),
    _DECIMAL_TEXT: decimal.Decimal,
    _UUID: lambda content: uuid.UUID(bytes=content),
    _COMPLEX: lambda parts: complex(*parts),
    _BYTEARRAY: bytearray,
    _ENUM: _restore_enum,
    _ARRAY: _load_npy,
}


def _restore(tag, value):
    restorer = _RESTORERS.get(tag)
    if restorer is None:
        raise ValueError(f"larder: the stored value has the CBOR tag {tag}, which this version does not know")
    try:
        return restorer(value)
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"larder: the stored value is damaged: CBOR tag {tag}: {error}") from error


def _whole(value):
    """(format, bytes) of a value that is more than CBOR when it is not part of another; else None."""
    if _is_array(value):
        return NPY, _npy(value)
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and isinstance(value, (arrow.Table, arrow.RecordBatch)):
        out = io.BytesIO()
        with arrow.ipc.new_stream(out, value.schema) as writer:
            writer.write(value)
        return ARROW, out.getvalue()
    return None


def _dump(value, cache):
    """(format, bytes) of a whole value for which there is no rule."""
    if getattr(cache, "allow_pickle", False):
        return PICKLE, pickle.dumps(value, protocol=4)
    raise TypeError(
        f"larder: no rule writes {type(value).__module__}.{type(value).__qualname__}, or something in it; make it of "
        "plain values (docs/format/values.md), or open the cache with allow_pickle=True if all who write to it are "
        "trusted")


def _load(format_number, content, cache):
    if format_number == NPY:
        return _load_npy(content)
    if format_number == ARROW:
        import pyarrow

        return pyarrow.ipc.open_stream(content).read_all()
    if format_number == PICKLE:
        if not getattr(cache, "allow_pickle", False):
            raise ValueError("larder: the stored value is a pickle, which may run any code; open the cache with "
                             "allow_pickle=True if all who write to it are trusted")
        return pickle.loads(content)
    raise ValueError(f"larder: the stored value has format {format_number}, which this version does not know")


_larder._set_hooks(_reduce, _restore, _whole, _dump, _load)
