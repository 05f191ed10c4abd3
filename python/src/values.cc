// CBOR (RFC 8949) with its deterministic rules for keys (section 4.2). Own code because no library builds Python
// objects from it without a copy between, and the time of a hit is mostly this.
#include "values.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace larder::python {

namespace {

constexpr int kDepthMost = 200;
constexpr char kTyped = '\xff';  // begins a key that is no text; no UTF-8 does, and no CBOR

enum Major : std::uint8_t { kUnsigned, kNegative, kByteString, kTextString, kArray, kMap, kTag, kSimple };
constexpr std::uint8_t kFalse = 0xf4, kTrue = 0xf5, kNull = 0xf6, kDouble = 0xfb;
constexpr std::uint64_t kBigPositive = 2, kBigNegative = 3;  // RFC 8949, 3.4.3
constexpr std::uint64_t kSet = 258;                          // IANA's registry of CBOR tags
constexpr std::uint64_t kWtf8 = 273;                         // text with lone surrogates
// Our own, from the range that is served first come: an array that is a tuple, a set that is frozen.
constexpr std::uint64_t kTuple = 0x4c54, kFrozenSet = 0x4c46;

void head(std::string& out, Major major, std::uint64_t n) {
  const auto first = static_cast<std::uint8_t>(major << 5);
  char bytes[9];
  int size = 0;
  const auto big_endian = [&](int count) {
    for (int i = 0; i < count; ++i) bytes[1 + i] = static_cast<char>(n >> 8 * (count - 1 - i));
    size = 1 + count;
  };
  if (n < 24) {
    bytes[0] = static_cast<char>(first | n);
    size = 1;
  } else if (n <= 0xff) {
    bytes[0] = static_cast<char>(first | 24);
    big_endian(1);
  } else if (n <= 0xffff) {
    bytes[0] = static_cast<char>(first | 25);
    big_endian(2);
  } else if (n <= 0xffffffff) {
    bytes[0] = static_cast<char>(first | 26);
    big_endian(4);
  } else {
    bytes[0] = static_cast<char>(first | 27);
    big_endian(8);
  }
  out.append(bytes, static_cast<std::size_t>(size));
}

// --- Writing ---------------------------------------------------------------------------------------------------------

class Writer {
 public:
  Writer(std::string& out, bool canonical) : out_(out), canonical_(canonical) {}

  // False: a Python error is set. TypeError: `unknown()` is what no rule knows.
  bool put(PyObject* object) {
    PyTypeObject* const type = Py_TYPE(object);
    if (object == Py_None) return byte(kNull);
    if (object == Py_True) return byte(kTrue);
    if (object == Py_False) return byte(kFalse);
    if (type == &PyLong_Type) return put_integer(object);
    if (type == &PyFloat_Type) return put_float(PyFloat_AsDouble(object));
    if (type == &PyUnicode_Type) return put_text(object);
    if (type == &PyBytes_Type) return put_bytes(object);
    if (++depth_ > kDepthMost) {
      PyErr_SetString(PyExc_ValueError, "larder: the object is nested more than 200 deep, or holds itself");
      return false;
    }
    const bool done = put_container(object, type);
    --depth_;
    return done;
  }
  bool met_unknown() const { return met_unknown_; }

 private:
  bool byte(std::uint8_t value) {
    out_ += static_cast<char>(value);
    return true;
  }

  bool put_integer(PyObject* object) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
      if (number >= 0)
        head(out_, kUnsigned, static_cast<std::uint64_t>(number));
      else
        head(out_, kNegative, ~static_cast<std::uint64_t>(number));
      return true;
    }
    return put_big(object, overflow < 0);
  }

  bool put_big(PyObject* object, bool negative) {
    // -1 - n, as RFC 8949 has it.
    const Ref magnitude(negative ? PyNumber_Invert(object) : Ref::to(object).release());
    if (!magnitude) return false;
    const Ref bits(PyObject_CallMethod(magnitude.get(), "bit_length", nullptr));
    if (!bits) return false;
    const Py_ssize_t size = (PyLong_AsSsize_t(bits.get()) + 7) / 8;
    const Ref text(PyObject_CallMethod(magnitude.get(), "to_bytes", "ns", size, "big"));
    if (!text) return false;
    if (size <= 8) {
      // From 2^63 to 2^64: still no big number to CBOR.
      head(out_, negative ? kNegative : kUnsigned, PyLong_AsUnsignedLongLong(magnitude.get()));
      return true;
    }
    head(out_, kTag, negative ? kBigNegative : kBigPositive);
    return put_bytes(text.get());
  }

  bool put_float(double number) {
    if (canonical_) {
      // 1.0 == 1 and -0.0 == 0, so they are one key; all that is not a number is one, too.
      if (number == std::floor(number) && std::abs(number) < 0x1p63) {
        const auto whole = static_cast<std::int64_t>(number);
        if (whole >= 0)
          head(out_, kUnsigned, static_cast<std::uint64_t>(whole));
        else
          head(out_, kNegative, ~static_cast<std::uint64_t>(whole));
        return true;
      }
      if (std::isnan(number))
        number = std::numeric_limits<double>::quiet_NaN();
      else if (std::isfinite(number) && number == std::floor(number)) {
        const Ref whole(PyLong_FromDouble(number));
        return whole && put_integer(whole.get());
      }
    }
    byte(kDouble);
    const auto bits = std::bit_cast<std::uint64_t>(number);
    for (int i = 7; i >= 0; --i) out_ += static_cast<char>(bits >> 8 * i);
    return true;
  }

  bool put_text(PyObject* object) {
    Py_ssize_t size = 0;
    const char* const utf8 = PyUnicode_AsUTF8AndSize(object, &size);
    if (utf8 != nullptr) {
      head(out_, kTextString, static_cast<std::uint64_t>(size));
      out_.append(utf8, static_cast<std::size_t>(size));
      return true;
    }
    PyErr_Clear();
    const Ref wtf8(PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass"));
    if (!wtf8) return false;
    head(out_, kTag, kWtf8);
    return put_bytes(wtf8.get());
  }

  bool put_bytes(PyObject* object) {
    char* begin = nullptr;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(object, &begin, &size) != 0) return false;
    head(out_, kByteString, static_cast<std::uint64_t>(size));
    out_.append(begin, static_cast<std::size_t>(size));
    return true;
  }

  bool put_container(PyObject* object, PyTypeObject* type) {
    if (type == &PyTuple_Type) {
      head(out_, kTag, kTuple);
      head(out_, kArray, static_cast<std::uint64_t>(PyTuple_Size(object)));
      for (Py_ssize_t i = 0; i < PyTuple_Size(object); ++i) {
        if (!put(PyTuple_GetItem(object, i))) return false;
      }
      return true;
    }
    if (type == &PyList_Type) {
      const Py_ssize_t size = PyList_Size(object);
      head(out_, kArray, static_cast<std::uint64_t>(size));
      for (Py_ssize_t i = 0; i < size; ++i) {
        // A hook may run code that changes it.
        const Ref item = Ref::to(i < PyList_Size(object) ? PyList_GetItem(object, i) : nullptr);
        if (!item) return changed();
        if (!put(item.get())) return false;
      }
      return true;
    }
    if (type == &PyDict_Type) return put_dict(object);
    if (type == &PySet_Type || type == &PyFrozenSet_Type) return put_set(object, type == &PyFrozenSet_Type);
    return put_other(object);
  }

  bool put_dict(PyObject* object) {
    const Py_ssize_t size = PyDict_Size(object);
    head(out_, kMap, static_cast<std::uint64_t>(size));
    const Ref items(PyDict_Items(object));
    if (!items) return false;
    std::vector<std::string> parts;
    for (Py_ssize_t i = 0; i < size; ++i) {
      PyObject* const pair = PyList_GetItem(items.get(), i);
      std::string part;
      if (pair == nullptr) return changed();
      if (!within(canonical_ ? part : out_, PyTuple_GetItem(pair, 0))) return false;
      if (!within(canonical_ ? part : out_, PyTuple_GetItem(pair, 1))) return false;
      if (canonical_) parts.push_back(std::move(part));
    }
    return sorted(parts);
  }

  bool put_set(PyObject* object, bool frozen) {
    if (frozen) head(out_, kTag, kFrozenSet);
    head(out_, kTag, kSet);
    const Ref items(PySequence_List(object));
    if (!items) return false;
    const Py_ssize_t size = PyList_Size(items.get());
    head(out_, kArray, static_cast<std::uint64_t>(size));
    std::vector<std::string> parts(static_cast<std::size_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) {
      if (!within(parts[static_cast<std::size_t>(i)], PyList_GetItem(items.get(), i))) return false;
    }
    return sorted(parts);
  }

  bool put_other(PyObject* object) {
    const Ref reduced(PyObject_CallFunctionObjArgs(hooks().reduce, object, nullptr));
    if (!reduced) return false;
    if (reduced.get() == Py_None) {
      met_unknown_ = true;
      const Ref type = Ref::to(reinterpret_cast<PyObject*>(Py_TYPE(object)));
      PyErr_Format(PyExc_TypeError, "larder: no rule writes objects of %R", type.get());
      return false;
    }
    unsigned long long tag = 0;
    PyObject* inner = nullptr;
    if (!PyArg_ParseTuple(reduced.get(), "KO", &tag, &inner)) return false;
    head(out_, kTag, tag);
    return put(inner);
  }

  bool within(std::string& part, PyObject* object) {
    if (&part == &out_) return put(object);
    Writer writer(part, canonical_);
    writer.depth_ = depth_;
    const bool done = writer.put(object);
    met_unknown_ = met_unknown_ || writer.met_unknown_;
    return done;
  }
  bool sorted(std::vector<std::string>& parts) {
    std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts) out_ += part;
    return true;
  }
  static bool changed() {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "larder: the object changed while it was written");
    return false;
  }

  std::string& out_;
  const bool canonical_;
  bool met_unknown_ = false;
  int depth_ = 0;
};

// --- Reading ---------------------------------------------------------------------------------------------------------

// Bytes come from a file that anybody may have written.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  // The one object that the bytes are; nullptr: a Python error is set.
  PyObject* whole() {
    Ref object(read());
    if (object && !rest_.empty()) return damaged("more follows the value");
    return object.release();
  }

 private:
  static PyObject* damaged(const char* why) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "larder: the stored value is damaged: %s", why);
    return nullptr;
  }

  bool take(std::size_t count, std::string_view& taken) {
    if (rest_.size() < count) return damaged("it ends too early") != nullptr;
    taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return true;
  }

  bool number(std::uint8_t first, std::uint64_t& n) {
    const std::uint8_t small = first & 31;
    n = small;
    if (small < 24) return true;
    if (small > 27) return damaged("a length of no known kind") != nullptr;
    std::string_view bytes;
    if (!take(std::size_t{1} << (small - 24), bytes)) return false;
    n = 0;
    for (const char c : bytes) n = n << 8 | static_cast<std::uint8_t>(c);
    return true;
  }

  PyObject* read() {
    std::string_view first;
    std::uint64_t n = 0;
    if (!take(1, first) || !number(static_cast<std::uint8_t>(first[0]), n)) return nullptr;
    const auto byte = static_cast<std::uint8_t>(first[0]);
    std::string_view content;
    switch (static_cast<Major>(byte >> 5)) {
      case kUnsigned:
        return PyLong_FromUnsignedLongLong(n);
      case kNegative:
        return negative(n);
      case kByteString:
        return take(n, content) ? bytes(content) : nullptr;
      case kTextString:
        return take(n, content) ? PyUnicode_DecodeUTF8(content.data(), static_cast<Py_ssize_t>(n), nullptr) : nullptr;
      case kSimple:
        return simple(byte, n);
      default:
        break;
    }
    if (++depth_ > kDepthMost) return damaged("it is nested more than 200 deep");
    PyObject* const object = byte >> 5 == kArray ? sequence(n, PyList_New, PyList_SetItem)
                             : byte >> 5 == kMap ? dict(n)
                                                 : tagged(n);
    --depth_;
    return object;
  }

  static PyObject* negative(std::uint64_t n) {
    const Ref magnitude(PyLong_FromUnsignedLongLong(n));
    return magnitude ? PyNumber_Invert(magnitude.get()) : nullptr;
  }

  static PyObject* simple(std::uint8_t byte, std::uint64_t n) {
    if (byte == kNull) return Ref::to(Py_None).release();
    if (byte == kTrue) return Ref::to(Py_True).release();
    if (byte == kFalse) return Ref::to(Py_False).release();
    if (byte == kDouble) return PyFloat_FromDouble(std::bit_cast<double>(n));
    return damaged("a simple value of no known kind");
  }

  // A list or a tuple, by the functions that make one and fill it.
  PyObject* sequence(std::uint64_t n, PyObject* (*make)(Py_ssize_t), int (*set)(PyObject*, Py_ssize_t, PyObject*)) {
    if (n > rest_.size()) return damaged("it has more elements than bytes");
    Ref made(make(static_cast<Py_ssize_t>(n)));
    for (std::uint64_t i = 0; made && i < n; ++i) {
      PyObject* const item = read();
      if (item == nullptr) return nullptr;
      set(made.get(), static_cast<Py_ssize_t>(i), item);
    }
    return made.release();
  }

  PyObject* dict(std::uint64_t n) {
    if (n > rest_.size()) return damaged("it has more elements than bytes");
    Ref made(PyDict_New());
    for (std::uint64_t i = 0; made && i < n; ++i) {
      const Ref key(read());
      if (!key) return nullptr;
      const Ref value(read());
      if (!value || PyDict_SetItem(made.get(), key.get(), value.get()) != 0) return nullptr;
    }
    return made.release();
  }

  PyObject* tagged(std::uint64_t tag) {
    if (tag == kTuple) {
      std::string_view first;
      std::uint64_t n = 0;
      if (!take(1, first) || !number(static_cast<std::uint8_t>(first[0]), n)) return nullptr;
      if (static_cast<std::uint8_t>(first[0]) >> 5 != kArray) return damaged("a tuple of no array");
      return sequence(n, PyTuple_New, PyTuple_SetItem);
    }
    const Ref inner(read());
    if (!inner) return nullptr;
    if (tag == kSet && PyList_Check(inner.get())) return PySet_New(inner.get());
    if (tag == kFrozenSet && PyAnySet_Check(inner.get())) return PyFrozenSet_New(inner.get());
    if (tag == kWtf8 && PyBytes_Check(inner.get()))
      return PyUnicode_FromEncodedObject(inner.get(), "utf-8", "surrogatepass");
    if ((tag == kBigPositive || tag == kBigNegative) && PyBytes_Check(inner.get())) {
      Ref number(
          PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyLong_Type), "from_bytes", "Os", inner.get(), "big"));
      return tag == kBigPositive || !number ? number.release() : PyNumber_Invert(number.get());
    }
    return PyObject_CallFunction(hooks().restore, "KO", static_cast<unsigned long long>(tag), inner.get());
  }

  std::string_view rest_;
  int depth_ = 0;
};

// --- Numbers as text -------------------------------------------------------------------------------------------------

bool integer_text(PyObject* value, std::string& scratch, Encoded& out) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0) {
    char digits[24];
    scratch.assign(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
    out.bytes = scratch;
    return true;
  }
  // int.__str__ refuses more than 4300 digits since 3.11, and is quadratic: large ones are written as CBOR has them.
  scratch.clear();
  if (!Writer(scratch, false).put(value)) return false;
  out.bytes = scratch;
  out.format = kCbor;
  return true;
}

PyObject* integer_object(std::string_view bytes) {
  long long number = 0;
  const auto [end, failed] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), number);
  if (failed == std::errc{} && end == bytes.data() + bytes.size()) return PyLong_FromLongLong(number);
  return PyErr_Format(PyExc_ValueError, "larder: the stored value is damaged: no integer");
}

void float_text(double number, std::string& scratch) {
  char digits[32];
  scratch.assign(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

PyObject* float_object(std::string_view bytes) {
  double number = 0;
  const auto [end, failed] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), number);
  if (failed == std::errc{} && end == bytes.data() + bytes.size()) return PyFloat_FromDouble(number);
  return PyErr_Format(PyExc_ValueError, "larder: the stored value is damaged: no number");
}

// Of the kinds that CBOR has, or that this file makes of them.
bool is_simple(PyObject* value, PyTypeObject* type) {
  return value == Py_None || type == &PyBool_Type || type == &PyUnicode_Type || type == &PyList_Type ||
         type == &PyDict_Type || type == &PyTuple_Type || type == &PySet_Type || type == &PyFrozenSet_Type;
}

// What a hook gave: (format, bytes).
bool take(PyObject* pair, Encoded& out) {
  char* begin = nullptr;
  Py_ssize_t size = 0;
  PyObject* content = nullptr;
  if (!PyArg_ParseTuple(pair, "bO!", &out.format, &PyBytes_Type, &content)) return false;
  if (PyBytes_AsStringAndSize(content, &begin, &size) != 0) return false;
  out.owner = Ref::to(content);
  out.bytes = {begin, static_cast<std::size_t>(size)};
  return true;
}

}  // namespace

Hooks& hooks() {
  static Hooks all;
  return all;
}

bool append_canonical(PyObject* object, std::string& out) { return Writer(out, true).put(object); }

bool call_key_bytes(PyObject* name, PyObject* arguments, std::string& out) {
  const Py_ssize_t count = PyTuple_Size(arguments);
  if (count < 0) return false;
  out.assign(1, kTyped);
  head(out, kTag, kTuple);
  head(out, kArray, static_cast<std::uint64_t>(count) + 1);
  Writer writer(out, true);
  if (!writer.put(name)) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!writer.put(PyTuple_GetItem(arguments, i))) return false;
  }
  return true;
}

bool key_bytes(PyObject* key, std::string& scratch, std::string_view& bytes) {
  if (Py_TYPE(key) == &PyUnicode_Type) {
    Py_ssize_t size = 0;
    const char* const utf8 = PyUnicode_AsUTF8AndSize(key, &size);
    if (utf8 != nullptr && size > 0) {
      bytes = {utf8, static_cast<std::size_t>(size)};
      return true;
    }
    PyErr_Clear();
    // A key that others wrote and that is no UTF-8, as key_object() showed it.
    const Ref raw(size > 0 || utf8 == nullptr ? PyUnicode_AsEncodedString(key, "utf-8", "surrogateescape") : nullptr);
    if (raw) {
      scratch.assign(PyBytes_AsString(raw.get()), static_cast<std::size_t>(PyBytes_Size(raw.get())));
      if (scratch[0] != kTyped) {
        bytes = scratch;
        return true;
      }
    }
    PyErr_Clear();
  }
  scratch.assign(1, kTyped);
  if (!append_canonical(key, scratch)) return false;
  bytes = scratch;
  return true;
}

PyObject* key_object(std::string_view bytes) {
  if (bytes.empty() || bytes[0] != kTyped) return text(bytes);
  PyObject* const object = Reader(bytes.substr(1)).whole();
  if (object != nullptr || !PyErr_ExceptionMatches(PyExc_ValueError)) return object;
  PyErr_Clear();
  return text(bytes);
}

bool encode(PyObject* value, PyObject* cache, std::string& scratch, Encoded& out) {
  PyTypeObject* const type = Py_TYPE(value);
  if (type == &PyBytes_Type) {
    out.format = kBytes;
    out.bytes = {PyBytes_AsString(value), static_cast<std::size_t>(PyBytes_Size(value))};
    return true;
  }
  if (type == &PyUnicode_Type) {
    Py_ssize_t size = 0;
    if (const char* const utf8 = PyUnicode_AsUTF8AndSize(value, &size)) {
      out.format = kText;
      out.bytes = {utf8, static_cast<std::size_t>(size)};
      return true;
    }
    PyErr_Clear();  // lone surrogates, which CBOR has a tag for
  }
  if (type == &PyLong_Type) {
    out.format = kInteger;
    return integer_text(value, scratch, out);
  }
  if (type == &PyFloat_Type) {
    out.format = kFloat;
    float_text(PyFloat_AsDouble(value), scratch);
    out.bytes = scratch;
    return true;
  }
  if (!is_simple(value, type)) {
    const Ref whole(PyObject_CallFunctionObjArgs(hooks().whole, value, nullptr));
    if (!whole) return false;
    if (whole.get() != Py_None) return take(whole.get(), out);
  }
  scratch.clear();
  Writer writer(scratch, false);
  if (writer.put(value)) {
    out.format = kCbor;
    out.bytes = scratch;
    return true;
  }
  if (!writer.met_unknown()) return false;
  PyErr_Clear();
  const Ref dumped(PyObject_CallFunctionObjArgs(hooks().dump, value, cache, nullptr));
  return dumped && take(dumped.get(), out);
}

PyObject* decode(std::string_view bytes, std::uint8_t format, PyObject* cache) {
  switch (format) {
    case kBytes:
      return python::bytes(bytes);
    case kText:
      return PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr);
    case kInteger:
      return integer_object(bytes);
    case kFloat:
      return float_object(bytes);
    case kCbor:
      return Reader(bytes).whole();
    default:
      break;
  }
  const Ref content(python::bytes(bytes));
  if (!content) return nullptr;
  return PyObject_CallFunction(hooks().load, "iOO", static_cast<int>(format), content.get(), cache);
}

}  // namespace larder::python
