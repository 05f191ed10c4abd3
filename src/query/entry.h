// An entry of the query cache as bytes: a head that says what was asked and what it cost, then the Arrow IPC stream.
// Drawn in docs/format/query-entry.md.
//
// Values come back from a directory that other programs write to, so every byte read here may be hostile.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "query/query_cache.h"

namespace larder::query {

inline constexpr std::uint32_t kEntryFormatVersion = 1;  // any change below is a new version; it is part of every key
inline constexpr std::string_view kKeyPrefix = "query:";

// Little endian. The texts follow: SQL, parameters, source, version, then each source read; each a length in 4 bytes
// and its bytes. Then zeros to the next multiple of 64, where the stream begins.
struct EntryHead {
  std::array<char, 4> magic;  // "LQE1"
  std::uint32_t format;       // kEntryFormatVersion
  std::uint64_t checksum;     // XXH3 with seed 0 of the head's bytes from here to head_bytes
  std::uint32_t head_bytes;   // a multiple of 64
  std::uint32_t reads_count;
  std::uint64_t stream_bytes;  // head and stream are the whole value
  std::uint64_t rows;
  std::int64_t created_ms;
  double cost_ms;
  std::uint64_t reserved;  // zero
};
static_assert(sizeof(EntryHead) == 64 && std::is_trivially_copyable_v<EntryHead>);
static_assert(std::endian::native == std::endian::little, "the head is written as it lies in memory");

// What a hit needs of a head.
struct EntryFacts {
  std::size_t stream_offset = 0;
  std::uint64_t rows = 0;
  std::int64_t created_ms = 0;
  double cost_ms = 0;
};

// The head of an entry with these words, to be followed by a stream of that many bytes. SQL and parameters are kept for
// people to read: beyond 16 KiB and 4 KiB they are cut.
std::string entry_head(const EntryMeta& meta, std::uint64_t stream_bytes);

// nullopt: this is no whole, undamaged entry of this format.
std::optional<EntryFacts> read_entry(std::string_view value);

// Parameters as a JSON array, for people to read: bytes that are not UTF-8 are replaced, "NaN" and infinities are
// words.
std::string params_json(const std::vector<sources::Param>& params);

}  // namespace larder::query
