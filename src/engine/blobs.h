// Values that are too large for a segment: a file each in the folder `blobs`, its bytes and nothing else.
//
// The file's name is the hash of the entry's key and a number that no other file has: so whoever finds a file can ask
// the index whether an entry speaks of it. One that none speaks of is an orphan (its writer died, or who should have
// removed it), unless it is still being written: its writer holds a lock on it (flock) until the entry is there, and
// the lock goes with its process.
//
// Files go after their entries: when the change that dropped the entry is on the disk, since until then a power loss
// may bring the entry back.
//
// All functions: any thread.
#pragma once

#include <larder/result.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "engine/layout.h"
#include "engine/record.h"

namespace larder::engine {

struct BlobName {
  std::uint64_t hash = 0;  // of the key
  std::uint64_t id = 0;

  std::string text() const;
  static std::optional<BlobName> parse(std::string_view text);
};

class Blobs {
 public:
  // `directory_fd` is the cache's and outlives this.
  Blobs(int directory_fd, std::filesystem::path cache) : directory_fd_(directory_fd), path_(std::move(cache)) {}

  // A new file, locked. kExists: the name is taken.
  Result<Fd> create(const BlobName& name) const;
  // Its bytes, and that it has a name, get to the disk.
  Status sync(int fd, const BlobName& name) const;
  // To read. kNotFound, or kCorrupt when it has not this many bytes.
  Result<Fd> open(const BlobName& name, std::uint64_t bytes) const;
  // Whether it is what was written.
  Status verify(const BlobName& name, const Blob& blob) const;
  // Oldest first.
  std::vector<BlobName> list() const;
  // Nobody writes it. The lock is held as long as the descriptor; nullopt: somebody does, or it is gone.
  std::optional<Fd> lock(const BlobName& name) const;
  void remove(const BlobName& name) const;
  std::filesystem::path path(const BlobName& name) const { return path_ / "blobs" / name.text(); }

  // The entry is gone. The file follows when `flush` flushes are done; `account` is lowered then, and raised now.
  void drop(const BlobName& name, std::uint64_t bytes, std::uint64_t flush, Word& account) LARDER_EXCLUDES(mutex_);
  // Removes what was dropped before the last of `flushes` flushes began, unless somebody keeps it. `kept` is asked once
  // it is known what would go: who keeps from then on has not seen an entry that speaks of it.
  void release(std::uint64_t flushes, const std::function<bool()>& kept) LARDER_EXCLUDES(mutex_);
  // Bytes of what was dropped and is still there.
  std::uint64_t dropped_bytes() const LARDER_EXCLUDES(mutex_);

  // For fork.
  void before_fork() LARDER_ACQUIRE(mutex_) { mutex_.lock(); }
  void after_fork() LARDER_RELEASE(mutex_) { mutex_.unlock(); }
  // In the child: what was dropped is its parent's to remove.
  void after_fork_in_child() LARDER_RELEASE(mutex_) {
    dropped_.clear();
    mutex_.unlock();
  }

 private:
  struct Dropped {
    BlobName name;
    std::uint64_t bytes = 0;
    std::uint64_t flush = 0;
    Word* account = nullptr;
  };
  Result<Fd> folder(bool create) const;

  const int directory_fd_;
  const std::filesystem::path path_;
  mutable Mutex mutex_;
  std::vector<Dropped> dropped_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::engine
