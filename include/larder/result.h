// Result<T>: a value, or the reason why the world refused to give one.
//
// Larder throws nothing. What can go wrong outside the program (a full disk, a damaged file, a wrong argument)
// comes back as an Error with a code, so that a program can decide, and a sentence, so that a person can.
// A miss is no error: functions that look something up return std::optional or bool.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace larder {

// Why something was refused. base/error_table.h maps each to an HTTP status, an exit code and the other faces.
enum class Code {
  kInvalid,      // the caller's input is wrong: an argument, a config line, a statement
  kNotFound,     // the thing named does not exist
  kExists,       // it exists already, and must not
  kUnsupported,  // a version, type or operation this build does not know
  kCorrupt,      // bytes that Larder wrote are not what was written
  kNoSpace,      // the disk is full, or the limit is reached and nothing may be evicted
  kTooLarge,     // larger than a limit that was set
  kTimeout,      // the deadline passed
  kCancelled,    // the caller went away
  kDenied,       // not allowed
  kUnavailable,  // what is needed cannot be reached now; trying later may help
  kIo,           // the operating system refused
  kInternal,     // a defect in Larder; please report
};

struct Error {
  Code code = Code::kInternal;
  std::string message;  // one sentence without a full stop: the thing, the place, the way out

  // The same error, its message led by the place where it happened: "larder.yaml:3: ...".
  [[nodiscard]] Error in(std::string_view place) && {
    message.insert(0, ": ").insert(0, place);
    return std::move(*this);
  }
};

// A T or an Error. Converts from both, so `return value;` and `return Error{...};` both read well.
template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: conversion is the point
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // The value. Asking a failed result for it is a defect of the caller and stops the process.
  T& value() & { return ok() ? std::get<0>(state_) : stop(); }
  const T& value() const& { return ok() ? std::get<0>(state_) : const_cast<Result*>(this)->stop(); }
  T&& value() && { return std::move(ok() ? std::get<0>(state_) : stop()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // The error. Only when !ok().
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  [[noreturn]] T& stop() const { std::abort(); }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using Value = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: conversion is the point

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const {
    if (!ok()) std::abort();
  }

  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace larder
