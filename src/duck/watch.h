// Stops what runs on a connection when its caller goes away or its time is over.
//
//   Watch watch(connection, cancel, timeout_ms);
//   Result<Rows> rows = statement.run(values);
//   if (auto error = watch.stopped()) return *error;  // why, better than DuckDB's own word for it
#pragma once

#include <larder/result.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>

#include "base/cancel.h"
#include "base/mutex.h"
#include "duck/duck.h"

namespace larder::duck {

class Watch {
 public:
  // Both must outlive this. timeout_ms from now; 0: none.
  Watch(Connection& connection, const Cancel& cancel, std::int64_t timeout_ms);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // kCancelled or kTimeout, once the time is over or the caller gone.
  std::optional<Error> stopped();

 private:
  void stand();
  bool over() LARDER_REQUIRES(mutex_);

  Connection& connection_;
  const std::int64_t timeout_ms_;
  const std::chrono::steady_clock::time_point deadline_;

  Mutex mutex_;
  Condition changed_;
  bool cancelled_ LARDER_GUARDED_BY(mutex_) = false;
  bool done_ LARDER_GUARDED_BY(mutex_) = false;

  std::optional<Cancel::Listener> listener_;
  std::thread thread_;
};

}  // namespace larder::duck
