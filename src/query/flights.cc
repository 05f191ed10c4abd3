// A mutex for all flights and a condition for each. Flights are rare beside hits (each runs the source), so the one
// mutex is never the bottleneck; and who is woken is always of the right flight.
//
// Lock order: a Cancel's own mutex may be held when ours is taken (its listeners run under it), so ours is never held
// while a Cancel is asked or a Listener begins or ends.
#include "query/flights.h"

#include "base/check.h"

namespace larder::query {

Flights::Ticket Flights::take(const std::string& key, const sources::Limits& limits,
                              const std::shared_ptr<Flight>& previous) {
  MutexLock lock(mutex_);
  const bool same_key = previous && previous->key() == key;
  if (same_key && previous->next_) return {previous->next_, false};
  std::shared_ptr<Flight>& open = open_[key];
  if (open) return {open, false};
  open = std::make_shared<Flight>(key, limits, ++taken_off_);
  if (same_key) previous->next_ = open;
  return {open, true};
}

void Flights::land(const std::shared_ptr<Flight>& flight, std::optional<Result<Cargo>> brought) {
  MutexLock lock(mutex_);
  LARDER_CHECK(!flight->landed_);
  flight->brought_ = std::move(brought);
  flight->landed_ = true;
  open_.erase(flight->key());
  flight->landing_.notify_all();
}

Status Flights::wait(Flight& flight, const Clock& clock, std::int64_t deadline_ns, const Cancel& cancel) {
  bool gone = false;  // guarded by mutex_
  const Cancel::Listener listener(cancel, [&] {
    MutexLock lock(mutex_);
    gone = true;
    flight.landing_.notify_all();
  });
  MutexLock lock(mutex_);
  ++waiting_;
  std::int64_t left_ns = 1;
  while (!flight.landed_ && !gone && left_ns > 0) {
    if (deadline_ns == 0) {
      flight.landing_.wait(lock.native());
      continue;
    }
    left_ns = deadline_ns - clock.steady_ns();
    if (left_ns > 0) flight.landing_.wait_for(lock.native(), std::chrono::nanoseconds(left_ns));
  }
  --waiting_;
  if (flight.landed_) return {};
  if (gone) return Error{Code::kCancelled, "the caller went away while it waited for an answer"};
  return Error{Code::kTimeout,
               "no answer in time; another caller still waits for the same one, so asking again may help"};
}

std::uint64_t Flights::taken_off() const {
  MutexLock lock(mutex_);
  return taken_off_;
}

std::uint64_t Flights::waiting() const {
  MutexLock lock(mutex_);
  return waiting_;
}

}  // namespace larder::query
