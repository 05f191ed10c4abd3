// LARDER_CHECK(condition): stops the process when our own reasoning is wrong. On in every build.
//
// Only for what this process alone decides. Bytes from a mapping, a disk or a socket are input: test them and
// return an Error, because another process, or a failing disk, can make them anything.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace larder::detail {
[[noreturn]] inline void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: this must hold and does not: %s\n", file, line, condition);
  std::abort();
}
}  // namespace larder::detail

#define LARDER_CHECK(condition) \
  (__builtin_expect(!(condition), 0) ? ::larder::detail::check_failed(__FILE__, __LINE__, #condition) : (void)0)
