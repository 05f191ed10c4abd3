// The change feed. Every change takes the next sequence under its shard's lock; so who has read the next sequence, and
// then had each shard's lock once, finds every change with a lower one in the log.
//
// A record that goes without leaving another of its key takes knowledge along: ShardState::feed_floor is raised to its
// sequence before it goes. So the floor is looked at after the records.
#include <larder/feed.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "engine/shard.h"

namespace larder::engine {

void Shard::raise_feed_floor(std::uint64_t sequence) {
  if (state_.feed_floor.load(std::memory_order_relaxed) < sequence)
    state_.feed_floor.store(sequence, std::memory_order_release);
}

bool Shard::seen_free() {
  if (!files_->read_only()) {
    const Guard guard(*this);
    return true;
  }
  const SteadyTime since = std::chrono::steady_clock::now();
  do {
    if (state_.lock.load(std::memory_order_seq_cst) == 0) return true;
  } while (wait_for_holder(since));
  return state_.lock.load(std::memory_order_seq_cst) == 0;
}

Shard::Fed Shard::changes(std::uint64_t after, std::uint64_t horizon, std::size_t limit, std::uint32_t stripe,
                          std::map<std::uint64_t, ChangeEvent>& events) {
  const HeldSegments held(*this, stripe);
  if (!held.whole()) return Fed::kAgain;
  std::vector<Followed> followed(count_);
  if (const std::unique_lock lock(followed_mutex_, std::try_to_lock); lock.owns_lock()) followed = followed_;
  for (const HeldSegments::One& at : held.segments()) {
    Followed& known = followed[at.number - first_];
    if (known.generation == at.generation && known.used == at.used && known.most <= after) continue;
    std::uint64_t most = 0;
    for (std::uint64_t offset = sizeof(SegmentHeader); offset < at.used;) {
      const std::optional<Record> record = Record::read(files_->segment(at.number) + offset, at.used - offset);
      if (!record) {
        most = ~std::uint64_t{0};  // it cannot be said what lies behind
        break;
      }
      offset += record->head.bytes();
      const std::uint32_t kind = record->head.kind();
      if (kind != kValue && kind != kTombstone) continue;
      const std::uint64_t sequence = record->head.sequence;
      most = std::max(most, sequence);
      if (sequence <= after || sequence >= horizon) continue;
      if (events.size() >= limit && sequence > events.rbegin()->first) continue;
      ChangeEvent event;
      event.sequence = sequence;
      event.kind = kind == kValue ? ChangeEvent::kSet : ChangeEvent::kDeleted;
      event.key.resize(record->head.key_size);
      copy_out(event.key.data(), record->key(), event.key.size());
      // A tombstone of the same sequence says that the value has gone since.
      ChangeEvent& told = events[sequence];
      if (told.kind != ChangeEvent::kDeleted || told.key.empty()) told = std::move(event);
      if (events.size() > limit) events.erase(std::prev(events.end()));
    }
    known = {at.generation, at.used, most};
  }
  if (!held.undisturbed()) return Fed::kAgain;
  if (const std::unique_lock lock(followed_mutex_, std::try_to_lock); lock.owns_lock()) followed_ = std::move(followed);
  return state_.feed_floor.load(std::memory_order_acquire) > after ? Fed::kLost : Fed::kAll;
}

}  // namespace larder::engine
