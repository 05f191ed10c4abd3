// DuckDB forgets an interrupt that comes before its statement begins, so one call is not enough: from the moment to
// stop on, the interrupt is repeated until the watched work has returned.
#include "duck/watch.h"

#include <algorithm>

namespace larder::duck {
namespace {
constexpr std::int64_t kLongestMs = std::int64_t{1000} * 60 * 60 * 24 * 365;  // so that the deadline cannot overflow
}  // namespace

Watch::Watch(Connection& connection, const Cancel& cancel, std::int64_t timeout_ms)
    : connection_(connection),
      timeout_ms_(std::min(timeout_ms, kLongestMs)),
      deadline_(std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_)) {
  listener_.emplace(cancel, [this] {
    MutexLock lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  });
  thread_ = std::thread([this] { stand(); });
}

Watch::~Watch() {
  listener_.reset();
  {
    MutexLock lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool Watch::over() { return cancelled_ || (timeout_ms_ > 0 && std::chrono::steady_clock::now() >= deadline_); }

void Watch::stand() {
  MutexLock lock(mutex_);
  while (!done_ && !over()) {
    if (timeout_ms_ > 0)
      changed_.wait_until(lock.native(), deadline_);
    else
      changed_.wait(lock.native());
  }
  while (!done_) {
    connection_.interrupt();
    changed_.wait_for(lock.native(), std::chrono::milliseconds(10));
  }
}

std::optional<Error> Watch::stopped() {
  MutexLock lock(mutex_);
  if (cancelled_) return Error{Code::kCancelled, "the caller went away"};
  if (over()) return Error{Code::kTimeout, "it took longer than " + std::to_string(timeout_ms_) + " ms"};
  return std::nullopt;
}

}  // namespace larder::duck
