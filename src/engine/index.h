// The index of one shard: which record has which key. A linear hash table of 64-byte buckets, in shared memory.
//
// It grows by one bucket at a time, split in the order of their numbers, so growing never pauses, needs no second
// table, and a death in the middle costs one bucket's repair. A slot's tag holds the 25 hash bits above the first
// eight, so a split knows where an entry belongs without reading its record. Doubling lost: it moves everything at
// once, or keeps two tables for long; readers would have to look in both.
//
// Readers hold no lock. An entry never moves from slot to slot but in a split, which publishes the new bucket before
// it cleans the old one; so a reader that finds nothing and sees the same shape before and after has seen all there
// was. Writers hold the shard's lock.
#pragma once

#include <larder/result.h>

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "engine/files.h"
#include "engine/shared_bytes.h"

namespace larder::engine {

// A slot word and its parts.
struct Slot {
  static constexpr int kOffsetBits = 37;
  static constexpr std::uint64_t kOffsetMask = (std::uint64_t{1} << kOffsetBits) - 1;
  static constexpr std::uint64_t kFrequencyOne = std::uint64_t{1} << kOffsetBits;
  static constexpr std::uint64_t kFrequencyMask = 3 * kFrequencyOne;
  static constexpr int kTagShift = kOffsetBits + 2;
  static constexpr int kFirstLevel = 8;  // 256 buckets to begin with

  static std::uint64_t tag(std::uint64_t hash) { return (hash >> kFirstLevel) & ((std::uint64_t{1} << 25) - 1); }
  static std::uint64_t make(std::uint64_t hash, std::uint64_t offset, std::uint64_t frequency) {
    return tag(hash) << kTagShift | frequency << kOffsetBits | offset >> 3;
  }
  static std::uint64_t tag_of(std::uint64_t word) { return word >> kTagShift; }
  static std::uint64_t offset(std::uint64_t word) { return (word & kOffsetMask) << 3; }
  static std::uint64_t frequency(std::uint64_t word) { return (word & kFrequencyMask) >> kOffsetBits; }
  static bool same(std::uint64_t a, std::uint64_t b) { return ((a ^ b) & ~kFrequencyMask) == 0; }
};

// Which of a bucket's slots look wanted: bit 1 for slot 0 to bit 7 for slot 6. A hint, since slots change: each is
// loaded again, as the atomic that it is, before it is believed. All at once where the machine can, hidden from the
// compiler like the copies in shared_bytes.h: seven loads, shifts and branches less for each look into a bucket.
class Slots {
 public:
  explicit Slots(const Bucket* bucket) {
#if defined(__SSE2__) && !defined(LARDER_WORDS_ONLY)
    asm("" : "+r"(bucket));
    const auto* words = reinterpret_cast<const __m128*>(bucket);
    low_ = _mm_castps_si128(_mm_shuffle_ps(words[0], words[1], _MM_SHUFFLE(3, 1, 3, 1)));
    high_ = _mm_castps_si128(_mm_shuffle_ps(words[2], words[3], _MM_SHUFFLE(3, 1, 3, 1)));
    asm volatile("" : : : "memory");  // what is loaded later is loaded later; the machine keeps to it as well
#else
    for (int i = 0; i < Bucket::kSlots; ++i)
      upper_[i] = static_cast<std::uint32_t>(bucket->slots[i].load(std::memory_order_acquire) >> 32);
#endif
  }
  // Those with this tag.
  unsigned with(std::uint64_t tag) const { return matches<Slot::kTagShift - 32>(static_cast<std::uint32_t>(tag)); }
  // Those that may be free.
  unsigned free() const { return matches<0>(0); }

  // Takes the next one off `found`.
  static int take(unsigned& found) {
    const int slot = std::countr_zero(found) - 1;
    found &= found - 1;
    return slot;
  }

 private:
  template <int kShift>
  unsigned matches(std::uint32_t wanted) const {
#if defined(__SSE2__) && !defined(LARDER_WORDS_ONLY)
    const __m128i all = _mm_set1_epi32(static_cast<int>(wanted));
    const __m128i low = _mm_cmpeq_epi32(_mm_srli_epi32(low_, kShift), all);
    const __m128i high = _mm_cmpeq_epi32(_mm_srli_epi32(high_, kShift), all);
    const __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
    return static_cast<unsigned>(_mm_movemask_epi8(bytes)) & 0xfe;
#else
    unsigned found = 0;
    for (int i = 0; i < Bucket::kSlots; ++i) found |= (upper_[i] >> kShift == wanted ? 2u : 0u) << i;
    return found;
#endif
  }

  // The upper halves of the eight words.
#if defined(__SSE2__) && !defined(LARDER_WORDS_ONLY)
  __m128i low_;
  __m128i high_;
#else
  std::uint32_t upper_[Bucket::kSlots];
#endif
};

class Index {
 public:
  Index(std::shared_ptr<Files> files, std::uint32_t shard);

  // --- Any thread ---

  static std::uint64_t address(std::uint64_t hash, std::uint64_t shape) {
    const std::uint64_t level = shape >> 56;
    const std::uint64_t split = shape & kSplitMask;
    std::uint64_t at = hash & ((std::uint64_t{1} << level) - 1);
    if (at < split) at = hash & ((std::uint64_t{2} << level) - 1);
    return at;
  }
  std::uint64_t shape() const { return state_.shape.load(std::memory_order_acquire); }
  void prefetch(std::uint64_t hash) const {
    if (const Bucket* bucket = bucket_at(hash, state_.shape.load(std::memory_order_relaxed)))
      __builtin_prefetch(bucket);
  }
  // The first bucket for this hash; null when the shape is damaged.
  Bucket* bucket_at(std::uint64_t hash, std::uint64_t shape) const {
    if (__builtin_expect(shape >> 56 > 31, 0)) return nullptr;
    const std::uint64_t at = address(hash, shape);
    return at < buckets_max_ ? buckets_ + at : nullptr;
  }
  Bucket* next(const Bucket* bucket) const {
    const std::uint64_t link = bucket->meta.load(std::memory_order_acquire) & 0xffffffff;
    if (__builtin_expect(link == 0, 1)) return nullptr;
    return link <= overflow_max_ ? overflow_ + (link - 1) : nullptr;
  }
  // A chain longer than this is refused by writers and not followed by readers; damage can make circles.
  static constexpr int kChainMax = 64;

  // --- Under the shard's lock ---

  // Calls `use(Word& slot, std::uint64_t word)` for each slot with the hash's tag until it says true; that slot or
  // null.
  template <typename Use>
  Word* find(std::uint64_t hash, Use&& use) const {
    const std::uint64_t tag = Slot::tag(hash);
    Bucket* bucket = bucket_at(hash, shape());
    for (int hop = 0; bucket != nullptr && hop < kChainMax; ++hop, bucket = next(bucket)) {
      for (unsigned found = Slots(bucket).with(tag); found != 0;) {
        Word& slot = bucket->slots[Slots::take(found)];
        const std::uint64_t word = slot.load(std::memory_order_relaxed);
        if (Slot::tag_of(word) == tag && word != 0 && use(slot, word)) return &slot;
      }
    }
    return nullptr;
  }
  // The slot that points at this offset, or null.
  Word* find_offset(std::uint64_t hash, std::uint64_t offset) const {
    return find(hash, [&](Word&, std::uint64_t word) { return Slot::offset(word) == offset; });
  }
  // Every slot in use, as use(bucket number, slot, word).
  template <typename Use>
  void for_each(Use&& use) const {
    const std::uint64_t count = bucket_count();
    for (std::uint64_t i = 0; i < count; ++i)
      for_each_in(i, [&](Word& slot, std::uint64_t word) { use(i, slot, word); });
  }
  // Of one bucket, which is less than bucket_count(), as use(slot, word).
  template <typename Use>
  void for_each_in(std::uint64_t number, Use&& use) const {
    Bucket* bucket = buckets_ + number;
    for (int hop = 0; bucket != nullptr && hop < kChainMax; ++hop, bucket = next(bucket)) {
      for (Word& slot : bucket->slots) {
        const std::uint64_t word = slot.load(std::memory_order_relaxed);
        if (word != 0) use(slot, word);
      }
    }
  }
  // A slot that is free for this hash. kNoSpace: no disk space for an overflow bucket.
  Result<Word*> free_slot(std::uint64_t hash);
  // Sees to it that so many are free for this hash.
  Status free_slots(std::uint64_t hash, std::uint64_t count);
  // Splits a bucket or two when there are many entries. Does less, and says nothing, when the disk is full.
  void grow(std::uint64_t entries);
  // Finishes the split that a dead process left.
  void repair();
  // Empty, in its first shape. Space that is kept need not be asked for again: on some disks giving it back takes
  // longer than all the rest of a rebuild.
  enum class Space { kGiveBack, kKeep };
  Status reset(Space space = Space::kGiveBack);
  // After a power loss: which pages have disk space is what the file says. The others are holes.
  void recount_pages();

  std::uint64_t position(const Word* slot) const { return static_cast<std::uint64_t>(slot - first_); }
  // Null when damaged.
  Word* slot_at(std::uint64_t position) const { return position < words_ ? first_ + position : nullptr; }
  std::uint64_t bucket_count() const;
  // Disk space that the index has taken.
  std::uint64_t disk_bytes() const;

 private:
  static constexpr std::uint64_t kSplitMask = (std::uint64_t{1} << 56) - 1;
  static constexpr std::uint64_t kFirstShape = std::uint64_t{Slot::kFirstLevel} << 56;
  static constexpr std::uint64_t kEntriesPerBucket = 4;

  Result<Word*> free_slot(std::uint64_t hash, std::uint64_t count);
  bool split();
  Bucket* take_overflow();
  void give_back_tail(Bucket* head);
  bool ensure_bucket(std::uint64_t number);
  static void clear(Bucket* bucket);
  std::uint64_t at() const { return files_->geometry().index_pitch() * shard_; }

  std::shared_ptr<Files> files_;
  std::uint32_t shard_;
  ShardState& state_;
  Bucket* buckets_;
  Bucket* overflow_;
  std::uint64_t buckets_max_;
  std::uint64_t overflow_max_;
  Word* first_;  // of the overflow buckets, which lie before the buckets
  std::uint64_t words_;
};

}  // namespace larder::engine
