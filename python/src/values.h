// Python objects as bytes and back: docs/format/values.md. Nothing that is read runs code; what this file does not know
// goes to the hooks in larder/codec.py, which know datetime, Decimal, arrays and, only when allowed, pickle.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "python.h"

namespace larder::python {

// How a value is to be read: SetOptions::format.
enum Format : std::uint8_t {
  kBytes = 0,    // as they are; what the command line and Redis clients write
  kText = 1,     // UTF-8
  kInteger = 2,  // decimal digits, of any size
  kFloat = 3,    // the shortest decimal number that is read as the same double; nan, inf, -inf
  kCbor = 4,     // everything made of other values
};

// larder/codec.py tells it at import: functions for what is made in Python.
//   reduce(object) -> (tag, value), or None: not known         restore(tag, value) -> object
//   whole(object) -> (format, bytes), or None: as CBOR         dump(object, cache) -> (format, bytes); TypeError
//   load(format, bytes, cache) -> object
struct Hooks {
  PyObject* reduce = nullptr;
  PyObject* restore = nullptr;
  PyObject* whole = nullptr;  // asked for each value that is none of CBOR's own kinds
  PyObject* dump = nullptr;   // for what no rule knows
  PyObject* load = nullptr;
};
Hooks& hooks();

// The bytes of a key, which live in `scratch` or in the object. False: a Python error is set.
bool key_bytes(PyObject* key, std::string& scratch, std::string_view& bytes);
// The bytes of the key (name, *arguments), without making that tuple.
bool call_key_bytes(PyObject* name, PyObject* arguments, std::string& out);
// A key from its bytes; what others wrote that is no UTF-8 becomes text with surrogate escapes.
PyObject* key_object(std::string_view bytes);
// Appends the one deterministic CBOR text of `object`: equal objects have equal bytes.
bool append_canonical(PyObject* object, std::string& out);

struct Encoded {
  std::string_view bytes;  // in the scratch, in the object, or in `owner`
  std::uint8_t format = kBytes;
  Ref owner;
};
// False: a Python error is set. `cache` goes to the hooks.
bool encode(PyObject* value, PyObject* cache, std::string& scratch, Encoded& out);
// nullptr: a Python error is set, ValueError where the bytes are damaged.
PyObject* decode(std::string_view bytes, std::uint8_t format, PyObject* cache);

}  // namespace larder::python
