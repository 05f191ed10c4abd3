// Brings the log to the disk: when asked, before each write is acknowledged, or some time after.
//
// A write must reach the disk within flush_every_ms even when nobody writes after it, so somebody must wait for the
// time to come. That is one thread for each Cache that has written, started by its first write and asleep while
// nothing is dirty; a process that only reads has none. A timer signal lost (libraries do not own signals), io_uring
// lost (often forbidden in containers), and flushing in the next writer lost (there may be none).
#pragma once

#include <larder/cache.h>

#include <functional>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "engine/files.h"

namespace larder::engine {

class Flusher {
 public:
  // Follows the settings as they are at each write.
  // `written` says below which number all transactions are in the log, or 0 when no new ones are.
  Flusher(std::shared_ptr<Files> files, std::function<std::uint64_t()> written);
  // Flushes what this Cache has written, unless durability is none.
  ~Flusher();

  // After each write: returns when the write is as durable as was promised.
  Status wrote() {
    const Durability promised = durability();
    if (promised == Durability::kTimed) {
      if (__builtin_expect(!dirty_.load(std::memory_order_relaxed), 0)) soon(false);
      return {};
    }
    return promised == Durability::kNone ? Status{} : together();
  }
  // A segment was freed: it can be written again after the next flush. Or an entry's file waits for it to be removed.
  void hurry() {
    if (durability() != Durability::kNone) {
      soon(true);
    } else {
      files_->release_blobs();
    }
  }
  Status flush();

 private:
  Durability durability() const { return static_cast<Durability>(durability_.load(std::memory_order_relaxed)); }
  void soon(bool at_once) LARDER_EXCLUDES(mutex_);
  Status together() LARDER_EXCLUDES(mutex_);
  void run() LARDER_EXCLUDES(mutex_);

  Status note_transactions(std::uint64_t written);

  const std::shared_ptr<Files> files_;
  const std::function<std::uint64_t()> written_;
  const Half& durability_;
  std::atomic<bool> dirty_{false};

  Mutex mutex_;
  Condition changed_;
  bool stop_ LARDER_GUARDED_BY(mutex_) = false;
  bool hurry_ LARDER_GUARDED_BY(mutex_) = false;
  // Group commit: writers that wait while a flush runs are served by the next one together.
  std::uint64_t asked_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t served_ LARDER_GUARDED_BY(mutex_) = 0;
  bool flushing_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::engine
