// The time, passed in, so that tests own it and never sleep.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace larder {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01 UTC; may step. For expiry and for what people read.
  virtual std::int64_t now_ms() const = 0;
  // Nanoseconds since some fixed moment of this boot; never steps back. For durations and deadlines.
  virtual std::int64_t steady_ns() const = 0;
};

// The machine's clock.
class SystemClock final : public Clock {
 public:
  std::int64_t now_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::int64_t steady_ns() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

inline const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

// A clock that a test sets. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t now_ms = 1'700'000'000'000) : now_ms_(now_ms) {}
  std::int64_t now_ms() const override { return now_ms_.load(std::memory_order_relaxed); }
  std::int64_t steady_ns() const override { return steady_ns_.load(std::memory_order_relaxed); }
  // Both clocks move on, as time does.
  void advance_ms(std::int64_t ms) {
    now_ms_ += ms;
    steady_ns_ += ms * 1'000'000;
  }
  // The wall clock alone jumps, as when somebody sets it.
  void step_ms(std::int64_t ms) { now_ms_ += ms; }

 private:
  std::atomic<std::int64_t> now_ms_;
  std::atomic<std::int64_t> steady_ns_{1};
};

}  // namespace larder
