// CPython's stable ABI (PEP 384) from 3.8 on: one build of the extension for all of them. And the few words that every
// CPython since 3.8 exports with the same meaning, but that the headers of the stable ABI name only from later on.
#pragma once

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x03080000
#endif
#include <Python.h>

#include <string_view>
#include <utility>

#if Py_LIMITED_API < 0x030A0000
extern "C" const char* PyUnicode_AsUTF8AndSize(PyObject* text, Py_ssize_t* size);  // stable since 3.10
#ifndef METH_FASTCALL
#define METH_FASTCALL 0x0080  // stable since 3.10
#endif
#endif

#ifndef PyBUF_SIMPLE
// Stable since 3.11 (bpo-45459), laid out so since 3.3.
struct Py_buffer {
  void* buf;
  PyObject* obj;
  Py_ssize_t len;
  Py_ssize_t itemsize;
  int readonly;
  int ndim;
  char* format;
  Py_ssize_t* shape;
  Py_ssize_t* strides;
  Py_ssize_t* suboffsets;
  void* internal;
};
#define PyBUF_SIMPLE 0
#ifndef Py_bf_getbuffer
#define Py_bf_getbuffer 1
#endif
extern "C" {
int PyObject_GetBuffer(PyObject* object, Py_buffer* view, int flags);
int PyBuffer_FillInfo(Py_buffer* view, PyObject* object, void* bytes, Py_ssize_t size, int readonly, int flags);
void PyBuffer_Release(Py_buffer* view);
}
#endif

namespace larder::python {

// An owned reference, or none.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  static Ref to(PyObject* borrowed) {
    Py_XINCREF(borrowed);
    return Ref(borrowed);
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// The bytes of an object with the buffer protocol, while it lives. Not ok: a Python error is set.
class Bytes {
 public:
  explicit Bytes(PyObject* object) : ok_(PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) == 0) {}
  ~Bytes() {
    if (ok_) PyBuffer_Release(&view_);
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  bool ok() const { return ok_; }
  std::string_view view() const { return {static_cast<const char*>(view_.buf), static_cast<std::size_t>(view_.len)}; }

 private:
  Py_buffer view_{};
  bool ok_;
};

// Other threads run Python while it lives.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { PyEval_RestoreThread(state_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// The opposite, inside of it. Declared first, so that it goes last.
class WithGil {
 public:
  WithGil() : state_(PyGILState_Ensure()) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

inline PyObject* text(std::string_view utf8) {
  return PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "surrogateescape");
}
inline PyObject* bytes(std::string_view of) {
  return PyBytes_FromStringAndSize(of.data(), static_cast<Py_ssize_t>(of.size()));
}

}  // namespace larder::python
