// Which transactions a rebuild may believe. A power loss leaves any part of what was written since the last flush, so
// of a transaction that may be newer than it all records must be there, or it counts as never made. Its end says how
// many.
//
// What it rests on must be there as well: else an amount that one transaction has moved and the next one has moved on
// would be there twice or not at all. With Durability::kNone older ones may have left the log without ever having been
// on the disk, so nobody asks for them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "base/mutex.h"
#include "engine/record.h"

namespace larder::engine {

class Doubtful {
 public:
  // Transactions below `flushed` are on the disk.
  Doubtful(std::uint64_t flushed, bool in_order) : flushed_(flushed), in_order_(in_order) {}

  bool concerns(std::uint64_t transaction) const { return transaction >= flushed_; }
  // Of one that it concerns, by any thread: a record that is whole, maybe for the second time.
  void found(std::uint64_t transaction, std::uint64_t sequence) {
    MutexLock lock(mutex_);
    found_[transaction].sequences.push_back(sequence);
  }
  void found_end(std::uint64_t transaction, Ending ending) {
    MutexLock lock(mutex_);
    Found& found = found_[transaction];
    found.ended = true;
    found.ending = std::move(ending);
  }

  // When everything was found, by one thread.

  void decide() {
    for (auto& [number, found] : found_) {  // what it rests on has a lower number
      std::sort(found.sequences.begin(), found.sequences.end());
      const auto end = std::unique(found.sequences.begin(), found.sequences.end());
      const auto records = static_cast<std::uint64_t>(end - found.sequences.begin());
      found.happened = found.ended && records == found.ending.records;
      if (!in_order_) continue;
      for (const std::uint64_t other : found.ending.after)
        found.happened = found.happened && other < number && happened(other);
    }
  }
  bool happened(std::uint64_t transaction) const {
    if (!concerns(transaction)) return true;
    const auto at = found_.find(transaction);
    return at != found_.end() && at->second.happened;
  }
  bool any() const { return !found_.empty(); }

 private:
  struct Found {
    std::vector<std::uint64_t> sequences;
    Ending ending;
    bool ended = false;
    bool happened = false;
  };
  const std::uint64_t flushed_;
  const bool in_order_;
  Mutex mutex_;  // of found_, while several look
  std::map<std::uint64_t, Found> found_;
};

}  // namespace larder::engine
