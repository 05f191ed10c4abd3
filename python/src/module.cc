// The module larder._larder.
#include "cache.h"
#include "values.h"

namespace larder::python {
namespace {

// _set_hooks(reduce, restore, whole, dump, load)
PyObject* set_hooks(PyObject*, PyObject* args) {
  Hooks given;
  if (!PyArg_ParseTuple(args, "OOOOO", &given.reduce, &given.restore, &given.whole, &given.dump, &given.load))
    return nullptr;
  for (PyObject* const hook : {given.reduce, given.restore, given.whole, given.dump, given.load}) Py_INCREF(hook);
  hooks() = given;  // once, at import; what was there before may still be in use
  return Ref::to(Py_None).release();
}

PyObject* set_error_classes(PyObject*, PyObject* classes) { return set_errors(classes); }

// key_bytes(key) -> bytes: what the cache knows the key by
PyObject* key_bytes_of(PyObject*, PyObject* key) {
  std::string scratch;
  std::string_view made;
  return key_bytes(key, scratch, made) ? bytes(made) : nullptr;
}
PyObject* key_of_bytes(PyObject*, PyObject* object) {
  const Bytes given(object);
  return given.ok() ? key_object(given.view()) : nullptr;
}

// encode(value, cache=None) -> (bytes, format) and back
PyObject* encode_value(PyObject*, PyObject* args) {
  PyObject* value = nullptr;
  PyObject* cache = Py_None;
  if (!PyArg_ParseTuple(args, "O|O", &value, &cache)) return nullptr;
  std::string scratch;
  Encoded encoded;
  if (!encode(value, cache, scratch, encoded)) return nullptr;
  return Py_BuildValue("Ni", bytes(encoded.bytes), static_cast<int>(encoded.format));
}
PyObject* decode_value(PyObject*, PyObject* args) {
  PyObject* object = nullptr;
  int format = 0;
  PyObject* cache = Py_None;
  if (!PyArg_ParseTuple(args, "Oi|O", &object, &format, &cache)) return nullptr;
  const Bytes given(object);
  return given.ok() ? decode(given.view(), static_cast<std::uint8_t>(format), cache) : nullptr;
}

PyMethodDef functions[] = {
    {"_set_hooks", set_hooks, METH_VARARGS, nullptr},
    {"_set_errors", set_error_classes, METH_O, nullptr},
    {"key_bytes", key_bytes_of, METH_O, "key_bytes(key) -> bytes: what the cache knows the key by"},
    {"key_object", key_of_bytes, METH_O, "key_object(bytes) -> the key that has these bytes"},
    {"encode", encode_value, METH_VARARGS, "encode(value, cache=None) -> (bytes, format)"},
    {"decode", decode_value, METH_VARARGS, "decode(bytes, format, cache=None) -> value"},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "larder._larder",
                          "The quick half of larder: see larder.Cache.",
                          -1,
                          functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace
}  // namespace larder::python

PyMODINIT_FUNC PyInit__larder() {
  larder::python::Ref module(PyModule_Create(&larder::python::definition));
  if (!module || !larder::python::add_types(module.get())) return nullptr;
  return module.release();
}
