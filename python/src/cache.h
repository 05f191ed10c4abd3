// The type `larder._larder.Cache`: what of a cache must be quick. The rest is Python, in larder/cache.py.
#pragma once

#include <larder/result.h>

#include "python.h"

namespace larder::python {

// Makes the module's types and adds them; false: a Python error is set.
bool add_types(PyObject* module);
// Sets the Python exception that `error` is, and gives nullptr. The classes come from larder/errors.py by
// set_errors({code: class}), which gives None.
PyObject* raise(const Error& error);
PyObject* set_errors(PyObject* classes);

}  // namespace larder::python
