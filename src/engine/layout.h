// The bytes of a cache: `ctl`, `idx` and `log`, as docs/format/store.md draws them. Nothing here acts.
//
// All words that several processes touch are atomics with one owner rule each: "lock" means written only under the
// shard's lock, "open" only while the directory is locked for opening. Everything read from here is input: it is tested
// against Geometry before it is used, since a failing disk or another program can make it anything.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace larder::engine {

inline constexpr std::uint32_t kFormatVersion = 2;  // any change below is a new version
inline constexpr char kMagic[8] = {'L', 'A', 'R', 'D', 'E', 'R', '\r', '\n'};
inline constexpr std::uint32_t kByteOrder = 0x01020304;

inline constexpr std::uint32_t kProcessesMax = 128;  // Cache objects that may have a directory open at once
inline constexpr std::uint32_t kStripes = 4;  // counters and pins of a process, by thread, so that threads rarely meet
inline constexpr std::uint32_t kShardsMax = 64;
inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kMiB = 1 << 20;

using Word = std::atomic<std::uint64_t>;
using Half = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);
static_assert(Half::is_always_lock_free && sizeof(Half) == 4);

// --- ctl -------------------------------------------------------------------------------------------------------------

// Page 0. Written once, when the cache is created; the checksum covers all of it.
struct Superblock {
  char magic[8];
  std::uint32_t format_version;
  std::uint32_t layout_signature;  // of the sizes of these structs: two builds that differ do not meet
  std::uint32_t byte_order;
  std::uint32_t checksum;        // low half of xxh3 over this struct with this field zero
  std::uint64_t capacity_bytes;  // what the files are laid out for; the size limit may be raised to it
  std::uint32_t shards;
  std::uint32_t segment_shift;     // log2 of a segment's bytes
  std::uint64_t size_limit_bytes;  // from here the settings that the cache was created with; those of now are Settings
  std::uint64_t entry_limit;       // 0: none
  std::uint32_t durability;
  std::uint32_t flush_every_ms;
  std::uint32_t policy;
  std::uint32_t features;   // bits that an opener must know; none yet
  std::uint64_t hash_seed;  // secret of this directory, so that nobody can choose keys that collide
  std::int64_t created_ms;
  std::uint64_t reserved[4];  // zero
};
static_assert(sizeof(Superblock) == 120 && std::is_standard_layout_v<Superblock>);

// What may be changed while the cache is open. A value out of range counts as the superblock's.
struct Settings {
  Word version;  // raised by each change
  Word size_limit_bytes;
  Word entry_limit;
  Half policy;
  Half durability;
  Half flush_every_ms;
  Half reserved[5];
};
static_assert(sizeof(Settings) == 56);

// Page 1.
struct Globals {
  alignas(64) Word sequence;         // the next one; every write takes one, in all shards
  alignas(64) Word flushes_started;  // counted before the log is synced ...
  Word flushes_done;                 // ... and after: the highest started one that is on the disk
  alignas(64) char boot_id[40];      // open: the boot in which the index was last known to be right
  Half clean;                        // 1: closed by the last process, everything on the disk
  Half index_ready;                  // open: 0 while the index is being rebuilt
  alignas(64) Settings settings;
  alignas(64) Half tags_used;  // rows of the table of tags; under shard 0's lock
  Half first_in_line;  // who of the transactions goes first, since it lost several times: as in a lock word, or 0
  Word transactions_flushed;  // transactions with lower numbers are on the disk whole ...
  Word transactions_safe;     // ... and it is on the disk that they are
  Word transactions_last;     // the highest number that a transaction has taken
};
static_assert(sizeof(Globals) == 320);

// A tag that was evicted. Records with this tag and a lower sequence are dead. Rows are found by linear probing from
// tag mod kTagRows; they are added, raised, and all cleared together once no dead record is left (tags.cc).
struct TagRow {
  Word tag;  // its seeded hash, never 0; 0: the row is free
  Word before;
};
static_assert(sizeof(TagRow) == 16);
inline constexpr std::uint32_t kTagRows = 4096;

// What a change will do, noted before it is done, so that whoever comes after a death can finish it. All values are
// final ones, so doing it twice does no harm.
struct Redo {
  Half valid;        // 1: the change has happened, even if not all of it is in place yet
  Half append;       // segment that took a record, or kNone
  Half append_used;  // its end after
  Half append_live;
  Half append_tombs;
  Half drop;  // segment that held the entry's record before, or kNone
  Half drop_live;
  Half moves_blobs;  // 1: `blob_bytes` counts
  Word slot;         // which word of the shard's index, counted from its start, or kNoSlot
  Word slot_value;
  Word entries;
  Word expires_max;  // of `append`
  Word blob_bytes;   // on a line of its own that most changes do not touch
  Word reserved[7];
};
static_assert(sizeof(Redo) == 128);
inline constexpr std::uint32_t kNone = 0xffffffff;
inline constexpr std::uint64_t kNoSlot = ~std::uint64_t{0};

// S3-FIFO's two, and one from which nothing is evicted.
enum Queue : std::uint32_t { kSmall = 0, kMain = 1, kPinned = 2, kQueues = 3 };

struct ShardState {
  // Contended: the lock alone on its line.
  alignas(64) Half lock;
  // Read by every reader, written by a split and by a transaction.
  alignas(64) Word shape;  // level << 56 | buckets that are split; see index.h
  Half switching;          // 1: a transaction is being made visible, here and in other shards
  // lock: written by every write.
  alignas(64) Redo redo;
  alignas(64) Word entries;
  Half active[kQueues];  // segment that writes go to, or kNone
  Half victim;           // segment being freed, or kNone
  Half victim_offset;    // its records before this are dealt with
  Half victim_kept;      // bytes that were copied on
  Half victim_rule;      // bits: 1 evict nothing, 2 what stays was moved on, 4 and that has to get to the disk
  Half spare;            // segments that can be had without evicting; a hint
  Half split;            // bucket being made + 1, or 0
  Half clearing;         // 1: a clear has begun and is not done
  Half ghost_age;        // small segments evicted
  Half ghost_ready;      // 1: the ghosts have disk space
  Half overflow_used;    // overflow buckets taken so far ...
  Half overflow_free;    // ... and the first of those given back, + 1; linked through their meta words
  Half primary_pages;    // pages of the index that have disk space
  Half overflow_pages;
  Half reserved;
  Word clear_sequence;  // records before this are dead
  Word blob_bytes;      // of large values, which lie in files of their own
  Word feed_floor;      // who follows changes and has not come this far has missed some
  alignas(64) Word sets;
  Word deletes;
  Word evictions;
  Word expirations;
  Word repairs;
  // lock: the part of a transaction that lies in this shard: whether it happened is said by the commit word of its
  // process (ProcessSlot), and by it alone.
  alignas(64) Word transaction;  // its number, or 0
  Half transaction_slot;         // of its process
  Half transaction_segment;      // its records here: bytes `from` to `to` of this segment, beyond its end so far
  Half transaction_from;
  Half transaction_to;
  Word last_transaction;  // number of the last one that has changed something here
  Word room[4];           // zero
};
static_assert(sizeof(ShardState) == 512);
inline constexpr std::uint64_t kShardPitch = 1024;

// Taken with an open-file-description lock on the byte kLivenessBase + slot of `ctl`, which dies with its process.
struct ProcessSlot {
  Half incarnation;  // raised by each who takes it, so that a lock word names one life of one process
  Half pid;          // for people; may be of another pid namespace
  Word opened_ms;
  Word committed;    // number of the transaction that this process has decided to make visible
  Word committing;   // not 0: it is writing one with this number or a higher one, and has not decided it
  Word blob_bytes;   // of files in `blobs` that it is writing, or has yet to remove
  Word keeps_blobs;  // how many reasons it has that nobody removes files from `blobs`
  Word reserved[2];
};
static_assert(sizeof(ProcessSlot) == 64);
inline constexpr std::uint64_t kLivenessBase = std::uint64_t{1} << 40;

// What a backup adds to the pins of a segment, readers 1: it lets go as soon as somebody waits.
inline constexpr std::uint32_t kCopyPin = 1 << 24;

// One line for each process and stripe; never given back, so that sums only grow.
struct Counters {
  Word hits;
  Word misses;
  Word reserved[6];
};
static_assert(sizeof(Counters) == 64);

enum SegmentUse : std::uint32_t {
  kEmpty = 0,     // no disk space
  kFree = 1,      // disk space, nothing in it that counts
  kOpen = 2,      // writes go here
  kClosed = 3,    // full
  kDraining = 4,  // out of the index; waits for the last pin
};

struct SegmentState {
  Half use;
  Half queue;
  Half used;         // bytes, the header included; what is before it is whole
  Half live;         // bytes of records that the index points at, and of tombstones
  Half tombs;        // bytes of tombstones
  Half allocated;    // bytes that have disk space
  Word opened;       // sequence when it was opened: nothing in it was written before; kept while its end is not on disk
  Word freed;        // flushes_started when it was freed
  Word expires_max;  // latest expiry in it, kNever when something has none
  Word replaced;     // the flush that must have ended so that what last replaced one of its records is on the disk
  Word transaction;  // the highest number of a transaction that has a record in it, or a higher one
};
static_assert(sizeof(SegmentState) == 64);
inline constexpr std::uint64_t kNever = ~std::uint64_t{0};

// Lost records may have been seen by readers of list(); their numbers are not given out again.
inline constexpr std::uint64_t kSequenceGap = 1 << 20;

// --- idx -------------------------------------------------------------------------------------------------------------

// A cache line. A slot word is tag (25 bits) << 39 | frequency (2) << 37 | offset in the log in units of 8 bytes (37).
struct Bucket {
  static constexpr int kSlots = 7;
  Word meta;  // overflow bucket + 1 (32 bits), or 0
  Word slots[kSlots];
};
static_assert(sizeof(Bucket) == 64);

// --- log -------------------------------------------------------------------------------------------------------------

inline constexpr std::uint32_t kSegmentMagic = 0x4745534c;  // "LSEG"

struct SegmentHeader {  // as eight words, so that it is read and written like a record
  std::uint32_t magic;
  std::uint32_t checksum;  // low half of xxh3, seeded, over this struct with this field zero
  std::uint32_t segment;
  std::uint32_t queue;
  std::uint64_t generation;
  std::uint64_t opened;
  std::int64_t opened_ms;
  std::uint64_t reserved[3];
};
static_assert(sizeof(SegmentHeader) == 64);

// --- Where everything lies -------------------------------------------------------------------------------------------

// Follows from the three numbers that are kept in the superblock, and from nothing else.
struct Geometry {
  std::uint64_t capacity = 0;
  std::uint32_t shards = 0;
  std::uint32_t segment_shift = 0;

  static constexpr std::uint32_t default_shards(std::uint64_t size_limit) {
    std::uint64_t wanted = std::bit_floor(size_limit / (256 * kMiB) + (size_limit < 256 * kMiB ? 1 : 0));
    return static_cast<std::uint32_t>(wanted > 16 ? 16 : wanted);
  }
  // Up to 128 segments a shard: what is spare or half empty is a part of a segment each (docs/design/engine.md). In
  // small caches fewer, since each that is freed costs a flush.
  static constexpr std::uint32_t default_segment_shift(std::uint64_t size_limit, std::uint32_t shards) {
    const std::uint64_t shard = size_limit / shards;
    std::uint64_t bytes = std::max(shard / 128, std::min(kMiB, shard / 32));
    if (bytes < 128 * 1024) bytes = 128 * 1024;
    if (bytes > 16 * kMiB) bytes = 16 * kMiB;
    return static_cast<std::uint32_t>(std::bit_width(bytes) - 1);
  }
  static constexpr std::uint64_t kSizeLeast = 16 * kMiB;
  // Limits may be raised this much later: the files are full of holes, so it costs address space and some of `ctl`.
  static constexpr std::uint64_t kCapacityTimes = 4;
  static constexpr std::uint64_t kSizeMost = std::uint64_t{1} << 39;  // what 37 bits of 8 bytes reach, with room
  static constexpr std::uint64_t kShardLeast = 4 * kMiB;
  static constexpr std::uint64_t kSegmentsMost = 8192;  // of a shard
  static constexpr std::uint64_t kShardMost = std::uint64_t{1} << 37;

  constexpr bool valid() const {
    return capacity >= kSizeLeast && capacity <= kSizeMost && std::has_single_bit(shards) && shards <= kShardsMax &&
           shard_bytes() >= kShardLeast && shard_bytes() <= kShardMost && segment_shift >= 17 && segment_shift <= 24 &&
           shard_bytes() >> segment_shift >= 8 && shard_bytes() >> segment_shift <= kSegmentsMost;
  }

  static constexpr std::uint64_t pages(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

  constexpr std::uint64_t shard_bytes() const { return capacity / shards; }
  constexpr std::uint32_t segment_bytes() const { return std::uint32_t{1} << segment_shift; }
  // Two more than fit: records that are being moved on may need one while the limit is reached.
  constexpr std::uint32_t segments_per_shard() const {
    return static_cast<std::uint32_t>(shard_bytes() >> segment_shift) + 2;
  }
  constexpr std::uint32_t segments() const { return segments_per_shard() * shards; }

  // ctl
  constexpr std::uint64_t globals_at() const { return kPage; }
  constexpr std::uint64_t shards_at() const { return 2 * kPage; }
  constexpr std::uint64_t processes_at() const { return shards_at() + kShardPitch * shards; }
  constexpr std::uint64_t counters_at() const { return processes_at() + sizeof(ProcessSlot) * kProcessesMax; }
  constexpr std::uint64_t tags_at() const { return counters_at() + sizeof(Counters) * kProcessesMax * kStripes; }
  constexpr std::uint64_t generations_at() const { return tags_at() + sizeof(TagRow) * kTagRows; }
  constexpr std::uint64_t segments_at() const { return generations_at() + (8ull * segments() + 63) / 64 * 64; }
  constexpr std::uint64_t pins_at() const { return segments_at() + sizeof(SegmentState) * segments(); }
  constexpr std::uint64_t pins_pitch() const { return (4ull * segments() + 63) / 64 * 64; }
  constexpr std::uint64_t ctl_bytes() const { return pages(pins_at() + pins_pitch() * kProcessesMax * kStripes); }

  // idx: for each shard its ghosts, its overflow buckets, its buckets. The file has holes; pages get disk space as they
  // come into use.
  constexpr std::uint64_t ghosts() const { return std::bit_floor(shard_bytes() / kCapacityTimes / 512); }
  constexpr std::uint64_t ghost_bytes() const { return pages(ghosts() * 4); }
  constexpr std::uint64_t overflow_max() const { return pages(shard_bytes() / 8) / sizeof(Bucket); }
  constexpr std::uint64_t buckets_max() const { return pages(shard_bytes() / 2) / sizeof(Bucket); }
  constexpr std::uint64_t overflow_at() const { return ghost_bytes(); }  // in the shard's part
  constexpr std::uint64_t buckets_at() const { return overflow_at() + overflow_max() * sizeof(Bucket); }
  constexpr std::uint64_t index_pitch() const { return buckets_at() + buckets_max() * sizeof(Bucket); }
  constexpr std::uint64_t idx_bytes() const { return index_pitch() * shards; }

  // log
  constexpr std::uint64_t log_bytes() const { return std::uint64_t{segments()} << segment_shift; }
};

// Of the limit, what large values may have at most; the log keeps the rest.
constexpr std::uint64_t blob_bytes_most(std::uint64_t limit) { return limit / 4 * 3; }

// Two builds whose structs differ refuse each other's directories even when somebody forgot the version.
constexpr std::uint32_t layout_signature() {
  std::uint32_t sum = kFormatVersion;
  for (std::uint32_t size :
       {std::uint32_t{sizeof(Superblock)}, std::uint32_t{sizeof(Globals)}, std::uint32_t{sizeof(ShardState)},
        std::uint32_t{sizeof(ProcessSlot)}, std::uint32_t{sizeof(Counters)}, std::uint32_t{sizeof(SegmentState)},
        std::uint32_t{sizeof(Bucket)}, std::uint32_t{sizeof(SegmentHeader)}, std::uint32_t{sizeof(Settings)},
        std::uint32_t{sizeof(TagRow)}, kTagRows, kProcessesMax, kStripes})
    sum = sum * 16777619u + size;
  return sum;
}

}  // namespace larder::engine
