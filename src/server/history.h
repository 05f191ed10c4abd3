// How the counters stood over the last hour: one point every five seconds, the oldest forgotten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/mutex.h"

namespace larder::server {

struct HistoryPoint {
  std::int64_t t_ms = 0;  // since 1970-01-01 UTC
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t entries = 0;
  std::uint64_t disk_bytes = 0;
  double saved_ms = 0;
};

// Thread-safe.
class History {
 public:
  static constexpr std::int64_t kEveryMs = 5000;
  static constexpr std::size_t kPointsMax = 720;

  void add(const HistoryPoint& point) {
    MutexLock lock(mutex_);
    if (ring_.size() < kPointsMax)
      ring_.push_back(point);
    else
      ring_[oldest_++ % kPointsMax] = point;
  }

  // Oldest first.
  std::vector<HistoryPoint> points() const {
    MutexLock lock(mutex_);
    std::vector<HistoryPoint> out;
    out.reserve(ring_.size());
    for (std::size_t i = 0; i < ring_.size(); ++i) out.push_back(ring_[(oldest_ + i) % ring_.size()]);
    return out;
  }

 private:
  mutable Mutex mutex_;
  std::vector<HistoryPoint> ring_ LARDER_GUARDED_BY(mutex_);
  std::size_t oldest_ LARDER_GUARDED_BY(mutex_) = 0;  // counts on for ever; its place in the ring is the rest
};

}  // namespace larder::server
