// A cache is a directory. Any number of threads and processes open it at once and share its entries at memory speed.
//
//   larder::Cache cache = larder::Cache::open("cache").value();
//   cache.set("user:7", "Ada", {.ttl_ms = 60'000}).value();
//   if (auto pin = cache.get("user:7")) use(pin->bytes());  // the bytes lie in shared memory until the brace
//
// Threads: one Cache may be used by any number of threads at once. Processes: each opens its own. After fork() the
// child may go on using the Cache it inherited; it takes its own place in the directory at its first call.
//
// What a caller sees: every operation on one key is atomic, and operations on one key are seen by all threads and
// processes in one order (they are linearizable). What was acknowledged survives the death of any process at any
// instruction. After a power loss the cache opens by itself with everything up to the last flush (Durability), and
// never with a wrong value.
//
// Keys are 1 byte to 64 KiB, any bytes. Values are 0 bytes to Cache::value_bytes_max().
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder {

class Clock;  // base/clock.h; tests own the time

// When written bytes reach the disk, for a power loss; the death of a process never loses what was acknowledged.
enum class Durability : std::uint32_t {
  kNone = 0,   // when the kernel writes back by itself
  kTimed = 1,  // at most Options::flush_every_ms after the write
  kEach = 2,   // before the write is acknowledged
};

struct Options {
  // These are kept in the directory: they count when the cache is created, and an opener of an existing cache gets what
  // is kept (see Cache::options). Zero asks for the default.
  std::uint64_t size_limit_bytes = 0;  // of all files together; default 1 GiB, least 16 MiB
  // Writers of different shards do not wait for each other. A power of two, at least 4 MiB to each. Default: one for
  // each 256 MiB, at most 16.
  std::uint32_t shards = 0;
  Durability durability = Durability::kTimed;
  std::uint32_t flush_every_ms = 1000;  // for kTimed

  // These count for this opener alone.
  bool create = true;            // else a missing directory is kNotFound
  bool read_only = false;        // no file is written; writes are kDenied
  const Clock* clock = nullptr;  // default: the machine's
};

struct SetOptions {
  std::int64_t ttl_ms = 0;  // lives this long; 0: until evicted. Less than zero is kInvalid.
};

// What is known of an entry beside its value.
struct EntryInfo {
  std::uint64_t sequence = 0;   // place in the order of writes, unique in the directory
  std::int64_t stored_ms = 0;   // since 1970-01-01 UTC
  std::int64_t expires_ms = 0;  // since 1970-01-01 UTC; 0: never
  std::uint64_t value_bytes = 0;
};

// A view of a value in shared memory. It stays valid, and its bytes unchanged, until the Pin goes, even when the entry
// is overwritten, deleted or evicted meanwhile. Move-only. Holds back the space it points into: keep it for a moment,
// not for hours, and copy what must last. Must not outlive its Cache. May be used and destroyed by any thread. A forked
// child must not use the pins it inherited, but may destroy them.
class Pin {
 public:
  Pin(Pin&&) noexcept;
  Pin& operator=(Pin&&) noexcept;
  ~Pin();

  std::string_view bytes() const { return bytes_; }
  const EntryInfo& info() const { return info_; }

 private:
  friend class Cache;
  friend struct PinAccess;  // the engine makes pins
  Pin() = default;

  std::string_view bytes_;
  EntryInfo info_;
  void* owner_ = nullptr;
  std::uint64_t token_ = 0;
};

// Numbers since the cache was created, over all processes, unless said.
struct Stats {
  std::uint64_t entries = 0;      // now, expired ones that were not yet removed included
  std::uint64_t value_bytes = 0;  // now: keys, values and record headers of live entries
  std::uint64_t disk_bytes = 0;   // now: space taken by all files
  std::uint64_t size_limit_bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sets = 0;
  std::uint64_t deletes = 0;
  std::uint64_t evictions = 0;    // entries that went to make room
  std::uint64_t expirations = 0;  // entries whose time had come
  std::uint64_t repairs = 0;      // times that a dead process's unfinished write was put right
  std::uint32_t shards = 0;
  std::uint32_t processes = 0;  // that have it open now
};

// What check() found. A healthy cache has no findings.
struct CheckReport {
  std::uint64_t entries = 0;  // that were read whole and are right
  std::uint64_t bytes = 0;
  std::vector<std::string> findings;  // each names the file and the place; at most 1000, then a count
  std::uint64_t repaired = 0;         // findings that were put right
};

// One step of an iteration.
struct Item {
  std::string key;
  EntryInfo info;
};

class Cache {
 public:
  // Opens the cache in `directory`, which is created when missing. Repairs what an unclean end left behind.
  // kInvalid: an option out of range. kNotFound: missing and not to be created. kUnsupported: another format version.
  // kExists: the directory holds other files and no cache.
  // kCorrupt: not a Larder cache. kNoSpace, kIo, kDenied: as the system says, naming the file.
  static Result<Cache> open(const std::filesystem::path& directory, const Options& options = {});

  Cache(Cache&&) noexcept;
  Cache& operator=(Cache&&) noexcept;
  ~Cache();

  // --- Reads: no lock, no system call. An expired entry is a miss. ---

  // The value by view; nullopt: not here.
  std::optional<Pin> get(std::string_view key) const;
  // The value copied into `value`, whose capacity is reused; false: not here, `value` unchanged.
  bool get(std::string_view key, std::string& value) const;
  bool contains(std::string_view key) const;
  // The value without touching statistics or eviction: for lists of what is there.
  std::optional<Pin> peek(std::string_view key) const;
  // Metadata without touching statistics or eviction.
  std::optional<EntryInfo> info(std::string_view key) const;

  // --- Writes: one shard's lock for under a microsecond. kNoSpace: the disk is full; nothing changed. kTooLarge: key
  // or value over the limit. kInvalid: empty key, negative ttl. kDenied: opened read-only. ---

  Status set(std::string_view key, std::string_view value, const SetOptions& options = {});
  // Sets only when absent (or expired); false: it was there, nothing changed.
  Result<bool> add(std::string_view key, std::string_view value, const SetOptions& options = {});
  // False: it was not there.
  Result<bool> del(std::string_view key);
  // New time to live from now; 0: lives until evicted. False: not there.
  Result<bool> touch(std::string_view key, std::int64_t ttl_ms);
  // Adds `delta` to the decimal integer kept under `key`, from 0 when absent, and returns the sum; expiry is kept.
  // kInvalid: the value is no integer of 64 bits, or the sum would not be; nothing changed.
  Result<std::int64_t> incr(std::string_view key, std::int64_t delta = 1);
  // Removes every entry; returns how many there were. Statistics stay.
  Result<std::uint64_t> clear();

  // --- The whole cache ---

  // The next at most `limit` live entries stored after `after` (0: from the first), in the order in which they were
  // stored. Empty: no more. An entry that lives through the whole iteration unchanged is seen exactly once; one that is
  // written meanwhile is seen at its new place, at its old, or both.
  std::vector<Item> list(std::uint64_t after = 0, std::size_t limit = 1000) const;

  Stats stats() const;
  // Reads every file and checks every record's checksum, the index and the accounts. With repair, damaged records go
  // (they are misses from then on), and the index is rebuilt where it is wrong. Opened read-only: kUnavailable while
  // others have it open for writing.
  Result<CheckReport> check(bool repair = false);
  // Returns when everything acknowledged so far is on the disk.
  Status flush();

  // As kept in the directory.
  Options options() const;
  const std::filesystem::path& directory() const;
  // The largest value this cache takes.
  std::uint64_t value_bytes_max() const;

 private:
  friend struct CacheAccess;  // the engine's tests
  class Impl;
  explicit Cache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder
