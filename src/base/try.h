// TRY(expression): the value of a Result, or return its error from this function.
//
//   Mapping mapping = TRY(disk.map(path));
//
// A statement expression, which g++ and clang both have; the lambda-free form keeps `return` in the caller.
#pragma once

#include <larder/result.h>

#include <utility>

namespace larder::detail {
template <typename T>
T take(Result<T>&& result) {
  return std::move(result).value();
}
inline void take(Status&&) {}
}  // namespace larder::detail

#define TRY(...)                                                  \
  __extension__({                                                 \
    auto try_result_ = (__VA_ARGS__);                             \
    if (!try_result_.ok()) return std::move(try_result_).error(); \
    ::larder::detail::take(std::move(try_result_));               \
  })
