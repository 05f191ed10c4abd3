// Tags: how a record names them, and which were evicted.
//
// Evicting a tag is one store: the sequence before which records with that tag are dead. Readers of a record with tags
// look whether one of them is in the table; records without tags pay nothing. The table holds a few thousand tags;
// before it is full every dead record is removed and the table is emptied (Store::evict_tag).
//
// In a record: bytes of the whole:32 count:32 | a hash for each tag | each tag's length:8 and bytes | padding to 8.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files.h"
#include "engine/record.h"

namespace larder::engine {

inline constexpr std::size_t kTagsPerEntry = 16;
inline constexpr std::size_t kTagBytesMost = 255;

// The tag's name in the table; never 0.
inline std::uint64_t tag_hash(std::string_view tag, std::uint64_t seed) { return hash64(tag, ~seed) | 1; }

// As a record has them; empty for none. kInvalid: an empty tag. kTooLarge: too long, or too many.
Result<std::string> encode_tags(std::span<const std::string_view> tags, std::uint64_t seed);
// The names in it, as far as it makes sense.
std::vector<std::string> decode_tags(std::string_view area);

class Tags {
 public:
  explicit Tags(const Files& files) : rows_(files.tags()), used_(files.globals().tags_used) {}

  // Whether one of the record's tags was evicted after it was written. Any thread, no lock. The answer is true for
  // what the slot held, so who took the record from a slot looks at the slot again (see read.cc).
  bool evicted(const Record& record) const {
    if (__builtin_expect((record.head.flags & kHasTags) == 0, 1)) return false;
    return used_.load(std::memory_order_acquire) != 0 && look(record);
  }

  // Under shard 0's lock. False: the table is too full for another tag; see clear().
  bool evict(std::uint64_t tag, std::uint64_t before);
  // Under shard 0's lock, when every record with a sequence below `swept` that one of them makes dead is gone, and that
  // is on the disk. False: another was evicted since; nothing changed.
  bool clear(std::uint64_t swept);
  // After a power loss, when the rows and their number may be of different moments.
  void recount();
  // Sequence before which the tag's records are dead; 0: it was not evicted.
  std::uint64_t before(std::uint64_t tag) const;
  // Evictions after `after`: their sequences.
  std::vector<std::uint64_t> since(std::uint64_t after) const;

 private:
  bool look(const Record& record) const;

  TagRow* rows_;
  Half& used_;
};

}  // namespace larder::engine
