#include "server/admission.h"

#include <chrono>

#include "base/try.h"

namespace larder::server {

Admission::Admission(sources::Source& source, unsigned at_once) : source_(source), at_once_(at_once) {}

Result<sources::Answer> Admission::run(const sources::Question& question, const sources::Plan& plan,
                                       const sources::Limits& limits, const Cancel& cancel) {
  const auto came = std::chrono::steady_clock::now();
  TRY(enter(limits.timeout_ms, cancel));
  sources::Limits left = limits;
  if (limits.timeout_ms > 0) {
    const auto waited = std::chrono::steady_clock::now() - came;
    left.timeout_ms -= std::chrono::duration_cast<std::chrono::milliseconds>(waited).count();
    if (left.timeout_ms < 1) left.timeout_ms = 1;  // 0 would be no limit
  }
  Result<sources::Answer> answer = source_.run(question, plan, left, cancel);
  leave();
  return answer;
}

Status Admission::enter(std::int64_t timeout_ms, const Cancel& cancel) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  bool cancelled = false;
  // Made before the lock is taken and gone after it is let go, as its function takes the lock too.
  const Cancel::Listener listener(cancel, [&] {
    MutexLock lock(mutex_);
    cancelled = true;
    changed_.notify_all();
  });
  MutexLock lock(mutex_);
  const std::uint64_t ticket = tickets_++;
  outside_.insert(ticket);
  bool late = false;
  while (!cancelled && !late && (inside_ == at_once_ || *outside_.begin() != ticket)) {
    if (timeout_ms > 0)
      late = changed_.wait_until(lock.native(), until) == std::cv_status::timeout;
    else
      changed_.wait(lock.native());
  }
  outside_.erase(ticket);
  changed_.notify_all();  // whoever is next now
  if (cancelled) return Error{Code::kCancelled, "the caller went away"};
  if (late) return Error{Code::kTimeout, "the query's time was over before its turn came; the server is busy"};
  ++inside_;
  return {};
}

void Admission::leave() {
  MutexLock lock(mutex_);
  --inside_;
  changed_.notify_all();
}

unsigned Admission::waiting() const {
  MutexLock lock(mutex_);
  return static_cast<unsigned>(outside_.size());
}

}  // namespace larder::server
