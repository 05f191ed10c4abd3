// One record in the log: an entry, a tombstone, or filler over damage.
//
//   checksum:32 value_size:32 | sequence:48 flags:16 | stored_ms:48 key_size-1:16 |
//   [expiry] [cost] [first] [transaction] [tags] | key | pad | value | pad
//
// The checksum is content ^ salt: content hashes key, value and the words between,
// salt the header and the generation of the segment. So
// an old record in a recycled segment cannot pass for a new one, and a record is moved to another segment without
// reading its value again. The expiry alone is outside, in a word that carries its own check, so that touch() is one
// store.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "engine/shared_bytes.h"

namespace larder::engine {

enum RecordFlags : std::uint16_t {
  kKindMask = 0x3,
  kValue = 0x0,
  kTombstone = 0x1,        // the key is gone since this sequence
  kFiller = 0x2,           // bytes that mean nothing
  kNote = 0x3,             // no entry. With kHasTransaction: that is all of a transaction; its value is an Ending
  kHasExpiry = 0x4,        // a word with the expiry
  kHasOlder = 0x8,         // the key had a value when this was written, which may still lie in an older segment
  kHasCost = 0x10,         // a word with the cost of computing the value
  kHasFirst = 0x20,        // a word with the sequence that gives the entry's place in the order, from an earlier value
  kBlob = 0x40,            // the value lies in a file of its own; here is its Blob
  kHasTransaction = 0x80,  // a word with the number of the transaction that wrote this, which may not have happened
  kHasTags = 0x100,        // the tags (TagsArea)
  kIsPinned = 0x200,       // is never evicted
  kFormatMask = 0xf000,    // the caller's, to know how the value is to be read
  kKnownFlags = 0xf3ff,
  kWordFlags = kHasExpiry | kHasCost | kHasFirst | kHasTransaction,
};
inline constexpr int kFormatShift = 12;

// Where a large value lies.
struct Blob {
  std::uint64_t id = 0;  // of the file in blobs/
  std::uint64_t bytes = 0;
  std::uint64_t content = 0;  // xxh3 of the value, seeded with the key's hash
};
static_assert(sizeof(Blob) == 24);
inline std::string_view bytes_of(const Blob& blob) { return {reinterpret_cast<const char*>(&blob), sizeof(blob)}; }

// The end of a transaction: how many records it has, and, as far as there are any, the numbers of transactions that it
// may rest on, which may not be on the disk yet: those that came last in its shards.
struct Ending {
  std::uint64_t records = 0;
  std::vector<std::uint64_t> after;
};

inline constexpr std::uint32_t kRecordHeader = 24;
inline constexpr std::uint32_t kRecordLeast = 24;
inline constexpr std::uint32_t kKeyMost = 65536;
inline constexpr std::uint32_t kTagsMost = 8 * 1024;  // of all tags of a record
inline constexpr std::uint32_t kAlignedValue = 256;   // values from this size on start on a multiple of 8
inline constexpr std::uint64_t kMask48 = (std::uint64_t{1} << 48) - 1;

inline std::uint64_t mix(std::uint64_t x) {  // the finalizer of MurmurHash3
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

// What the checksum covers of key and value. `key_hash` is seeded, so nobody outside can make a value that looks like
// records.
inline std::uint32_t content_of(std::uint64_t key_hash, std::string_view value) {
  std::uint64_t hash = hash64(value, key_hash);
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

struct RecordHead {
  std::uint32_t checksum = 0;
  std::uint32_t value_size = 0;
  std::uint64_t sequence = 0;
  std::uint16_t flags = 0;
  std::int64_t stored_ms = 0;
  std::uint32_t key_size = 1;

  std::uint32_t tags_bytes = 0;  // of the tags, a multiple of 8

  std::uint32_t kind() const { return flags & kKindMask; }
  // How many words these flags speak of. (std::popcount is a call on plain x86-64.)
  static constexpr std::uint32_t count(std::uint32_t bits) {
    if (__builtin_expect((bits & kWordFlags) == 0, 1)) return 0;
    return (bits >> 2 & 1) + (bits >> 4 & 1) + (bits >> 5 & 1) + (bits >> 7 & 1);
  }
  // Where they begin.
  static constexpr std::uint32_t expiry_at() { return kRecordHeader; }
  std::uint32_t cost_at() const { return kRecordHeader + 8 * count(flags & kHasExpiry); }
  std::uint32_t first_at() const { return kRecordHeader + 8 * count(flags & (kHasExpiry | kHasCost)); }
  std::uint32_t transaction_at() const {
    return kRecordHeader + 8 * count(flags & (kHasExpiry | kHasCost | kHasFirst));
  }
  std::uint32_t tags_at() const { return kRecordHeader + 8 * count(flags & kWordFlags); }
  std::uint32_t key_at() const { return tags_at() + tags_bytes; }
  std::uint32_t value_at() const {
    std::uint32_t end = key_at() + (kind() == kFiller ? 0 : key_size);
    return value_size >= kAlignedValue ? (end + 7) & ~7u : end;
  }
  std::uint64_t bytes() const { return (std::uint64_t{value_at()} + value_size + 7) & ~std::uint64_t{7}; }

  std::uint64_t word0() const { return std::uint64_t{value_size} << 32 | checksum; }
  std::uint64_t word1() const { return std::uint64_t{flags} << 48 | (sequence & kMask48); }
  std::uint64_t word2() const {
    return std::uint64_t{key_size - 1} << 48 | (static_cast<std::uint64_t>(stored_ms) & kMask48);
  }
  std::uint32_t salt(std::uint64_t generation) const {
    std::uint64_t x = mix(word1() ^ generation * 0x9e3779b97f4a7c15ULL) + word2() * 0xc2b2ae3d27d4eb4fULL +
                      value_size * 0x165667b19e3779f9ULL;
    return static_cast<std::uint32_t>(mix(x));
  }
};

// The expiry word: ms:48 check:16.
inline std::uint64_t expiry_word(std::int64_t expires_ms, std::uint64_t sequence, std::uint64_t seed) {
  std::uint64_t ms = static_cast<std::uint64_t>(expires_ms) & kMask48;
  return ms | mix(ms ^ sequence * 0x9e3779b97f4a7c15ULL ^ seed) >> 48 << 48;
}
inline bool expiry_right(std::uint64_t word, std::uint64_t sequence, std::uint64_t seed) {
  return word == expiry_word(static_cast<std::int64_t>(word & kMask48), sequence, seed);
}

// What a record says beside key and value, all of it optional.
struct Extras {
  std::int64_t expires_ms = 0;
  std::uint64_t cost = 0;
  std::uint64_t first = 0;
  std::uint64_t transaction = 0;
  std::string_view tags;  // as encode_tags (tags.h) makes them

  std::uint16_t flags() const {
    std::uint16_t flags = 0;
    if (expires_ms != 0) flags |= kHasExpiry;
    if (cost != 0) flags |= kHasCost;
    if (first != 0) flags |= kHasFirst;
    if (transaction != 0) flags |= kHasTransaction;
    if (!tags.empty()) flags |= kHasTags;
    return flags;
  }
  // What they add to the checksum's content, by exclusive or: all but the expiry, whose word has a check of its own.
  std::uint32_t content() const {
    std::uint64_t sum = 0;
    if (cost != 0) sum ^= mix(cost + 0x9e3779b97f4a7c15ULL);
    if (first != 0) sum ^= mix(first + 0xc2b2ae3d27d4eb4fULL);
    if (transaction != 0) sum ^= mix(transaction + 0x165667b19e3779f9ULL);
    if (!tags.empty()) sum ^= hash64(tags, 0x27d4eb2f165667c5ULL);
    return static_cast<std::uint32_t>(sum ^ sum >> 32);
  }
};

// A record as it lies in a segment, its head read and its bounds tested; the bytes may still change under a reader.
struct Record {
  RecordHead head;
  std::int64_t expires_ms = 0;  // 0: never
  const char* at = nullptr;

  const char* key() const { return at + head.key_at(); }
  const char* value() const { return at + head.value_at(); }
  bool key_is(std::string_view key_wanted) const {
    return head.key_size == key_wanted.size() && equal(key(), key_wanted.data(), key_wanted.size());
  }
  std::uint64_t word(std::uint32_t at_byte) const { return word_at(at + at_byte)->load(std::memory_order_relaxed); }
  std::uint64_t cost() const { return (head.flags & kHasCost) != 0 ? word(head.cost_at()) : 0; }
  std::uint64_t transaction() const { return (head.flags & kHasTransaction) != 0 ? word(head.transaction_at()) : 0; }
  // Where the entry stands in the order of storing.
  std::uint64_t place() const { return (head.flags & kHasFirst) != 0 ? word(head.first_at()) : head.sequence; }
  bool is_blob() const { return (head.flags & kBlob) != 0; }
  // Of a blob's record; nullopt when its size says that it is none.
  std::optional<Blob> blob() const {
    if (!is_blob() || head.value_size != sizeof(Blob)) return std::nullopt;
    Blob blob;
    copy_out(reinterpret_cast<char*>(&blob), value(), sizeof(blob));
    return blob;
  }
  // Of the value, wherever it lies.
  std::uint64_t value_bytes() const {
    if (__builtin_expect(!is_blob(), 1)) return head.value_size;
    const std::optional<Blob> blob = this->blob();
    return blob ? blob->bytes : 0;
  }
  // A view of shared memory: for who holds the lock or a pin.
  std::string_view tags() const { return {at + head.tags_at(), head.tags_bytes}; }
  Extras extras() const {
    return {expires_ms, cost(), (head.flags & kHasFirst) != 0 ? word(head.first_at()) : 0, transaction(), tags()};
  }

  // The record at `at`, when it is one that ends within `room` bytes.
  static std::optional<Record> read(const char* at, std::uint64_t room) {
    if (room < kRecordLeast) return std::nullopt;
    const std::uint64_t word0 = word_at(at)[0].load(std::memory_order_relaxed);
    const std::uint64_t word1 = word_at(at)[1].load(std::memory_order_relaxed);
    const std::uint64_t word2 = word_at(at)[2].load(std::memory_order_relaxed);
    Record record;
    record.at = at;
    record.head.checksum = static_cast<std::uint32_t>(word0);
    record.head.value_size = static_cast<std::uint32_t>(word0 >> 32);
    record.head.sequence = word1 & kMask48;
    record.head.flags = static_cast<std::uint16_t>(word1 >> 48);
    record.head.stored_ms = static_cast<std::int64_t>(word2 & kMask48);
    record.head.key_size = static_cast<std::uint32_t>(word2 >> 48) + 1;
    if ((record.head.flags & ~kKnownFlags) != 0) return std::nullopt;
    if (__builtin_expect((record.head.flags & kHasTags) != 0, 0)) {
      const std::uint32_t tags_at = record.head.tags_at();
      if (room < tags_at + 8) return std::nullopt;
      record.head.tags_bytes = static_cast<std::uint32_t>(record.word(tags_at));
      if (record.head.tags_bytes % 8 != 0 || record.head.tags_bytes > kTagsMost) return std::nullopt;
    }
    if (record.head.bytes() > room) return std::nullopt;
    if ((record.head.flags & kHasExpiry) != 0)
      record.expires_ms = static_cast<std::int64_t>(word_at(at)[3].load(std::memory_order_relaxed) & kMask48);
    return record;
  }
};

}  // namespace larder::engine
