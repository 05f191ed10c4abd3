#include "engine/index.h"

#include <algorithm>

#include "base/try.h"
#include "engine/steps.h"

namespace larder::engine {

namespace {
constexpr std::uint64_t kPerPage = kPage / sizeof(Bucket);
constexpr std::uint64_t kPagesAtOnce = 16;
constexpr std::uint64_t kPagesMost = 64;
}  // namespace

Index::Index(std::shared_ptr<Files> files, std::uint32_t shard)
    : files_(std::move(files)),
      shard_(shard),
      state_(files_->shard(shard)),
      buckets_(files_->buckets(shard)),
      overflow_(files_->overflow(shard)),
      buckets_max_(files_->geometry().buckets_max()),
      overflow_max_(files_->geometry().overflow_max()),
      first_(reinterpret_cast<Word*>(overflow_)),
      words_((buckets_max_ + overflow_max_) * (sizeof(Bucket) / 8)) {}

void Index::clear(Bucket* bucket) {
  bucket->meta.store(0, std::memory_order_relaxed);
  for (Word& slot : bucket->slots) slot.store(0, std::memory_order_relaxed);
}

std::uint64_t Index::bucket_count() const {
  const std::uint64_t now = shape();
  if (now >> 56 > 31) return 0;
  return std::min(buckets_max_, (std::uint64_t{1} << (now >> 56)) + (now & kSplitMask));
}

std::uint64_t Index::disk_bytes() const {
  std::uint64_t pages = std::uint64_t{state_.primary_pages.load(std::memory_order_relaxed)} +
                        state_.overflow_pages.load(std::memory_order_relaxed);
  const bool ghosts = state_.ghost_ready.load(std::memory_order_relaxed) != 0;
  return std::min(pages * kPage + (ghosts ? files_->geometry().ghost_bytes() : 0), files_->geometry().index_pitch());
}

bool Index::ensure_bucket(std::uint64_t number) {
  if (number >= buckets_max_) return false;
  const std::uint64_t have = state_.primary_pages.load(std::memory_order_relaxed);
  if (number / kPerPage < have) return true;
  const std::uint64_t most = buckets_max_ / kPerPage;
  const std::uint64_t wanted =
      std::min(most, std::max(number / kPerPage + 1, have + std::clamp(have / 16, kPagesAtOnce, kPagesMost)));
  const std::uint64_t from = at() + files_->geometry().buckets_at() + have * kPage;
  if (!files_->allocate_idx(from, (wanted - have) * kPage).ok()) return false;
  files_->bring_in_idx(from, (wanted - have) * kPage);
  state_.primary_pages.store(static_cast<std::uint32_t>(wanted), std::memory_order_release);
  return true;
}

Bucket* Index::take_overflow() {
  const std::uint32_t free = state_.overflow_free.load(std::memory_order_relaxed);
  if (free != 0 && free <= overflow_max_) {
    Bucket* bucket = overflow_ + (free - 1);
    // Off the list before it is linked elsewhere: a death in between loses a bucket, which a rebuild finds again;
    // the other order would give it out twice.
    state_.overflow_free.store(static_cast<std::uint32_t>(bucket->meta.load(std::memory_order_relaxed)),
                               std::memory_order_release);
    clear(bucket);
    step(Step::kOverflowTaken);
    return bucket;
  }
  const std::uint64_t used = state_.overflow_used.load(std::memory_order_relaxed);
  if (used >= overflow_max_) return nullptr;
  const std::uint64_t pages = state_.overflow_pages.load(std::memory_order_relaxed);
  if (used / kPerPage >= pages) {
    const std::uint64_t more = std::min(kPagesAtOnce, overflow_max_ / kPerPage - pages);
    const std::uint64_t from = at() + files_->geometry().overflow_at() + pages * kPage;
    if (more == 0 || !files_->allocate_idx(from, more * kPage).ok()) return nullptr;
    files_->bring_in_idx(from, more * kPage);
    state_.overflow_pages.store(static_cast<std::uint32_t>(pages + more), std::memory_order_release);
  }
  state_.overflow_used.store(static_cast<std::uint32_t>(used + 1), std::memory_order_release);
  clear(overflow_ + used);
  step(Step::kOverflowTaken);
  return overflow_ + used;
}

Result<Word*> Index::free_slot(std::uint64_t hash) { return free_slot(hash, 1); }

Status Index::free_slots(std::uint64_t hash, std::uint64_t count) {
  TRY(free_slot(hash, count));
  return {};
}

// The `count`-th free one.
Result<Word*> Index::free_slot(std::uint64_t hash, std::uint64_t count) {
  Bucket* bucket = bucket_at(hash, shape());
  for (int hop = 0; bucket != nullptr && hop < kChainMax; ++hop) {
    for (unsigned found = Slots(bucket).free(); found != 0;) {
      Word& slot = bucket->slots[Slots::take(found)];
      if (slot.load(std::memory_order_relaxed) == 0 && --count == 0) return &slot;
    }
    Bucket* following = next(bucket);
    if (following == nullptr) {
      following = take_overflow();
      if (following == nullptr) break;
      bucket->meta.store(static_cast<std::uint64_t>(following - overflow_) + 1, std::memory_order_release);
    }
    bucket = following;
  }
  return Error{Code::kNoSpace, (files_->path() / "idx").string() + ": no space for the index to grow"};
}

void Index::grow(std::uint64_t entries) {
  for (int i = 0; i < 2 && entries > bucket_count() * kEntriesPerBucket; ++i) {
    if (!split()) return;
  }
}

bool Index::split() {
  const std::uint64_t now = shape();
  const std::uint64_t level = now >> 56;
  const std::uint64_t old_number = now & kSplitMask;
  const std::uint64_t new_number = (std::uint64_t{1} << level) + old_number;
  if (level >= 30 || old_number >= std::uint64_t{1} << level || !ensure_bucket(new_number)) return false;
  const std::uint64_t bit = std::uint64_t{1} << (Slot::kTagShift + level - Slot::kFirstLevel);
  Bucket* const old_bucket = buckets_ + old_number;
  Bucket* const new_bucket = buckets_ + new_number;

  state_.split.store(static_cast<std::uint32_t>(new_number) + 1, std::memory_order_release);
  step(Step::kSplitMarked);
  clear(new_bucket);
  Bucket* to = new_bucket;
  int filled = 0;
  int hop = 0;
  for (Bucket* from = old_bucket; from != nullptr && hop < kChainMax; from = next(from), ++hop) {
    for (Word& slot : from->slots) {
      const std::uint64_t word = slot.load(std::memory_order_relaxed);
      if (word == 0 || (word & bit) == 0) continue;
      if (filled == Bucket::kSlots) {
        Bucket* more = take_overflow();
        if (more == nullptr) {  // nothing was published: leave it as it was
          state_.split.store(0, std::memory_order_release);
          return false;
        }
        to->meta.store(static_cast<std::uint64_t>(more - overflow_) + 1, std::memory_order_relaxed);
        to = more;
        filled = 0;
      }
      to->slots[filled++].store(word, std::memory_order_relaxed);
    }
  }
  step(Step::kSplitCopied);
  const bool last = old_number + 1 == std::uint64_t{1} << level;
  state_.shape.store(last ? (level + 1) << 56 : now + 1, std::memory_order_release);
  step(Step::kSplitPublished);
  hop = 0;
  for (Bucket* from = old_bucket; from != nullptr && hop < kChainMax; from = next(from), ++hop) {
    for (Word& slot : from->slots) {
      // Release: a reader that misses an entry here must see the new shape.
      if ((slot.load(std::memory_order_relaxed) & bit) != 0) slot.store(0, std::memory_order_release);
    }
  }
  step(Step::kSplitCleaned);
  give_back_tail(old_bucket);
  state_.split.store(0, std::memory_order_release);
  return true;
}

// Gives back empty overflow buckets at the end of a chain. Only there: a reader may be standing in one of them, and
// after the last there is nothing that it could miss.
void Index::give_back_tail(Bucket* head) {
  for (;;) {
    Bucket* before = nullptr;
    Bucket* last = head;
    for (int hop = 0; hop < kChainMax; ++hop) {
      Bucket* following = next(last);
      if (following == nullptr) break;
      before = last;
      last = following;
    }
    if (before == nullptr) return;
    for (const Word& slot : last->slots) {
      if (slot.load(std::memory_order_relaxed) != 0) return;
    }
    before->meta.store(0, std::memory_order_release);
    // A death here loses one bucket until the next rebuild.
    last->meta.store(state_.overflow_free.load(std::memory_order_relaxed), std::memory_order_release);
    state_.overflow_free.store(static_cast<std::uint32_t>(last - overflow_) + 1, std::memory_order_release);
  }
}

void Index::repair() {
  const std::uint32_t mark = state_.split.load(std::memory_order_relaxed);
  if (mark == 0) return;
  const std::uint64_t new_number = mark - 1;
  if (new_number < bucket_count() && new_number >= (std::uint64_t{1} << Slot::kFirstLevel)) {
    // It was published: what belongs to the new bucket must go from the old one.
    const std::uint64_t level = static_cast<std::uint64_t>(std::bit_width(new_number)) - 1;
    const std::uint64_t bit = std::uint64_t{1} << (Slot::kTagShift + level - Slot::kFirstLevel);
    Bucket* from = buckets_ + (new_number - (std::uint64_t{1} << level));
    for (int hop = 0; from != nullptr && hop < kChainMax; from = next(from), ++hop) {
      for (Word& slot : from->slots) {
        if ((slot.load(std::memory_order_relaxed) & bit) != 0) slot.store(0, std::memory_order_release);
      }
    }
  }
  state_.split.store(0, std::memory_order_release);
}

void Index::recount_pages() {
  const Geometry& g = files_->geometry();
  const auto recount = [&](std::uint64_t from, std::uint64_t bytes, Half& pages) {
    const std::uint64_t whole = files_->idx_without_holes(at() + from, bytes);
    pages.store(static_cast<std::uint32_t>(whole / kPage), std::memory_order_release);
    if (whole < bytes) files_->release_idx(at() + from + whole, bytes - whole);
  };
  recount(g.overflow_at(), overflow_max_ * sizeof(Bucket), state_.overflow_pages);
  recount(g.buckets_at(), buckets_max_ * sizeof(Bucket), state_.primary_pages);
}

Status Index::reset(Space space) {
  // The shape first: a reader in the middle sees it change and starts over.
  const std::uint64_t buckets = std::min(buckets_max_, std::uint64_t{state_.primary_pages.load()} * kPerPage);
  const std::uint64_t overflows = std::min(overflow_max_, std::uint64_t{state_.overflow_pages.load()} * kPerPage);
  state_.shape.store(kFirstShape, std::memory_order_release);
  for (std::uint64_t i = 0; i < buckets; ++i) clear(buckets_ + i);
  for (std::uint64_t i = 0; i < overflows; ++i) clear(overflow_ + i);
  state_.overflow_free.store(0, std::memory_order_relaxed);
  state_.overflow_used.store(0, std::memory_order_relaxed);
  state_.split.store(0, std::memory_order_relaxed);
  // Give the disk space back but for the first pages.
  const std::uint64_t keep = (std::uint64_t{1} << Slot::kFirstLevel) / kPerPage;
  const std::uint64_t base = at();
  if (space == Space::kGiveBack && buckets / kPerPage > keep) {
    state_.primary_pages.store(static_cast<std::uint32_t>(keep), std::memory_order_release);
    files_->release_idx(base + files_->geometry().buckets_at() + keep * kPage, buckets * sizeof(Bucket) - keep * kPage);
  }
  if (space == Space::kGiveBack && overflows > 0) {
    state_.overflow_pages.store(0, std::memory_order_release);
    files_->release_idx(base + files_->geometry().overflow_at(), overflows * sizeof(Bucket));
  }
  if (!ensure_bucket((std::uint64_t{1} << Slot::kFirstLevel) - 1))
    return Error{Code::kNoSpace, (files_->path() / "idx").string() + ": no space for the index"};
  return {};
}

}  // namespace larder::engine
