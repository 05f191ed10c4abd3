// What changed: for near caches, which keep copies of their own and must know when these are old, and for watchers.
//
//   std::uint64_t at = cache.changes(0, 0)->next;  // from here on; then fill the near cache by list() or as asked
//   while (cache.wait_changes(at, 1000)) {
//     larder::Changes changes = cache.changes(at).value();
//     if (changes.lost) near.clear();  // too much has been forgotten: start over
//     for (const larder::ChangeEvent& event : changes.events) near.forget(event.key);
//     at = changes.next;
//   }
//
// The log is the feed, so it costs writers nothing. Of several changes to one key the last is always told, the others
// may be. What goes to make room is no change: a copy of it is still right. Nor is the end of an entry's time, which
// who keeps a copy must keep along; a new expiry that touch() gives need not be told. A clear and the eviction of a tag
// are told by `lost`, evicting by prefix or pattern as the deletions that it is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace larder {

struct ChangeEvent {
  enum Kind : std::uint32_t { kSet = 0, kDeleted = 1 };
  std::uint64_t sequence = 0;  // of a value that was set: its EntryInfo::sequence
  Kind kind = kSet;
  std::string key;
};

struct Changes {
  std::vector<ChangeEvent> events;  // by sequence
  std::uint64_t next = 0;           // where to go on
  // Changes since `after` are not known any more: everything may have changed up to `next`. Who follows often enough
  // sees it after a clear, a tag's eviction, a repair and a power loss. The events are empty then.
  bool lost = false;
};

}  // namespace larder
