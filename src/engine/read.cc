// Reading without a lock. A reader looks at the slot, the segment's generation and the slot again: now it knows that
// this generation of the segment holds what the slot points at. It copies, and looks at the generation once more: while
// it is the same, nothing of the segment was written anew. Whoever wants the bytes to stay raises a pin count before
// that last look; who recycles raises the generation before looking at the counts, so one of the two sees the other.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>

#include "engine/glob.h"
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
      durability_(files_->globals().settings.durability),
      tags_(*files_),
      index_(files_, number),
      lock_(state_.lock, membership),
      populated_(count_),
      walked_(count_),
      followed_(count_) {}

// Finds the key's record and hands it to take(record, place, generation, slot, word), which says whether what it took
// was consistent; if not, the search starts over.
template <typename Take>
Shard::Seen Shard::visit(std::string_view key, std::uint64_t hash, Take&& take) const {
  const std::uint64_t tag = Slot::tag(hash);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // Before anything else is looked at: who has seen one write of a transaction must see all of them.
    if (__builtin_expect(state_.switching.load(std::memory_order_acquire) != 0, 0)) return Seen::kBusy;
    const std::uint64_t shape = index_.shape();
    bool again = false;
    Bucket* bucket = index_.bucket_at(hash, shape);
    for (int hop = 0; bucket != nullptr && hop < Index::kChainMax && !again; ++hop, bucket = index_.next(bucket)) {
      for (unsigned found = Slots(bucket).with(tag); found != 0;) {
        Word& slot = bucket->slots[Slots::take(found)];
        const std::uint64_t word = slot.load(std::memory_order_acquire);
        if (Slot::tag_of(word) != tag) continue;
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

// A transaction is made visible in microseconds, unless its process waits for a processor, or died: then there is no
// answer before somebody repairs the shard.
bool Shard::wait_for_holder(SteadyTime since) const {
  constexpr auto kPatience = std::chrono::milliseconds(20);
  constexpr auto kPatienceWithTheLiving = std::chrono::seconds(2);
  const auto waited = std::chrono::steady_clock::now() - since;
  if (waited > kPatienceWithTheLiving) return false;
  if (waited > kPatience) {
    const std::uint32_t holder = state_.lock.load(std::memory_order_acquire);
    if (holder != 0 && !membership_.alive(holder)) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  std::this_thread::yield();
  return true;
}

// For who cannot take the lock. A miss is never wrong.
template <typename Take>
bool Shard::read_waiting(std::string_view key, std::uint64_t hash, Take&& take) const {
  const SteadyTime since = std::chrono::steady_clock::now();
  do {
    const Seen seen = visit(key, hash, take);
    if (seen != Seen::kBusy) return seen == Seen::kHit;
  } while (wait_for_holder(since));
  return visit(key, hash, take) == Seen::kHit;
}

// visit(), and under the lock when others are in the way for too long.
template <typename Take>
bool Shard::read(std::string_view key, std::uint64_t hash, Take&& take) {
  const Seen seen = visit(key, hash, take);
  if (__builtin_expect(seen != Seen::kBusy, 1)) return seen == Seen::kHit;
  if (files_->read_only()) return read_waiting(key, hash, take);
  Guard guard(*this);
  // Who switches holds the lock, so this is damage.
  if (state_.switching.load(std::memory_order_relaxed) != 0) state_.switching.store(0, std::memory_order_release);
  return visit(key, hash, take) == Seen::kHit;
}

void Shard::raise_frequency(Word& slot, std::uint64_t word) const {
  const std::uint64_t frequency = Slot::frequency(word);
  if (frequency == 3) return;
  if (frequency > 0) {
    const Policy policy = files_->policy();
    if (policy == Policy::kLeastRecentlyUsed) return;  // read since the hand came by is all it asks
    if (policy == Policy::kLeastFrequentlyUsed) {
      // Counts by chance: 1, 2 and 3 stand for about 1, 5 and 21 reads.
      thread_local std::uint32_t chance = 1;
      chance = chance * 1664525 + 1013904223;
      if (chance >> (frequency == 1 ? 30 : 28) != 0) return;
    }
  }
  // Losing the race to anybody is fine.
  slot.compare_exchange_strong(word, word + Slot::kFrequencyOne, std::memory_order_relaxed, std::memory_order_relaxed);
}

EntryInfo Shard::info_of(const Record& record) const {
  EntryInfo info;
  info.sequence = record.head.sequence;
  info.stored_ms = record.head.stored_ms;
  info.expires_ms = record.expires_ms;
  info.value_bytes = record.value_bytes();
  info.place = record.place();
  info.cost = record.cost();
  info.format = static_cast<std::uint8_t>(record.head.flags >> kFormatShift);
  info.pinned = (record.head.flags & kIsPinned) != 0;
  info.tagged = (record.head.flags & kHasTags) != 0;
  return info;
}

// Whether what a reader found is over; nullopt: look again. That a tag was evicted may be forgotten as soon as the last
// record with it is out of the index, so the slot decides.
std::optional<bool> Shard::over(const Record& record, const Word& slot, std::uint64_t word) const {
  if (now_.past(record.expires_ms)) return true;
  if (__builtin_expect((record.head.flags & kHasTags) == 0, 1)) return false;
  if (tags_.evicted(record)) return true;
  if (!Slot::same(slot.load(std::memory_order_acquire), word)) return std::nullopt;
  return false;
}

Shard::Got Shard::copy(std::string_view key, std::uint64_t hash, std::uint32_t stripe, std::string& value) {
  bool over = false;
  bool large = false;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             const Word& generation_now = generations_[place.segment];
             const std::uint32_t size = record.head.value_size;
             const std::optional<bool> ended = this->over(record, slot, word);
             if (!ended) return false;
             over = *ended;
             large = record.is_blob();
             if (size <= kSmallValue || over) {
               char bytes[kSmallValue];
               if (!over) copy_out(bytes, record.value(), std::min(size, kSmallValue));
               std::atomic_thread_fence(std::memory_order_acquire);
               if (generation_now.load(std::memory_order_relaxed) != generation) return false;
               if (!over && !large) value.assign(bytes, size);
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
  if (!hit || over) return Got::kMiss;
  return __builtin_expect(large, 0) ? Got::kLarge : Got::kValue;
}

std::optional<EntryInfo> Shard::info(std::string_view key, std::uint64_t hash, bool counts_as_read) {
  EntryInfo found;
  bool over = false;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             const std::optional<bool> ended = this->over(record, slot, word);
             if (!ended) return false;
             over = *ended;
             found = info_of(record);
             std::atomic_thread_fence(std::memory_order_acquire);
             if (generations_[place.segment].load(std::memory_order_relaxed) != generation) return false;
             if (counts_as_read && !files_->read_only()) raise_frequency(slot, word);
             return true;
           });
  if (!hit || over) return std::nullopt;
  return found;
}

std::optional<Copied> Shard::copy_all(std::string_view key, std::uint64_t hash) {
  Copied copied;
  bool over = false;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             const std::optional<bool> ended = this->over(record, slot, word);
             if (!ended) return false;
             over = *ended;
             copied.info = info_of(record);
             copied.blob = record.blob();
             copied.bytes.resize(record.head.value_size);
             copy_out(copied.bytes.data(), record.value(), copied.bytes.size());
             copied.tags.resize(record.head.tags_bytes);
             copy_out(copied.tags.data(), record.tags().data(), copied.tags.size());
             std::atomic_thread_fence(std::memory_order_acquire);
             return generations_[place.segment].load(std::memory_order_relaxed) == generation;
           });
  if (!hit || over) return std::nullopt;
  return copied;
}

std::optional<Pinned> Shard::pin(std::string_view key, std::uint64_t hash, std::uint32_t stripe, bool counts_as_read) {
  Pinned pinned;
  bool over = false;
  const bool hit =
      read(key, hash,
           [&](const Record& record, const Place& place, std::uint64_t generation, Word& slot, std::uint64_t word) {
             Half& count = files_->pins(membership_.self().slot, stripe)[place.segment];
             count.fetch_add(1, std::memory_order_seq_cst);
             const std::optional<bool> ended = this->over(record, slot, word);
             over = ended.value_or(false);
             const bool held = generations_[place.segment].load(std::memory_order_seq_cst) == generation;
             const bool large = record.is_blob();
             if (!held || !ended || over || large) {
               count.fetch_sub(1, std::memory_order_release);
               if (!held || !ended) return false;
               pinned = {};
             } else {
               pinned = {{record.value(), record.head.value_size}, record.tags(), info_of(record), &count};
             }
             if (!over && counts_as_read) raise_frequency(slot, word);
             return true;
           });
  if (!hit || over) return std::nullopt;
  return pinned;
}

void Shard::prefetch(std::uint64_t hash) const {
  index_.find(hash, [&](Word&, std::uint64_t word) {
    if (const std::optional<Place> place = locate(Slot::offset(word))) __builtin_prefetch(place->at);
    return true;
  });
}

HeldSegments::HeldSegments(const Shard& shard, std::uint32_t stripe) : shard_(shard), generations_(shard.count_) {
  pins_ = shard.files_->read_only() ? nullptr : shard.files_->pins(shard.membership_.self().slot, stripe);
  // Before the first is held: what is moved from one that goes in between to one that was held before would be missed.
  for (std::uint32_t i = 0; i < shard.count_; ++i)
    generations_[i] = shard.generations_[shard.first_ + i].load(std::memory_order_acquire);
  for (std::uint32_t i = shard.first_; i < shard.first_ + shard.count_; ++i) {
    const std::uint64_t generation = generations_[i - shard.first_];
    if (pins_ != nullptr) pins_[i].fetch_add(1, std::memory_order_seq_cst);
    const SegmentState& at = shard.segment(i);
    const std::uint32_t use = at.use.load(std::memory_order_acquire);
    if ((use == kOpen || use == kClosed) && shard.generations_[i].load(std::memory_order_seq_cst) == generation) {
      segments_.push_back({i, generation, std::min(at.used.load(std::memory_order_acquire), shard.segment_bytes_)});
    } else if (pins_ != nullptr) {
      pins_[i].fetch_sub(1, std::memory_order_release);
    }
  }
  whole_ = same();
}

HeldSegments::~HeldSegments() {
  if (pins_ == nullptr) return;
  for (const One& at : segments_) pins_[at.number].fetch_sub(1, std::memory_order_release);
}

bool HeldSegments::same() const {
  for (std::uint32_t i = 0; i < shard_.count_; ++i) {
    if (shard_.generations_[shard_.first_ + i].load(std::memory_order_seq_cst) != generations_[i]) return false;
  }
  return true;
}

bool HeldSegments::undisturbed() const {
  std::atomic_thread_fence(std::memory_order_acquire);
  return pinned() || same();
}

// The first so many of the items that are put in, in any order. What comes behind them is not kept for long, and known
// by comparing one number: a heap of whole items lost, each step of which moved two strings.
class FirstItems {
 public:
  FirstItems(const Walk& walk, std::size_t count) : walk_(walk), count_(count) {}

  // Whether so many lie before `order` already.
  bool full_before(std::uint64_t order) const { return items_.size() >= count_ && order > latest_; }
  void put(Item item) {
    latest_ = std::max(latest_, walk_.order(item.info.place));
    items_.push_back(std::move(item));
    if (items_.size() / 2 >= count_) keep_first();
  }
  std::vector<Item>& sorted() {
    keep_first();
    return items_;
  }
  // An entry that was moved on meanwhile has been seen twice. Then fewer than so many may be left.
  std::size_t doubles() const { return doubles_; }

 private:
  void keep_first() {
    std::sort(items_.begin(), items_.end(),
              [&](const Item& a, const Item& b) { return walk_.order(a.info.place) < walk_.order(b.info.place); });
    const auto end = std::unique(items_.begin(), items_.end(),
                                 [](const Item& a, const Item& b) { return a.info.sequence == b.info.sequence; });
    doubles_ += static_cast<std::size_t>(items_.end() - end);
    items_.erase(end, items_.end());
    if (items_.size() > count_) items_.resize(count_);
    if (!items_.empty()) latest_ = walk_.order(items_.back().info.place);
  }

  const Walk& walk_;
  const std::size_t count_;
  std::vector<Item> items_;
  std::uint64_t latest_ = 0;
  std::size_t doubles_ = 0;
};

void Shard::collect(const Walk& walk, std::uint32_t stripe, std::vector<Item>& items) {
  constexpr int kTriesMost = 50;  // of who has no pins, while writers move everything all the time
  int tries = 0;
  // With room for those that will be seen twice; seldom any.
  for (std::size_t count = walk.limit;;) {
    FirstItems first(walk, count);
    if (!collect_first(walk, stripe, first) && ++tries < kTriesMost) continue;
    std::vector<Item>& found = first.sorted();
    const bool whole = first.doubles() == 0 || count - walk.limit >= first.doubles();
    if (whole) {
      if (found.size() > walk.limit) found.resize(walk.limit);
      items.insert(items.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
      return;
    }
    count = walk.limit + 2 * first.doubles();
  }
}

bool Shard::collect_first(const Walk& walk, std::uint32_t stripe, FirstItems& first) {
  std::vector<Walked> walked(count_);
  if (const std::unique_lock lock(walked_mutex_, std::try_to_lock); lock.owns_lock()) walked = walked_;

  HeldSegments held(*this, stripe);
  if (!held.whole()) return false;
  // What `walked` says of it is still so.
  const auto known = [&](const HeldSegments::One& at) {
    const Walked& before = walked[at.number - first_];
    return before.generation == at.generation && before.used == at.used;
  };
  // Those that begin first come first, so that the others can be passed by.
  const auto begin_of = [&](const Walked& seen) { return walk.back ? ~seen.most : seen.least; };
  const auto end_of = [&](const Walked& seen) { return walk.back ? ~seen.least : seen.most; };
  const auto begins = [&](const HeldSegments::One& at) { return known(at) ? begin_of(walked[at.number - first_]) : 0; };
  std::sort(held.segments().begin(), held.segments().end(),
            [&](const HeldSegments::One& a, const HeldSegments::One& b) { return begins(a) < begins(b); });
  std::string key;
  std::string tags;
  for (const HeldSegments::One& at : held.segments()) {
    Walked& seen = walked[at.number - first_];
    if (known(at) && (end_of(seen) <= walk.begin() || first.full_before(begin_of(seen)))) continue;
    seen = {at.generation, at.used, ~std::uint64_t{0}, 0};
    for (std::uint64_t offset = sizeof(SegmentHeader); offset < at.used;) {
      const std::optional<Record> record = Record::read(files_->segment(at.number) + offset, at.used - offset);
      if (!record) break;
      offset += record->head.bytes();
      if (record->head.kind() != kValue) continue;
      const std::uint64_t sequence = record->head.sequence;
      const std::uint64_t place = record->place();
      seen.least = std::min(seen.least, place);
      seen.most = std::max(seen.most, place);
      if (walk.order(place) <= walk.begin() || first.full_before(walk.order(place)) || over(*record)) continue;
      key.resize(record->head.key_size);
      copy_out(key.data(), record->key(), key.size());
      tags.resize(record->head.tags_bytes);
      copy_out(tags.data(), record->tags().data(), tags.size());
      if (!held.pinned()) {
        std::atomic_thread_fence(std::memory_order_acquire);
        if (generations_[at.number].load(std::memory_order_relaxed) != at.generation) break;
      }
      std::vector<std::string> named = decode_tags(tags);
      if (walk.filter != nullptr) {
        const std::string& tag = walk.filter->tag;
        if (!names(*walk.filter, key)) continue;
        if (!tag.empty() && std::find(named.begin(), named.end(), tag) == named.end()) continue;
      }
      // It lives when it is what the index has for the key, here or where it was moved.
      const std::optional<EntryInfo> now = info(key, key_hash(key), false);
      if (!now || now->sequence != sequence) continue;
      first.put({key, *now, std::move(named)});
    }
  }
  if (!held.undisturbed()) return false;
  if (const std::unique_lock lock(walked_mutex_, std::try_to_lock); lock.owns_lock()) walked_ = std::move(walked);
  return true;
}

}  // namespace larder::engine
