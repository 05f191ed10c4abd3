// Making room. Segments are freed whole: what deserves to stay is copied on, slot by slot, before the old segment goes,
// so readers never miss an entry that is kept. The segment in work (`victim`) and how far the work has come are in
// the shard's state, so whoever holds the lock next carries on; every writer does a small part, so nobody pauses.
//
// Which one: one that nothing lives in; else, while less than three quarters of the shard live, the emptiest, with
// nothing evicted; else S3-FIFO's rules on segments. New entries go to the small queue, a tenth of the shard. Its
// oldest segment goes when it is longer than that: what was read since moves to the main queue, the rest is evicted and
// its hashes remembered as ghosts; a ghost that comes back goes straight to the main queue. From the main queue's
// oldest segment, what was read stays, with one less to its frequency. When nearly all of
// one stayed, at most 15 of 16 parts of the next do, so that freeing gains. (SIEVE lost: it is bad when what is popular
// drifts. Lists in the order of reads lost: a write for every read.) Least-frequently-used has the two queues as well,
// the other policies have one, see docs/design/engine.md.
//
// A segment is freed in two walks. The first moves on what stays, and leaves the tombstones that are needed; then they
// must get to the disk, since nothing orders what the kernel writes back: the old segment's end may reach the disk long
// before the copies do, or before what the others of its records were replaced by. The second walk takes the rest out
// of the index, and the segment is gone. That counts when it is on the disk too (`gone`): only then is the segment
// written again, and only then may a tombstone go that covers what was in it. Else a power loss could bring back what
// had been deleted. With Durability::kNone nothing waits.
//
// Segments are gone in the order in which they were freed: a second walk begins when all segments freed before are
// gone. So what is set after its key was evicted needs no mark that an older record may lie somewhere. (Marks lost:
// each cost a tombstone when its record went, a seventh of the cache.)
#include <sys/mman.h>

#include <algorithm>
#include <chrono>

#include "base/try.h"
#include "engine/shard.h"
#include "engine/steps.h"

namespace larder::engine {

namespace {

constexpr std::uint32_t kSpareWanted = 2;              // one to write to, one to move survivors to
constexpr std::uint32_t kNeverPinned = 4;              // the others must have room to live
constexpr std::uint64_t kAllocateAtOnce = 256 * 1024;  // disk space, and its pages: 60 us, once in that many bytes
constexpr std::uint64_t kPopulateAtOnce = 32 * 1024;   // pages of a file system in memory, touched ahead of the writer
constexpr std::uint64_t kPace = 4;                     // bytes of a victim dealt with for each byte written

// Bits of ShardState::victim_rule.
constexpr std::uint32_t kMoveAll = 1;     // nothing is evicted
constexpr std::uint32_t kSecondWalk = 2;  // what stays was moved on
constexpr std::uint32_t kHasMoved = 4;    // and that, or what replaced the rest, has to get to the disk

// Bytes that nothing needs any more. Not the end that was left free: large records may not fit it in a new segment
// either.
std::uint64_t garbage(const SegmentState& at) {
  const std::uint32_t used = at.used.load(std::memory_order_relaxed);
  const std::uint32_t live = at.live.load(std::memory_order_relaxed);
  return used > live ? used - live : 0;
}
std::uint64_t up_to(std::uint64_t n, std::uint64_t unit) { return (n + unit - 1) / unit * unit; }
void count_one(Word& counter) { counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

}  // namespace

std::uint32_t Shard::active(Queue queue) const {
  const std::uint32_t number = state_.active[queue].load(std::memory_order_relaxed);
  if (!mine(number)) return kNone;
  const SegmentState& at = segment(number);
  const std::uint32_t used = at.used.load(std::memory_order_relaxed);
  const bool open = at.use.load(std::memory_order_relaxed) == kOpen;
  return open && used >= sizeof(SegmentHeader) && used <= segment_bytes_ && used % 8 == 0 ? number : kNone;
}

std::uint32_t Shard::allowed_segments() const {
  const Geometry& g = files_->geometry();
  const std::uint64_t whole = files_->settings().size_limit_bytes;
  const std::uint64_t limit = (whole - std::min(files_->blob_bytes(), blob_bytes_most(whole))) / g.shards;
  const std::uint64_t overhead = g.ctl_bytes() / g.shards + index_.disk_bytes();
  const std::uint64_t left = limit > overhead ? limit - overhead : 0;
  // Never so few that nothing can be moved.
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(left >> shift_, 5, count_));
}

std::uint32_t Shard::segments_with(SegmentUse from) const {
  std::uint32_t sum = 0;
  for (std::uint32_t i = first_; i < first_ + count_; ++i)
    sum += segment(i).use.load(std::memory_order_relaxed) >= from ? 1 : 0;
  return sum;
}

std::uint32_t Shard::pinned_segments() const {
  std::uint32_t sum = 0;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    sum += at.use.load(std::memory_order_relaxed) >= kOpen && at.queue.load(std::memory_order_relaxed) == kPinned;
  }
  return sum;
}

void Shard::recount_spare() {
  const std::uint32_t allowed = allowed_segments();
  const std::uint32_t in_use = segments_with(kOpen);
  state_.spare.store(allowed > in_use ? allowed - in_use : 0, std::memory_order_relaxed);
}

bool Shard::gone(const SegmentState& at) const {
  return unordered() || at.opened.load(std::memory_order_relaxed) == 0 ||
         files_->globals().flushes_done.load(std::memory_order_acquire) > at.freed.load(std::memory_order_relaxed);
}

// Whether a record written before `sequence` may lie in another segment, on the disk or in memory.
bool Shard::older_may_exist(std::uint64_t sequence, std::uint32_t except) const {
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(std::memory_order_relaxed);
    if (i == except || at.opened.load(std::memory_order_relaxed) > sequence) continue;
    if (at.opened.load(std::memory_order_relaxed) != 0 && (use >= kOpen || !gone(at))) return true;
  }
  return false;
}

// --- Segments to write to --------------------------------------------------------------------------------------------

std::uint32_t Shard::take_free(Need need) {
  std::uint32_t ready = kNone;
  std::uint32_t empty = kNone;
  std::uint32_t available = 0;
  for (std::uint32_t i = first_ + count_; i-- > first_;) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(std::memory_order_relaxed);
    if (use > kFree || !gone(at)) continue;
    (use == kFree ? ready : empty) = i;
    available += use == kFree ? 1 : 0;
  }
  if (need == Need::kMoving) return ready != kNone ? ready : empty;
  const std::uint32_t allowed = allowed_segments();
  const std::uint32_t allocated = segments_with(kFree);
  const std::uint32_t in_use = segments_with(kOpen);
  if (allowed > allocated && empty != kNone) available += allowed - allocated;
  available = std::min(available, allowed > in_use ? allowed - in_use : 0);
  // A cache that is full of what is never evicted must still let it be deleted.
  if (available < (need == Need::kTombstone ? 1 : kSpareWanted)) return kNone;
  if (need == Need::kPinned && pinned_segments() + kNeverPinned >= allowed) return kNone;
  return ready != kNone ? ready : empty;
}

void Shard::open_segment(Queue queue, std::uint32_t number) {
  SegmentState& at = segment(number);
  const std::uint32_t before = active(queue);
  const std::uint64_t opened = files_->globals().sequence.load(std::memory_order_relaxed);
  at.queue.store(queue, std::memory_order_relaxed);
  at.used.store(sizeof(SegmentHeader), std::memory_order_relaxed);
  at.live.store(0, std::memory_order_relaxed);
  at.tombs.store(0, std::memory_order_relaxed);
  at.expires_max.store(0, std::memory_order_relaxed);
  at.replaced.store(0, std::memory_order_relaxed);
  at.transaction.store(0, std::memory_order_relaxed);
  at.opened.store(opened, std::memory_order_relaxed);
  at.use.store(kOpen, std::memory_order_release);
  step(Step::kSegmentTaken);
  write_segment_header(number, queue, opened);
  step(Step::kSegmentHeaded);
  state_.active[queue].store(number, std::memory_order_release);
  step(Step::kSegmentActive);
  if (before != kNone) segment(before).use.store(kClosed, std::memory_order_release);
  recount_spare();
}

// Disk space and touched pages for everything before `end`.
Status Shard::make_ready(std::uint32_t number, std::uint64_t end) {
  SegmentState& at = segment(number);
  const std::uint64_t base = std::uint64_t{number} << shift_;
  std::uint64_t allocated = std::min(at.allocated.load(std::memory_order_relaxed), segment_bytes_);
  if (__builtin_expect(allocated < end, 0)) {
    const std::uint64_t wanted = std::min<std::uint64_t>(up_to(end, kAllocateAtOnce), segment_bytes_);
    TRY(files_->allocate_log(base + allocated, wanted - allocated));
    // Not over what is used, whatever the account of the space says.
    const std::uint64_t fresh = std::max(allocated, up_to(at.used.load(std::memory_order_relaxed), kPage));
    if (fresh < wanted) files_->bring_in_log(base + fresh, wanted - fresh);
    at.allocated.store(static_cast<std::uint32_t>(wanted), std::memory_order_release);
    allocated = wanted;
  }
  if (!files_->in_memory()) return {};
  Populated& mine_so_far = populated_[number - first_];
  const std::uint64_t generation = generations_[number].load(std::memory_order_relaxed);
  if (__builtin_expect(mine_so_far.generation != generation, 0))
    mine_so_far = {generation, at.used.load(std::memory_order_relaxed) / kPage * kPage};
  if (__builtin_expect(mine_so_far.end < end, 0)) {
    const std::uint64_t to = std::min(up_to(end + kPopulateAtOnce / 2, kPage), up_to(allocated, kPage));
    // What the kernel does not know or cannot do now, page faults will do.
    ::madvise(log_ + base + mine_so_far.end, to - mine_so_far.end, MADV_POPULATE_WRITE);
    mine_so_far.end = to;
  }
  return {};
}

Result<Room> Shard::reserve(Queue queue, std::uint64_t bytes, Need need) {
  if (queue == kPinned) need = Need::kPinned;
  // A victim that was begun is finished, whoever chose it.
  const std::uint32_t victim = state_.victim.load(std::memory_order_relaxed);
  const bool begun =
      need != Need::kTombstone && mine(victim) && segment(victim).use.load(std::memory_order_relaxed) == kClosed;
  if (begun || state_.spare.load(std::memory_order_relaxed) < kSpareWanted) evict_step(kPace * bytes + 512);
  for (std::uint32_t round = 0;; ++round) {
    std::uint32_t to = active(queue);
    if (to == kNone || segment(to).used.load(std::memory_order_relaxed) + bytes > segment_bytes_) {
      to = take_free(need);
      if (to != kNone) {
        TRY(make_ready(to, sizeof(SegmentHeader)));
        open_segment(queue, to);
        if (need != Need::kTombstone) choose_for_reuse();  // who removes many counts what it removes
        continue;
      }
      // Enough are free, but must get to the disk: evicting more would only empty the cache.
      recount_spare();
      if (state_.spare.load(std::memory_order_relaxed) >= kSpareWanted && some_wait_for_disk()) return Room::kFlush;
      const Progress progress = evict_step(~std::uint64_t{0});
      if (round < 8 * count_ && (progress == Progress::kSome || progress == Progress::kDone)) continue;
      if (victim_waits()) return Room::kFlush;
      if (some_wait_for_disk()) return Room::kFlush;
      if (draining()) return Room::kPins;
      return Error{Code::kNoSpace, files_->path().string() + ": the cache is full and nothing can be evicted"};
    }
    TRY(make_ready(to, segment(to).used.load(std::memory_order_relaxed) + bytes));
    return Room::kReady;
  }
}

bool Shard::some_wait_for_disk() const {
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    if (segment(i).use.load(std::memory_order_relaxed) == kFree && !gone(segment(i))) return true;
  }
  return false;
}

bool Shard::room_for_moving(Queue queue, std::uint64_t bytes) {
  std::uint32_t to = active(queue);
  if (to == kNone || segment(to).used.load(std::memory_order_relaxed) + bytes > segment_bytes_) {
    to = take_free(Need::kMoving);
    if (to == kNone || !make_ready(to, sizeof(SegmentHeader)).ok()) return false;
    open_segment(queue, to);
  }
  return make_ready(to, segment(to).used.load(std::memory_order_relaxed) + bytes).ok();
}

std::uint64_t Shard::entries_most() const {
  const std::uint64_t limit = files_->globals().settings.entry_limit.load(std::memory_order_relaxed);
  return limit == 0 ? ~std::uint64_t{0} : std::max<std::uint64_t>(limit / files_->geometry().shards, 1);
}

// A limit on entries is kept one by one, since a segment may hold all of them: a hand goes over the records in the
// order in which their segments were opened and takes the first that was not read since it came by, as CLOCK does.
Result<Room> Shard::evict_entries(std::uint64_t most) {
  const Policy policy = files_->settings().policy;
  // Each record is passed four times at most before its frequency is used up.
  std::uint64_t patience = 8 * std::uint64_t{count_} * segment_bytes_;
  while (state_.entries.load(std::memory_order_relaxed) > most && patience > 0) {
    if (policy == Policy::kNone)
      return Error{Code::kNoSpace,
                   files_->path().string() + ": holds as many entries as it may, and its policy is none"};
    const bool valid = mine(hand_.segment) && segment(hand_.segment).use.load(std::memory_order_relaxed) >= kOpen &&
                       segment(hand_.segment).use.load(std::memory_order_relaxed) <= kClosed &&
                       generations_[hand_.segment].load(std::memory_order_relaxed) == hand_.generation;
    const std::uint32_t used =
        valid ? std::min(segment(hand_.segment).used.load(std::memory_order_relaxed), segment_bytes_) : 0;
    const std::uint64_t base = std::uint64_t{valid ? hand_.segment : 0} << shift_;
    const std::optional<Record> record =
        hand_.offset < used ? Record::read(log_ + base + hand_.offset, used - hand_.offset) : std::nullopt;
    if (!record) {
      patience -= std::min<std::uint64_t>(patience, 4096);
      hand_ = next_for_hand();
      continue;
    }
    const std::uint64_t offset = base + hand_.offset;
    hand_.offset += static_cast<std::uint32_t>(record->head.bytes());
    patience -= std::min(patience, record->head.bytes());
    if (record->head.kind() != kValue || (record->head.flags & kIsPinned) != 0) continue;
    const std::uint64_t hash = key_hash({record->key(), record->head.key_size});
    Word* slot = index_.find_offset(hash, offset);
    if (slot == nullptr) continue;
    const std::uint64_t word = slot->load(std::memory_order_relaxed);
    if (policy != Policy::kLeastRecentlyStored && Slot::frequency(word) > 0 && !over(*record)) {
      std::uint64_t expected = word;
      slot->compare_exchange_strong(expected, word - Slot::kFrequencyOne, std::memory_order_relaxed);
      continue;
    }
    const Room room = TRY(reserve(kSmall, record->head.bytes(), Need::kTombstone));
    if (room != Room::kReady) return room;
    if (!Slot::same(slot->load(std::memory_order_relaxed), word)) continue;
    const bool ended = now_.past(record->expires_ms);
    remove({slot, word, *record}, next_sequence(), active(kSmall));
    count_one(ended ? state_.expirations : state_.evictions);
  }
  if (state_.entries.load(std::memory_order_relaxed) > most)
    return Error{Code::kNoSpace, files_->path().string() + ": holds as many entries as it may, and all are pinned"};
  return Room::kReady;
}

// The segment that was opened next after the hand's, or the first.
Shard::Hand Shard::next_for_hand() const {
  std::uint32_t next = kNone;
  std::uint32_t first = kNone;
  const auto opened = [&](std::uint32_t i) { return segment(i).opened.load(std::memory_order_relaxed); };
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const std::uint32_t use = segment(i).use.load(std::memory_order_relaxed);
    if (use != kOpen && use != kClosed) continue;
    if (first == kNone || opened(i) < opened(first)) first = i;
    if (opened(i) > hand_.opened && (next == kNone || opened(i) < opened(next))) next = i;
  }
  if (next == kNone) next = first;
  if (next == kNone) return {};
  return {next, sizeof(SegmentHeader), generations_[next].load(std::memory_order_relaxed), opened(next)};
}

Result<std::uint64_t> Shard::shrink() {
  Guard guard(*this);
  const auto gone_so_far = [&] {
    return state_.evictions.load(std::memory_order_relaxed) + state_.expirations.load(std::memory_order_relaxed);
  };
  const std::uint64_t before = gone_so_far();
  (void)evict_entries(entries_most());  // as many as can go now
  for (std::uint32_t round = 0; round < 8 * count_ && segments_with(kOpen) > allowed_segments(); ++round) {
    const Progress progress = evict_step(~std::uint64_t{0});
    if (progress != Progress::kSome && progress != Progress::kDone) break;
  }
  for (std::uint32_t i = first_; i < first_ + count_ && segments_with(kFree) > allowed_segments(); ++i) {
    SegmentState& at = segment(i);
    if (at.use.load(std::memory_order_relaxed) != kFree) continue;
    at.use.store(kEmpty, std::memory_order_release);
    at.allocated.store(0, std::memory_order_release);
    files_->release_log(std::uint64_t{i} << shift_, segment_bytes_);
  }
  recount_spare();
  return gone_so_far() - before;
}

// --- Freeing ---------------------------------------------------------------------------------------------------------

bool Shard::choose_victim(Pins most) {
  const std::int64_t now_ms = now_.coarse_ms();
  const std::uint64_t capacity = std::uint64_t{allowed_segments()} * segment_bytes_;
  std::uint64_t live = 0;
  std::uint64_t tombs = 0;
  std::uint64_t small_used = 0;
  std::uint32_t emptiest = kNone;  // with the most garbage
  std::uint32_t unused = kNone;    // nothing lives in it
  std::uint32_t over = kNone;      // all expired
  std::uint32_t oldest = kNone;
  std::uint32_t oldest_of[kQueues] = {kNone, kNone, kNone};
  bool buried = false;
  const auto first_opened = [&](std::uint32_t a, std::uint32_t b) {
    return b == kNone ||
           segment(a).opened.load(std::memory_order_relaxed) < segment(b).opened.load(std::memory_order_relaxed);
  };
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(std::memory_order_relaxed);
    if (use != kOpen && use != kClosed) continue;
    const std::uint32_t kept_queue = at.queue.load(std::memory_order_relaxed);
    const Queue queue = kept_queue < kQueues ? static_cast<Queue>(kept_queue) : kMain;
    live += at.live.load(std::memory_order_relaxed);
    tombs += at.tombs.load(std::memory_order_relaxed);
    if (queue == kSmall) small_used += at.used.load(std::memory_order_relaxed);
    if (use != kClosed) continue;
    if (most != Pins::kAny && pins(i) > most) {
      // Of the dead, perhaps, who would keep it for ever: there are always others to take.
      if (!buried) membership_.bury_dead();
      buried = true;
      if (pins(i) > most) continue;
    }
    if (emptiest == kNone || garbage(at) > garbage(segment(emptiest))) emptiest = i;
    if (at.live.load(std::memory_order_relaxed) == 0) unused = i;
    const std::uint64_t expires_max = at.expires_max.load(std::memory_order_relaxed);
    if (expires_max != 0 && expires_max <= static_cast<std::uint64_t>(now_ms)) over = i;
    if (first_opened(i, oldest)) oldest = i;
    if (first_opened(i, oldest_of[queue])) oldest_of[queue] = i;
  }
  if (emptiest == kNone) return false;

  const Policy policy = files_->settings().policy;
  std::uint32_t victim = kNone;
  bool move_all = false;
  if (unused != kNone) {
    victim = unused;
  } else if (over != kNone) {
    victim = over;
  } else if (live < capacity / 4 * 3 && garbage(segment(emptiest)) >= segment_bytes_ / 8) {
    move_all = true;
    victim = emptiest;
  } else if (live < capacity / 4 * 3 && tombs > capacity / 16) {
    // Tombstones fill it: those go when what is older than them has gone.
    move_all = true;
    victim = oldest;
  } else if (tombs > capacity / 8) {
    move_all = live - std::min(live, tombs) < capacity / 4 * 3;
    victim = oldest;
  } else {
    const bool small = small_used > capacity / 10 || oldest_of[kMain] == kNone;
    victim = small && oldest_of[kSmall] != kNone ? oldest_of[kSmall] : oldest_of[kMain];
    if (victim == kNone) victim = oldest_of[kSmall];
    // One queue: the oldest of both. Little may be moved on, so the segment for it may be the oldest
    // itself: it does not wait until it is full.
    const std::uint32_t moved_to = active(kMain);
    const bool one_queue = policy == Policy::kLeastRecentlyStored || policy == Policy::kLeastRecentlyUsed;
    if (one_queue && moved_to != kNone && first_opened(moved_to, oldest) &&
        (most == Pins::kAny || pins(moved_to) <= most)) {
      segment(moved_to).use.store(kClosed, std::memory_order_release);
      oldest_of[kMain] = moved_to;
    }
    if (one_queue && oldest_of[kMain] != kNone && oldest_of[kSmall] != kNone)
      victim = first_opened(oldest_of[kMain], oldest_of[kSmall]) ? oldest_of[kMain] : oldest_of[kSmall];
    if (policy == Policy::kNone) victim = kNone;
    if (victim == kNone) {  // nothing may be evicted: there may be holes to close
      if (garbage(segment(emptiest)) < segment_bytes_ / 8) return false;
      victim = emptiest;
      move_all = true;
    }
  }
  begin(victim, move_all || policy == Policy::kNone);
  return true;
}

void Shard::begin(std::uint32_t victim, bool move_all) {
  state_.victim_offset.store(sizeof(SegmentHeader), std::memory_order_relaxed);
  state_.victim_kept.store(0, std::memory_order_relaxed);
  state_.victim_rule.store(move_all ? kMoveAll : 0, std::memory_order_relaxed);
  state_.victim.store(victim, std::memory_order_release);
  step(Step::kVictimChosen);
}

// Pages that were used before cost half of what new ones do, and take no more space. So before the next new segment,
// one in which little lives is emptied, if that costs less: moving a record takes about as long as bringing in 2 KiB.
void Shard::choose_for_reuse() {
  if (state_.victim.load(std::memory_order_relaxed) != kNone) return;
  std::uint32_t emptiest = kNone;
  std::uint64_t live = 0;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(std::memory_order_relaxed);
    if (use == kFree || use == kDraining) return;  // there is one, or there will be
    if (use != kOpen && use != kClosed) continue;
    const std::uint32_t here = at.live.load(std::memory_order_relaxed);
    live += here;
    if (use == kClosed && (emptiest == kNone || here < segment(emptiest).live.load(std::memory_order_relaxed)))
      emptiest = i;
  }
  if (emptiest == kNone || pins(emptiest) != Pins::kUnpinned) return;
  const std::uint64_t here = segment(emptiest).live.load(std::memory_order_relaxed);
  const std::uint64_t entries = state_.entries.load(std::memory_order_relaxed);
  const std::uint64_t records = here * entries / std::max<std::uint64_t>(live, 1);
  if (here + records * 2048 <= segment_bytes_ / 2) begin(emptiest, true);
}

bool Shard::victim_waits() const {
  const std::uint32_t rule = state_.victim_rule.load(std::memory_order_relaxed);
  const std::uint32_t victim = state_.victim.load(std::memory_order_relaxed);
  if ((rule & kSecondWalk) == 0 || unordered() || !mine(victim) ||
      segment(victim).use.load(std::memory_order_relaxed) != kClosed)
    return false;
  if ((rule & kHasMoved) != 0 && files_->globals().flushes_done.load(std::memory_order_acquire) <=
                                     segment(victim).freed.load(std::memory_order_relaxed))
    return true;
  if (has_new_transaction(segment(victim))) return true;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const std::uint32_t use = segment(i).use.load(std::memory_order_relaxed);
    if (use != kOpen && use != kClosed && !gone(segment(i))) return true;
  }
  return false;
}

// Of transactions that a rebuild would look for as a whole. None that never was: that is damage.
bool Shard::has_new_transaction(const SegmentState& at) const {
  const std::uint64_t transaction = at.transaction.load(std::memory_order_relaxed);
  if (__builtin_expect(transaction == 0, 1)) return false;
  const Globals& globals = files_->globals();
  return transaction >= globals.transactions_safe.load(std::memory_order_acquire) &&
         transaction < globals.sequence.load(std::memory_order_relaxed);
}

bool Shard::fading() const {
  const bool begun = state_.victim_offset.load(std::memory_order_relaxed) > sizeof(SegmentHeader);
  return mine(state_.victim.load(std::memory_order_relaxed)) &&
         (state_.victim_rule.load(std::memory_order_relaxed) & kSecondWalk) != 0 && (begun || !victim_waits());
}

Shard::Progress Shard::evict_step(std::uint64_t budget) {
  std::uint32_t victim = state_.victim.load(std::memory_order_relaxed);
  if (!mine(victim) || segment(victim).use.load(std::memory_order_relaxed) != kClosed) {
    sweep();
    if (waiting_) return Progress::kNothing;
    // One that is pinned cannot be written to soon: it is taken when there is no other, and only one at a time, since a
    // long list() pins them all. A copy does so too, but copies first what somebody waits for.
    if (!choose_victim(Pins::kOfCopies) && (draining() || !choose_victim(Pins::kAny))) return Progress::kNothing;
    victim = state_.victim.load(std::memory_order_relaxed);
  }
  if (victim_waits()) return Progress::kNothing;
  const std::uint32_t used = std::min(segment(victim).used.load(std::memory_order_relaxed), segment_bytes_);
  const std::uint64_t base = std::uint64_t{victim} << shift_;
  std::uint64_t offset =
      std::max<std::uint64_t>(state_.victim_offset.load(std::memory_order_relaxed) & ~7u, sizeof(SegmentHeader));
  std::uint64_t called = offset;
  while (offset < used) {
    if (budget == 0) return Progress::kSome;
    if (offset >= called) called = call_ahead(base, offset, std::min<std::uint64_t>(used, offset + budget));
    const std::optional<Record> record = Record::read(log_ + base + offset, used - offset);
    if (!record) {  // damage: what lies behind it cannot be told apart any more
      drop_all_in(victim);
      break;
    }
    if (!deal_with(victim, *record, base + offset)) {
      sweep();  // there may be room to move it to by now
      return Progress::kStuck;
    }
    offset += record->head.bytes();
    budget -= std::min(budget, record->head.bytes());
    state_.victim_offset.store(static_cast<std::uint32_t>(offset), std::memory_order_release);
    step(Step::kVictimStep);
  }
  std::uint32_t rule = state_.victim_rule.load(std::memory_order_relaxed);
  if ((rule & kSecondWalk) == 0) {
    // What the others were replaced by is of the same kind as what was moved on.
    if (segment(victim).replaced.load(std::memory_order_relaxed) >
        files_->globals().flushes_done.load(std::memory_order_acquire))
      rule |= kHasMoved;
    // Counts from flushes that begin from now on.
    segment(victim).freed.store(files_->globals().flushes_started.load(std::memory_order_acquire),
                                std::memory_order_relaxed);
    state_.victim_offset.store(sizeof(SegmentHeader), std::memory_order_release);
    state_.victim_rule.store(rule | kSecondWalk, std::memory_order_release);
    step(Step::kVictimMoved);
    gained_little_ = state_.victim_kept.load(std::memory_order_relaxed) > segment_bytes_ / 16 * 15;
    if (victim_waits()) freed.store(true, std::memory_order_relaxed);
    return Progress::kSome;
  }
  if ((rule & kMoveAll) == 0 && segment(victim).queue.load(std::memory_order_relaxed) == kSmall)
    state_.ghost_age.fetch_add(1, std::memory_order_relaxed);
  retire(victim);
  sweep();
  return Progress::kDone;
}

// Has the buckets of the next few records on their way from memory, together; where that ended.
std::uint64_t Shard::call_ahead(std::uint64_t base, std::uint64_t offset, std::uint64_t end) const {
  constexpr int kAhead = 16;
  for (int i = 0; i < kAhead && offset < end; ++i) {
    const std::optional<Record> record = Record::read(log_ + base + offset, segment_bytes_ - offset);
    if (!record) return end;
    if (record->head.kind() == kValue) index_.prefetch(key_hash({record->key(), record->head.key_size}));
    offset += record->head.bytes();
  }
  return offset;
}

// By the policy, and by what it cost: an entry that is dearer than usual stays as many passes longer, on average, as it
// is dearer. By chance, which needs no memory of how often it has stayed already.
bool Shard::deserves_to_stay(const Record& record, std::uint64_t frequency, std::uint64_t hash) {
  if (files_->settings().policy == Policy::kLeastRecentlyStored) return false;
  const auto cost = static_cast<double>(record.cost());
  if (cost > 0) usual_cost_ += (cost - usual_cost_) * (usual_cost_ == 0 ? 1 : 1.0 / 256);
  if (frequency > 0) return true;
  if (cost <= usual_cost_) return false;
  const std::uint64_t chance = mix(hash ^ state_.evictions.load(std::memory_order_relaxed)) >> 32;
  return static_cast<double>(chance) < (1 - usual_cost_ / cost) * 4294967296.0;
}

// One record of the victim: moved on, or evicted, or not worth a thing already. False: no room to move it to.
bool Shard::deal_with(std::uint32_t victim, const Record& record, std::uint64_t offset) {
  const RecordHead& head = record.head;
  const std::uint32_t rule = state_.victim_rule.load(std::memory_order_relaxed);
  const bool second = (rule & kSecondWalk) != 0;
  if (head.kind() == kTombstone) {
    if (second) return true;
    if (!older_may_exist(head.sequence, victim)) {
      raise_feed_floor(head.sequence);
      return true;
    }
    return move_on(record, 0, nullptr, 0, 0);
  }
  if (head.kind() != kValue) return true;
  const std::uint64_t hash = key_hash({record.key(), head.key_size});
  Word* slot = index_.find_offset(hash, offset);
  if (slot == nullptr) return true;
  const std::uint64_t word = slot->load(std::memory_order_relaxed);
  const std::uint64_t frequency = Slot::frequency(word);
  const bool ended = over(record);
  const bool small = segment(victim).queue.load(std::memory_order_relaxed) == kSmall;
  if (!ended && !second) {
    if ((rule & kMoveAll) != 0 || (head.flags & kIsPinned) != 0) return move_on(record, hash, slot, frequency, offset);
    const std::uint64_t kept = state_.victim_kept.load(std::memory_order_relaxed);
    const std::uint64_t most = gained_little_ ? segment_bytes_ / 16 * 15 : segment_bytes_;
    if (kept + head.bytes() <= most && deserves_to_stay(record, frequency, hash)) {
      const bool starts_anew = small && files_->settings().policy != Policy::kLeastFrequentlyUsed;
      const std::uint64_t left = starts_anew || frequency == 0 ? 0 : frequency - 1;
      if (!move_on(record, hash, slot, left, offset)) return false;
      state_.victim_kept.store(static_cast<std::uint32_t>(kept + head.bytes()), std::memory_order_relaxed);
      return true;
    }
  }
  // Gone for good; but where an older record of the key may still lie, a rebuild must not find that one instead. The
  // tombstone has to be on the disk before this record is not there any more; all others can go in the second walk.
  const bool needs_tombstone = (head.flags & kHasOlder) != 0 && older_may_exist(head.sequence, victim);
  if (!needs_tombstone && !second) return true;
  if (!ended && small && (rule & kMoveAll) == 0) remember_ghost(hash);
  std::uint64_t tombstone = 0;
  if (needs_tombstone) {
    RecordHead small_head;
    small_head.key_size = head.key_size;
    small_head.flags = kTombstone;
    if (!room_for_moving(kMain, small_head.bytes())) return false;
    tombstone = head.sequence;
    state_.victim_rule.fetch_or(kHasMoved, std::memory_order_relaxed);
  }
  remove({slot, word, record}, tombstone, active(kMain));
  count_one(ended ? state_.expirations : state_.evictions);
  return true;
}

// The record again in the main queue's segment; the slot, if any, switched to it.
bool Shard::move_on(const Record& record, std::uint64_t hash, Word* slot, std::uint64_t frequency,
                    std::uint64_t offset) {
  const Queue queue = (record.head.flags & kIsPinned) != 0 ? kPinned : kMain;
  if (!room_for_moving(queue, record.head.bytes())) return false;
  const std::uint32_t from = static_cast<std::uint32_t>((record.at - log_) >> shift_);
  state_.victim_rule.fetch_or(kHasMoved, std::memory_order_relaxed);
  Change change;
  change.append = active(queue);
  change.append_bytes = static_cast<std::uint32_t>(record.head.bytes());
  change.is_tombstone = record.head.kind() == kTombstone;
  change.expires_ms = record.expires_ms;
  if ((record.head.flags & kHasTransaction) != 0) note_transaction(change.append, record.transaction());
  const std::uint64_t to = append_again(change.append, record, generations_[from].load(std::memory_order_relaxed));
  if (slot != nullptr) {
    change.slot = slot;
    change.slot_value = Slot::make(hash, to, frequency);
    change.drop_offset = offset;
    change.drop_bytes = change.append_bytes;
  }
  commit(change);
  return true;
}

// Every slot that points into the segment, when its records cannot be walked.
void Shard::drop_all_in(std::uint32_t victim) {
  std::vector<Word*> slots;
  index_.for_each([&](std::uint64_t, Word& slot, std::uint64_t word) {
    if (Slot::offset(word) >> shift_ == victim) slots.push_back(&slot);
  });
  raise_feed_floor(files_->globals().sequence.load(std::memory_order_relaxed) - 1);
  for (Word* slot : slots) {
    Change change;
    change.slot = slot;
    change.entries = -1;
    const std::optional<Record> record = record_at(Slot::offset(slot->load(std::memory_order_relaxed)));
    if (record) count_blob_off(change, *record);  // its file is an orphan now
    commit(change);
    count_one(state_.evictions);
  }
}

void Shard::retire(std::uint32_t victim) {
  step(Step::kVictimEmpty);
  // Before the pins are looked at: a reader raises its pin before it looks at the generation.
  generations_[victim].fetch_add(1, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_release);
  step(Step::kGenerationRaised);
  segment(victim).use.store(kDraining, std::memory_order_release);
  // Without its magic a rebuild passes it by, even while somebody holds pins on what was in it.
  word_at(files_->segment(victim))->store(0, std::memory_order_relaxed);
  segment(victim).freed.store(files_->globals().flushes_started.load(std::memory_order_acquire),
                              std::memory_order_relaxed);
  if (state_.victim.load(std::memory_order_relaxed) == victim) state_.victim.store(kNone, std::memory_order_release);
  step(Step::kVictimDraining);
}

void Shard::sweep() {
  // Longer than it takes to copy a segment. A copy that is stuck notices that its segment was taken.
  constexpr auto kPatience = std::chrono::seconds(1);
  bool changed = false;
  std::optional<Waiting> waiting;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    if (segment(i).use.load(std::memory_order_relaxed) != kDraining) continue;
    const Pins held = pins(i);
    if (held == Pins::kAny) continue;
    if (held == Pins::kOfCopies) {
      const std::uint64_t generation = generations_[i].load(std::memory_order_relaxed);
      const auto now = std::chrono::steady_clock::now();
      const bool again = waiting_ && waiting_->segment == i && waiting_->generation == generation;
      if (again || !waiting) waiting = Waiting{i, generation, again ? waiting_->since : now};
      if (!again || now - waiting_->since < kPatience) continue;
      waiting.reset();
    }
    free_segment(i);
    changed = true;
  }
  waiting_ = waiting;
  if (changed) recount_spare();
}

bool Shard::draining() const {
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    if (segment(i).use.load(std::memory_order_relaxed) == kDraining) return true;
  }
  return false;
}

Shard::Pins Shard::pins(std::uint32_t number) const {
  Pins most = Pins::kUnpinned;
  for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) {
    // Slots are taken from the first on, so behind one that never was taken none was.
    if (files_->process(slot).incarnation.load(std::memory_order_seq_cst) == 0) return most;
    for (std::uint32_t stripe = 0; stripe < kStripes; ++stripe) {
      const std::uint32_t count = files_->pins(slot, stripe)[number].load(std::memory_order_seq_cst);
      if (count % kCopyPin != 0) return Pins::kAny;
      if (count != 0) most = Pins::kOfCopies;
    }
  }
  return most;
}

void Shard::free_segment(std::uint32_t number) {
  SegmentState& at = segment(number);
  // Without its magic a rebuild passes it by.
  word_at(files_->segment(number))->store(0, std::memory_order_relaxed);
  at.live.store(0, std::memory_order_relaxed);
  at.tombs.store(0, std::memory_order_relaxed);
  at.used.store(0, std::memory_order_relaxed);
  if (at.use.load(std::memory_order_relaxed) != kDraining)  // else it counts from retire() on
    at.freed.store(files_->globals().flushes_started.load(std::memory_order_acquire), std::memory_order_relaxed);
  at.use.store(kFree, std::memory_order_release);
  step(Step::kSegmentFreed);
  if (segments_with(kFree) > allowed_segments()) {
    at.use.store(kEmpty, std::memory_order_release);
    at.allocated.store(0, std::memory_order_release);
    files_->release_log(std::uint64_t{number} << shift_, segment_bytes_);
  }
  freed.store(true, std::memory_order_relaxed);
}

// --- Ghosts: hashes that were evicted from the small queue, with the time, in small segments, when
// ---------------------

namespace {
struct Ghost {
  std::uint64_t at;
  std::uint32_t print;
};
Ghost ghost_of(std::uint64_t hash, std::uint64_t count) {
  const std::uint64_t mixed = mix(hash);
  return {mixed & (count - 1), static_cast<std::uint32_t>(mixed >> 40) | 1};
}
}  // namespace

void Shard::remember_ghost(std::uint64_t hash) {
  const Geometry& g = files_->geometry();
  if (state_.ghost_ready.load(std::memory_order_relaxed) == 0) {
    if (!files_->allocate_idx(g.index_pitch() * number_, g.ghost_bytes()).ok()) return;
    state_.ghost_ready.store(1, std::memory_order_release);
  }
  const std::uint32_t unit = std::max(1u, count_ / 64);
  const Ghost ghost = ghost_of(hash, g.ghosts());
  const std::uint32_t age = (state_.ghost_age.load(std::memory_order_relaxed) / unit) & 0xff;
  files_->ghosts(number_)[ghost.at].store(ghost.print << 8 | age, std::memory_order_relaxed);
}

bool Shard::is_ghost(std::uint64_t hash) const {
  if (state_.ghost_ready.load(std::memory_order_relaxed) == 0) return false;
  const std::uint32_t unit = std::max(1u, count_ / 64);
  const Ghost ghost = ghost_of(hash, files_->geometry().ghosts());
  const std::uint32_t kept = files_->ghosts(number_)[ghost.at].load(std::memory_order_relaxed);
  const std::uint32_t age = (state_.ghost_age.load(std::memory_order_relaxed) / unit - kept) & 0xff;
  return kept >> 8 == (ghost.print & 0xffffff) && age <= count_ / unit;
}

Queue Shard::queue_for(std::uint64_t hash) const {
  const Policy policy = files_->policy();
  const bool two_queues = policy == Policy::kS3Fifo || policy == Policy::kLeastFrequentlyUsed;
  return two_queues && is_ghost(hash) ? kMain : kSmall;
}

}  // namespace larder::engine
