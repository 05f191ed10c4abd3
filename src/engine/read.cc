// Reading without a lock. A reader looks at the slot, the segment's generation and the slot again: now it knows that
// this generation of the segment holds what the slot points at. It copies, and looks at the generation once more: while
// it is the same, nothing of the segment was written anew. Whoever wants the bytes to stay raises a pin count before
// that last look; who recycles raises the generation before looking at the counts, so one of the two sees the other.
#include <algorithm>
#include <queue>
#include <unordered_set>

#include "engine/shard.h"

namespace larder::engine {

namespace {
constexpr int kAttempts = 256;               // before a reader takes the lock
constexpr std::uint32_t kSmallValue = 1024;  // up to here a value is copied by words, beyond it is pinned and copied
}  // namespace

Shard::Shard(std::shared_ptr<Files> files, const Membership& membership, std::uint32_t number, Now now)
    : files_(std::move(files)),
      membership_(membership),
      number_(number),
      now_(now),
      state_(files_->shard(number)),
      generations_(files_->generations()),
      segments_(files_->segments()),
      log_(files_->log()),
      shift_(files_->geometry().segment_shift),
      segment_bytes_(files_->geometry().segment_bytes()),
      first_(files_->geometry().segments_per_shard() * number),
      count_(files_->geometry().segments_per_shard()),
      seed_(files_->seed()),
      unordered_(files_->superblock().durability == static_cast<std::uint32_t>(Durability::kNone)),
      index_(files_, number),
      lock_(state_.lock, membership),
      populated_(count_),
      walked_(count_) {}

// Finds the key's record and hands it to take(record, place, generation, slot, word), which says whether what it took
// was consistent; if not, the search starts over.
template <typename Take>
Shard::Seen Shard::visit(std::string_view key, std::uint64_t hash, Take&& take) const {
  const std::uint64_t tag = Slot::tag(hash);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t shape = index_.shape();
    bool again = false;
    Bucket* bucket = index_.bucket_at(hash, shape);
    for (int hop = 0; bucket != nullptr && hop < Index::kChainMax && !again; ++hop, bucket = index_.next(bucket)) {
#pragma GCC unroll 7
      for (Word& slot : bucket->slots) {
        const std::uint64_t word = slot.load(std::memory_order_acquire);
        if (__builtin_expect(Slot::tag_of(word) != tag, 1)) continue;
        const std::optional<Place> place = locate(Slot::offset(word));
        if (!place) continue;
        __builtin_prefetch(place->at);
        const Word& generation_now = generations_[place->segment];
        const std::uint64_t generation = generation_now.load(std::memory_order_acquire);
        if (!Slot::same(slot.load(std::memory_order_acquire), word)) {
          again = true;
          break;
        }
        const std::optional<Record> record = Record::read(place->at, place->room);
        if (record && record->head.kind() == kValue && record->key_is(key)) {
          if (take(*record, *place, generation, slot, word)) return Seen::kHit;
          again = true;
          break;
        }
        std::atomic_thread_fence(std::memory_order_acquire);
        if (generation_now.load(std::memory_order_relaxed) != generation) {
          again = true;
          break;
        }
      }
    }
    if (!again && index_.shape() == shape) return Seen::kMiss;
  }
  return Seen::kBusy;
}

// visit(), and under the lock when others are in the way for too long.
template <typename Take>
bool Shard::read(std::string_view key, std::uint64_t hash, Take&& take) {
  const Seen seen = visit(key, hash, take);
  if (__builtin_expect(seen != Seen::kBusy, 1)) return seen == Seen::kHit;
  if (files_->read_only()) return false;
  Guard guard(*this);
  return visit(key, hash, take) == Seen::kHit;
}

void Shard::raise_frequency(Word& slot, std::uint64_t word) {
  if ((word & Slot::kFrequencyMask) == Slot::kFrequencyMask) return;
  // Losing the race to anybody is fine.
  slot.compare_exchange_strong(word, word + Slot::kFrequencyOne, std::memory_order_relaxed, std::memory_order_relaxed);
}

EntryInfo Shard::info_of(const Record& record) const {
  return {record.head.sequence, record.head.stored_ms, record.expires_ms, record.head.value_size};
}

bool Shard::copy(std::string_view key, std::uint64_t hash, std::uint32_t stripe, std::string& value) {
  bool over = false;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             const Word& generation_now = generations_[place.segment];
             const std::uint32_t size = record.head.value_size;
             over = now_.past(record.expires_ms);
             if (size <= kSmallValue || over) {
               char bytes[kSmallValue];
               if (!over) copy_out(bytes, record.value(), size);
               std::atomic_thread_fence(std::memory_order_acquire);
               if (generation_now.load(std::memory_order_relaxed) != generation) return false;
               if (!over) value.assign(bytes, size);
             } else if (!files_->read_only()) {
               Half& count = files_->pins(membership_.self().slot, stripe)[place.segment];
               count.fetch_add(1, std::memory_order_seq_cst);
               const bool held = generation_now.load(std::memory_order_seq_cst) == generation;
               if (held) value.assign(record.value(), size);
               count.fetch_sub(1, std::memory_order_release);
               if (!held) return false;
             } else {
               std::string bytes(size, '\0');
               copy_out(bytes.data(), record.value(), size);
               std::atomic_thread_fence(std::memory_order_acquire);
               if (generation_now.load(std::memory_order_relaxed) != generation) return false;
               value = std::move(bytes);
             }
             if (!over && !files_->read_only()) raise_frequency(slot, word);
             return true;
           });
  return hit && !over;
}

std::optional<EntryInfo> Shard::info(std::string_view key, std::uint64_t hash, bool counts_as_read) {
  EntryInfo found;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             found = info_of(record);
             std::atomic_thread_fence(std::memory_order_acquire);
             if (generations_[place.segment].load(std::memory_order_relaxed) != generation) return false;
             if (counts_as_read && !files_->read_only()) raise_frequency(slot, word);
             return true;
           });
  if (!hit || now_.past(found.expires_ms)) return std::nullopt;
  return found;
}

std::optional<Pinned> Shard::pin(std::string_view key, std::uint64_t hash, std::uint32_t stripe, bool counts_as_read) {
  Pinned pinned;
  bool over = false;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             Half& count = files_->pins(membership_.self().slot, stripe)[place.segment];
             count.fetch_add(1, std::memory_order_seq_cst);
             over = now_.past(record.expires_ms);
             const bool held = generations_[place.segment].load(std::memory_order_seq_cst) == generation;
             if (!held || over) {
               count.fetch_sub(1, std::memory_order_release);
               return held;
             }
             pinned = {{record.value(), record.head.value_size}, info_of(record), &count};
             if (counts_as_read) raise_frequency(slot, word);
             return true;
           });
  if (!hit || over) return std::nullopt;
  return pinned;
}

void Shard::collect(std::uint64_t after, std::size_t limit, std::uint32_t stripe, std::vector<Item>& items) {
  // The smallest sequences so far, largest on top.
  const auto later = [](const Item& a, const Item& b) { return a.info.sequence < b.info.sequence; };
  std::priority_queue<Item, std::vector<Item>, decltype(later)> first(later);
  std::unordered_set<std::uint64_t> taken;

  std::vector<Walked> walked(count_);
  if (const std::unique_lock lock(walked_mutex_, std::try_to_lock); lock.owns_lock()) walked = walked_;

  // All segments are pinned before the first is read: an entry that is moved on meanwhile then still lies where it was.
  struct Held {
    std::uint32_t segment;
    std::uint64_t generation;
    std::uint32_t used;
    bool known;  // what `walked` says is still so
  };
  std::vector<Held> held;
  Half* const pins = files_->read_only() ? nullptr : files_->pins(membership_.self().slot, stripe);
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const std::uint64_t generation = generations_[i].load(std::memory_order_acquire);
    if (pins != nullptr) pins[i].fetch_add(1, std::memory_order_seq_cst);
    const std::uint32_t use = segment(i).use.load(std::memory_order_acquire);
    if ((use == kOpen || use == kClosed) && generations_[i].load(std::memory_order_seq_cst) == generation) {
      const std::uint32_t used = std::min(segment(i).used.load(std::memory_order_acquire), segment_bytes_);
      const Walked& before = walked[i - first_];
      held.push_back({i, generation, used, before.generation == generation && before.used == used});
    } else if (pins != nullptr) {
      pins[i].fetch_sub(1, std::memory_order_release);
    }
  }
  // The oldest first, so that the others can be passed by.
  const auto begins = [&](const Held& at) { return at.known ? walked[at.segment - first_].least : 0; };
  std::sort(held.begin(), held.end(), [&](const Held& a, const Held& b) { return begins(a) < begins(b); });
  std::string key;
  for (const Held& at : held) {
    Walked& seen = walked[at.segment - first_];
    if (at.known && (seen.most <= after || (first.size() == limit && seen.least > first.top().info.sequence))) continue;
    seen = {at.generation, at.used, ~std::uint64_t{0}, 0};
    for (std::uint64_t offset = sizeof(SegmentHeader); offset < at.used;) {
      const std::optional<Record> record = Record::read(files_->segment(at.segment) + offset, at.used - offset);
      if (!record) break;
      offset += record->head.bytes();
      const std::uint64_t sequence = record->head.sequence;
      if (record->head.kind() != kValue) continue;
      seen.least = std::min(seen.least, sequence);
      seen.most = std::max(seen.most, sequence);
      if (sequence <= after || now_.past(record->expires_ms)) continue;
      if (first.size() == limit && sequence >= first.top().info.sequence) continue;
      if (taken.count(sequence) != 0) continue;
      key.resize(record->head.key_size);
      copy_out(key.data(), record->key(), key.size());
      if (pins == nullptr) {
        std::atomic_thread_fence(std::memory_order_acquire);
        if (generations_[at.segment].load(std::memory_order_relaxed) != at.generation) break;
      }
      // It lives when it is what the index has for the key, here or where it was moved.
      const std::optional<EntryInfo> now = info(key, key_hash(key), false);
      if (!now || now->sequence != sequence) continue;
      first.push({key, *now});
      taken.insert(sequence);
      if (first.size() > limit) {
        taken.erase(first.top().info.sequence);
        first.pop();
      }
    }
  }
  if (const std::unique_lock lock(walked_mutex_, std::try_to_lock); lock.owns_lock()) walked_ = std::move(walked);
  if (pins != nullptr) {
    for (const Held& at : held) pins[at.segment].fetch_sub(1, std::memory_order_release);
  }
  for (; !first.empty(); first.pop()) items.push_back(first.top());
}

}  // namespace larder::engine
