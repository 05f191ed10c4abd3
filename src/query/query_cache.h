// Answers from the cache when that is as true as the caller asked for; else runs the question once, however many ask.
//
// An answer is kept in the engine under the SHA-256 of what decides it: normalised SQL, parameters, source, the
// reader's row scope and the version of the data it read. When a file changes, the version and so the key changes:
// the old answer cannot be found any more and goes by eviction.
//
// Thread-safe. lookup() never blocks and may be called on an event loop; fetch() blocks and belongs on a worker.
#pragma once

#include <larder/cache.h>
#include <larder/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "sources/source.h"

namespace larder::query {

struct Ask {
  sources::Question question;
  std::optional<std::int64_t> max_age_ms;  // an older answer will not do; 0: ask the source anew
  std::string scope;                       // the reader's effective row filter; part of the key
};

enum class Outcome {
  kHit,     // from the cache
  kMiss,    // the source was asked
  kShared,  // another caller was asking just this; its answer served
};

// An answer and what the reader may want to know of it.
struct Reply {
  std::string_view arrow() const;  // Arrow IPC stream; valid as long as this Reply

  Outcome outcome = Outcome::kMiss;
  bool stored = false;     // it is in the cache now
  std::string not_stored;  // why not: "too-large", "not-repeatable" (random(), now()), "changed-meanwhile" (the data),
                           // "no-space", "read-only" or "store-error"; else empty
  std::string key;         // of the entry in the cache; its hash part serves as ETag. Empty when not repeatable
  std::uint64_t rows = 0;
  std::int64_t created_ms = 0;  // when the source answered, since 1970-01-01 UTC
  std::int64_t age_ms = 0;
  double cost_ms = 0;   // what the source took
  std::string version;  // of the data

  // Where the bytes live: pinned in the cache, or owned (and perhaps shared with other callers of one flight).
  std::variant<std::shared_ptr<const std::string>, Pin> bytes;
  std::size_t offset = 0;  // of the Arrow stream in those bytes
};

// What an entry says of itself, read from its head. For lists of entries; parses hostile bytes.
struct EntryMeta {
  std::string sql;
  std::string params_json;
  std::string source;  // as asked; may be empty
  std::vector<std::string> reads;
  std::string version;
  std::uint64_t rows = 0;
  std::int64_t created_ms = 0;
  double cost_ms = 0;
};
// nullopt: not an entry of the query cache, or damaged.
std::optional<EntryMeta> describe(std::string_view key, std::string_view value);

// Numbers of this process since it started.
struct QueryStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;  // the source answered
  std::uint64_t shared = 0;
  std::uint64_t errors = 0;   // calls of fetch() that failed
  std::uint64_t running = 0;  // questions at the source now
  std::uint64_t waiting = 0;  // callers who wait for the answer that another asked for, now
  double saved_ms = 0;        // sum of the costs that hits did not pay
};

class QueryCache {
 public:
  struct Options {
    std::size_t plans_max = 10'000;  // plans kept in memory, so that a hit parses nothing
    const Clock* clock = nullptr;    // default: the machine's
  };

  // Both must outlive this.
  QueryCache(Cache& cache, sources::Source& source, const Options& options);
  ~QueryCache();

  // The answer when it is here and young enough; nullopt: fetch it (also when its SQL was never seen, as planning may
  // block). Errors as Source::plan and Source::version give them.
  Result<std::optional<Reply>> lookup(const Ask& ask);

  // The answer, from the cache or the source. Identical concurrent calls ask the source once; when the one that asks is
  // cancelled while others wait, one of them asks again. An error is shared with those who wait but not kept. Limits
  // bound what the source does: a hit is served whatever its size. kCancelled, kTimeout: this caller's own; else as the
  // source says. An answer that cannot be stored is given all the same, see Reply::not_stored.
  Result<Reply> fetch(const Ask& ask, const sources::Limits& limits, const Cancel& cancel);

  QueryStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::query
