// The time of day for expiry, as cheap as it can be had.
#pragma once

#include <time.h>

#include <cstdint>

#include "base/clock.h"

namespace larder::engine {

// With a Clock (tests), the Clock's time. Without, the kernel's coarse clock (4 ns a look, up to 4 ms behind), and the
// precise one (17 ns) only where those 4 ms decide.
class Now {
 public:
  explicit Now(const Clock* clock) : clock_(clock) {}

  // For what people read.
  std::int64_t coarse_ms() const { return clock_ != nullptr ? clock_->now_ms() : read(CLOCK_REALTIME_COARSE); }
  // For what decides.
  std::int64_t precise_ms() const { return clock_ != nullptr ? clock_->now_ms() : read(CLOCK_REALTIME); }
  // Whether an entry with this expiry (0: never) is over.
  bool past(std::int64_t expires_ms) const {
    if (expires_ms == 0) return false;
    if (clock_ != nullptr) return expires_ms <= clock_->now_ms();
    const std::int64_t about = read(CLOCK_REALTIME_COARSE);
    if (expires_ms <= about) return true;
    return expires_ms <= about + kCoarseness && expires_ms <= read(CLOCK_REALTIME);
  }

 private:
  static constexpr std::int64_t kCoarseness = 20;
  static std::int64_t read(clockid_t which) {
    timespec at{};
    ::clock_gettime(which, &at);
    return std::int64_t{at.tv_sec} * 1000 + at.tv_nsec / 1'000'000;
  }

  const Clock* clock_;
};

}  // namespace larder::engine
