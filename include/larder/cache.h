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
// Keys are 1 byte to 64 KiB, any bytes. Values are 0 bytes to Cache::value_bytes_max(), gigabytes if the limit is large
// enough: large ones lie in files of their own, and get() maps them. Part by part: larder/stream.h. Several keys in one
// step: larder/transaction.h. What changed: larder/feed.h.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
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

// What goes when there is no room.
enum class Policy : std::uint32_t {
  kS3Fifo = 0,               // what was read since it was stored stays longer; the best hit rate for most
  kLeastRecentlyStored = 1,  // the oldest goes, read or not
  kLeastRecentlyUsed = 2,    // what was not read for longest goes
  kLeastFrequentlyUsed = 3,  // what was read least goes
  kNone = 4,                 // nothing goes: a full cache refuses writes with kNoSpace
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
  Policy policy = Policy::kS3Fifo;
  std::uint64_t entry_limit = 0;     // how many entries at most, shared out evenly to the shards; 0: as many as fit
  std::uint64_t capacity_bytes = 0;  // what size_limit_bytes may be raised to later; default four times it

  // These count for this opener alone.
  bool create = true;            // else a missing directory is kNotFound
  bool read_only = false;        // no file is written; writes are kDenied
  const Clock* clock = nullptr;  // default: the machine's
};

// Settings that may be changed while the cache is open, by anybody who has it open; all openers follow at once.
struct SettingsChange {
  std::optional<std::uint64_t> size_limit_bytes;  // 16 MiB to capacity_bytes; the next writes make room
  std::optional<std::uint64_t> entry_limit;
  std::optional<Policy> policy;
  std::optional<Durability> durability;
  std::optional<std::uint32_t> flush_every_ms;
};

// Every member has an initializer, so that {.ttl_ms = 1000} is no warning with -Wextra.
struct SetOptions {
  std::int64_t ttl_ms = 0;               // lives this long; 0: until evicted. Less than zero is kInvalid.
  std::vector<std::string_view> tags{};  // at most 16, of 1 to 255 bytes; see Cache::evict
  std::uint64_t cost = 0;                // of making the value anew, in any unit: dear ones stay longer; 0: not known
  std::uint8_t format = 0;               // 0 to 15, the caller's: how the value is to be read
  bool pinned = false;                   // is never evicted; a cache full of pinned entries refuses writes (kNoSpace)
  bool keeps_place = false;              // in the order of list(), where the key's value before had its place
};

// What is known of an entry beside its value.
struct EntryInfo {
  std::uint64_t sequence = 0;   // place in the order of writes, unique in the directory
  std::int64_t stored_ms = 0;   // since 1970-01-01 UTC
  std::int64_t expires_ms = 0;  // since 1970-01-01 UTC; 0: never
  std::uint64_t value_bytes = 0;
  std::uint64_t place = 0;  // in the order of list(): the sequence, or that of an earlier value (keeps_place)
  std::uint64_t cost = 0;   // as given; 0: not known
  std::uint8_t format = 0;
  bool pinned = false;
  bool tagged = false;
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
  std::vector<std::string> tags() const;

 private:
  friend class Cache;
  friend struct PinAccess;  // the engine makes pins
  Pin() = default;

  std::string_view bytes_;
  std::string_view tags_;
  EntryInfo info_;
  void* owner_ = nullptr;
  std::uint64_t token_ = 0;
};

// Numbers since the cache was created, over all processes, unless said.
struct Stats {
  std::uint64_t entries = 0;      // now, expired ones that were not yet removed included
  std::uint64_t value_bytes = 0;  // now: keys, values and record headers of live entries, large values included
  std::uint64_t disk_bytes = 0;   // now: space taken by all files
  std::uint64_t size_limit_bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sets = 0;
  std::uint64_t deletes = 0;
  std::uint64_t evictions = 0;     // entries that went to make room
  std::uint64_t expirations = 0;   // entries whose time had come
  std::uint64_t pinned_bytes = 0;  // now: of value_bytes, what is never evicted, large values not counted
  std::uint64_t blob_bytes = 0;    // now: of value_bytes, large values, which lie in files of their own
  std::uint64_t repairs = 0;       // times that a dead process's unfinished write was put right
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
  std::vector<std::string> tags;
};

// Which entries: those to which all that is given applies.
struct Filter {
  std::string prefix{};   // keys that begin so
  std::string pattern{};  // keys that match, as in a shell: * ? [abc] [!a-z], \ before one of these
  std::string tag{};
  bool any() const { return prefix.empty() && pattern.empty() && tag.empty(); }
};

// An entry taken out.
struct Entry {
  std::string value;
  EntryInfo info;
  std::vector<std::string> tags;
};

struct KeyValue {
  std::string_view key;
  std::string_view value;
};

struct TagStats {
  std::string tag;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

class Transaction;  // larder/transaction.h
class ValueReader;  // larder/stream.h
class ValueWriter;
struct Changes;  // larder/feed.h

// Told how far a long piece of work has come, now and then, by the thread that does it. False ends it: kCancelled,
// and nothing is left of it.
using Progress = std::function<bool(std::uint64_t bytes_done, std::uint64_t bytes_all)>;

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
  // Empty when there are none, or no such entry.
  std::vector<std::string> tags(std::string_view key) const;
  // For each key what get() would give; quicker than one by one, since they are fetched side by side. Not one moment
  // for all of them: see Transaction.
  std::vector<std::optional<Pin>> get_many(std::span<const std::string_view> keys) const;

  // --- Writes: one shard's lock for under a microsecond. kNoSpace: the disk is full; nothing changed. kTooLarge: key
  // or value over the limit. kInvalid: empty key, negative ttl. kDenied: opened read-only. ---

  Status set(std::string_view key, std::string_view value, const SetOptions& options = {});
  // Sets only when absent (or expired); false: it was there, nothing changed.
  Result<bool> add(std::string_view key, std::string_view value, const SetOptions& options = {});
  // Sets only when present; false: it was not there, nothing changed.
  Result<bool> replace(std::string_view key, std::string_view value, const SetOptions& options = {});
  // Sets only when the entry is the one with this EntryInfo::sequence (0: when there is none); false: it is not,
  // nothing changed. So a value that was read can be changed without losing what others wrote in between.
  Result<bool> compare_and_set(std::string_view key, std::uint64_t sequence, std::string_view value,
                               const SetOptions& options = {});
  // All of them; each as atomic as set(), the whole not (see Transaction). Quicker than one by one: a shard's lock is
  // taken once for many. An error ends it, naming the key; what came before it stays written.
  Status set_many(std::span<const KeyValue> entries, const SetOptions& options = {});
  // False: it was not there.
  Result<bool> del(std::string_view key);
  // Deletes only the entry with this sequence.
  Result<bool> compare_and_del(std::string_view key, std::uint64_t sequence);
  // How many were there.
  Result<std::uint64_t> del_many(std::span<const std::string_view> keys);
  // Takes the entry out: of all who pop it, one gets it. nullopt: not there.
  Result<std::optional<Entry>> pop(std::string_view key);
  // New time to live from now; 0: lives until evicted. False: not there.
  Result<bool> touch(std::string_view key, std::int64_t ttl_ms);
  // Adds `delta` to the decimal integer kept under `key`, and returns the sum. All else of the entry stays as it is;
  // one that is absent begins at 0 and gets what `options` say. kInvalid: the value is no integer of 64 bits, or the
  // sum would not be; nothing changed.
  Result<std::int64_t> incr(std::string_view key, std::int64_t delta = 1, const SetOptions& options = {});
  // Removes every entry; returns how many there were. Statistics stay.
  Result<std::uint64_t> clear();
  // From this moment on every entry that was stored with the tag is gone, for every reader of every process, however
  // many they are. They are removed as room is made, or by cull(); until then they count in stats().entries. Costs a
  // microsecond and, unless durability is none, a sync of one file; one call in about two thousand walks all entries.
  Status evict_tag(std::string_view tag);
  // Removes the entries that the filter names, pinned ones too, and walks all entries to find them; how many. With
  // nothing but a tag they are gone at once as with evict_tag(); with a prefix or pattern one after another.
  Result<std::uint64_t> evict(const Filter& filter);
  // Removes what has expired or lost its tag, and evicts until all limits are kept; how many went.
  Result<std::uint64_t> cull();

  // A value that comes part by part, or is read so; see larder/stream.h. `key` and what `options` point at are copied.
  Result<ValueWriter> writer(std::string_view key, const SetOptions& options = {});
  std::optional<ValueReader> reader(std::string_view key) const;

  // --- The whole cache ---

  // The next at most `limit` live entries stored after `after` (0: from the first), in the order in which they were
  // stored. Empty: no more. An entry that lives through the whole iteration unchanged is seen exactly once; one that is
  // written meanwhile is seen at its new place, at its old, or both. `after` is an EntryInfo::place.
  std::vector<Item> list(std::uint64_t after = 0, std::size_t limit = 1000, const Filter& filter = {}) const;
  // The same backwards: the next at most `limit` entries stored before `before` (0: from the last), latest first.
  std::vector<Item> list_back(std::uint64_t before = 0, std::size_t limit = 1000, const Filter& filter = {}) const;

  Stats stats() const;
  // Of each shard; what counts for the whole cache alone is zero.
  std::vector<Stats> shard_stats() const;
  // Of each tag that live entries have, by name. Walks all entries.
  std::vector<TagStats> tag_stats() const;
  // Reads every file and checks every record's checksum, the index and the accounts. With repair, damaged records go
  // (they are misses from then on), and the index is rebuilt where it is wrong. Opened read-only: kUnavailable while
  // others have it open for writing.
  Result<CheckReport> check(bool repair = false);
  // Returns when everything acknowledged so far is on the disk.
  Status flush();
  // A copy of the cache in the new directory `to`, as the cache was at one moment, transactions whole or not at all,
  // while all go on reading and writing. (Two things may differ: what was just being evicted may still be there, and an
  // expiry may be one that touch() gave while the copy was made.) The copy is on the disk and whole when it gets its
  // name; it is a cache like any other, with statistics from zero. Who writes to a full cache may have to wait until a
  // segment is copied. kExists: there is something in `to`. kUnavailable: the disk is so slow that writers could not
  // wait for it; nothing is left of the copy.
  Status backup(const std::filesystem::path& to, const Progress& progress = {});
  // Makes the new directory `to` from a backup, or from any cache that nobody has open, and leaves that as it is. The
  // report says which entries are damaged, by key where that can still be read; they are left out of the new one.
  // kUnavailable: a process has `from` open. kExists: there is something in `to`.
  static Result<CheckReport> restore(const std::filesystem::path& from, const std::filesystem::path& to,
                                     const Progress& progress = {});

  // Runs `work` on a transaction and commits it: all or nothing, for readers in all processes and for a death at any
  // moment. See larder/transaction.h.
  Status transact(const std::function<Status(Transaction&)>& work, std::int64_t deadline_ms = 10'000);

  // The next at most `limit` changes after sequence `after`; with limit 0 none, but where the feed is now. Nothing that
  // changes later has a sequence up to `next`. See larder/feed.h.
  Result<Changes> changes(std::uint64_t after, std::size_t limit = 1000) const;
  // Waits until there may be changes after `after`; false: there were none. Looks again and again, less and less often,
  // at least every 10 ms.
  bool wait_changes(std::uint64_t after, std::int64_t timeout_ms) const;

  // As kept in the directory; the settings as they are now.
  Options options() const;
  // kInvalid: out of range; nothing changed.
  Status change(const SettingsChange& settings);
  const std::filesystem::path& directory() const;
  // The largest value this cache takes: three quarters of its size limit, as it is now.
  std::uint64_t value_bytes_max() const;

 private:
  friend struct CacheAccess;  // the engine's tests
  class Impl;
  explicit Cache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder
