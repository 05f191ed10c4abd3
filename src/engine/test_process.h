// How a test's child process ends: without the parent's destructors, but with what it covered written down.
#pragma once

#include <cstdlib>

#if defined(LARDER_COVERAGE)  // by tools/coverage
extern "C" void __gcov_dump();
#endif

namespace larder::engine {

[[noreturn]] inline void leave(int status) {
#if defined(LARDER_COVERAGE)
  __gcov_dump();
#endif
  std::_Exit(status);
}

}  // namespace larder::engine
