// Room for large values among the small ones, and the files that nobody needs.
//
// Both share one limit: large values may have three quarters of it, segments the rest; under pressure from both sides
// each gets a half. A large value asks for its room before it is written. First the files of large values go that had
// their turn, as long as they are more than half: a hand goes over them in the order in which they were written and
// takes the first that was not read since it came by (CLOCK). Then segments are freed. The other way round, when a
// segment had to be freed, the oldest large value goes too while they are more than half (give_way).
#pragma once

#include <larder/result.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/hash.h"
#include "engine/blobs.h"
#include "engine/membership.h"

namespace larder::engine {

class Store;

class BlobRoom {
 public:
  explicit BlobRoom(Store& store) : store_(store) {}

  // Room for `bytes` more of a value that has `in_all` then. kTooLarge: it can never have it. kNoSpace: what is there
  // may not be evicted. Give it back, or have an entry speak of the file and then give it back.
  Status reserve(std::uint64_t bytes, std::uint64_t in_all);
  void give_back(std::uint64_t bytes);
  // A shard had to free a segment.
  void give_way();

  // Removes files that no entry speaks of; how many.
  std::uint64_t sweep();
  void expect_orphans() { orphans_ = true; }
  // When somebody has died.
  void sweep_if_expected();

 private:
  Word& account() const;
  // At least `wanted` bytes of large values, oldest first; how many went.
  Result<std::uint64_t> evict(std::uint64_t wanted);

  Store& store_;
  std::atomic<std::uint64_t> hand_{0};  // of the file that it came by last
  std::atomic<bool> orphans_{false};
};

// A value on its way into a file of its own. Nothing is left of it when it goes before keep().
class NewBlob {
 public:
  static Result<NewBlob> begin(Store& store, std::uint64_t key_hash);
  NewBlob(NewBlob&& other) noexcept;
  NewBlob& operator=(NewBlob&&) = delete;
  ~NewBlob();

  // Room and disk space for `bytes` in all, so that they are not asked for part by part.
  Status prepare(std::uint64_t bytes);
  Status add(std::string_view bytes);
  // Nothing comes after it. On the disk, unless durability is none.
  Result<Blob> finish();
  // There is an entry that speaks of it.
  void keep();

 private:
  NewBlob(Store& store, const BlobName& name, Fd fd);

  // A forked child has a copy, and no say in it.
  bool is_mine() const;

  Store* store_;
  Identity owner_;
  BlobName name_;
  Fd fd_;
  Hasher64 hasher_;
  std::uint64_t written_ = 0;
  std::uint64_t reserved_ = 0;
};

}  // namespace larder::engine
