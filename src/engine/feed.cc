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
  // As collect() does: all segments are held before the first is read, so what is moved on meanwhile is not missed.
  struct Held {
    std::uint32_t segment;
    std::uint64_t generation;
    std::uint32_t used;
  };
  std::vector<Held> held;
  // Before the first is held: what is moved from one that goes in between to one that was held before would be missed.
  std::vector<std::uint64_t> generations(count_);
  for (std::uint32_t i = 0; i < count_; ++i) generations[i] = generations_[first_ + i].load(std::memory_order_acquire);
  const auto same = [&] {
    for (std::uint32_t i = 0; i < count_; ++i) {
      if (generations_[first_ + i].load(std::memory_order_seq_cst) != generations[i]) return false;
    }
    return true;
  };
  Half* const pins = files_->read_only() ? nullptr : files_->pins(membership_.self().slot, stripe);
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const std::uint64_t generation = generations[i - first_];
    if (pins != nullptr) pins[i].fetch_add(1, std::memory_order_seq_cst);
    const std::uint32_t use = segment(i).use.load(std::memory_order_acquire);
    if ((use == kOpen || use == kClosed) && generations_[i].load(std::memory_order_seq_cst) == generation) {
      held.push_back({i, generation, std::min(segment(i).used.load(std::memory_order_acquire), segment_bytes_)});
    } else if (pins != nullptr) {
      pins[i].fetch_sub(1, std::memory_order_release);
    }
  }
  const auto let_go = [&] {
    for (const Held& at : held) {
      if (pins != nullptr) pins[at.segment].fetch_sub(1, std::memory_order_release);
    }
  };
  if (!same()) {
    let_go();
    return Fed::kAgain;
  }
  std::vector<Followed> followed(count_);
  if (const std::unique_lock lock(followed_mutex_, std::try_to_lock); lock.owns_lock()) followed = followed_;
  for (const Held& at : held) {
    Followed& known = followed[at.segment - first_];
    if (known.generation == at.generation && known.used == at.used && known.most <= after) continue;
    std::uint64_t most = 0;
    for (std::uint64_t offset = sizeof(SegmentHeader); offset < at.used;) {
      const std::optional<Record> record = Record::read(files_->segment(at.segment) + offset, at.used - offset);
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
  let_go();
  std::atomic_thread_fence(std::memory_order_acquire);
  if (pins == nullptr && !same()) return Fed::kAgain;
  if (const std::unique_lock lock(followed_mutex_, std::try_to_lock); lock.owns_lock()) followed_ = std::move(followed);
  return state_.feed_floor.load(std::memory_order_acquire) > after ? Fed::kLost : Fed::kAll;
}

}  // namespace larder::engine
