// The files of one cache, mapped: `ctl`, `idx` and `log` in one directory.
//
// Finds, creates, checks and maps them; gives typed places in them; asks the file system for space before a page is
// written, so that a full disk is an error here and never a signal later. Knows no operation of a cache.
#pragma once

#include <larder/cache.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "base/fd.h"
#include "engine/blobs.h"
#include "engine/layout.h"

namespace larder::engine {

// errno as an Error that names the file.
Error system_error(int number, const std::string& what, const std::filesystem::path& path);

// Whether statfs() names a file system whose locks or mappings do not reach the processes of other machines.
bool is_network(std::uint32_t kind);

// For tests that keep what a disk would: called when a sync of a file begins and when it has ended. "." is the
// directory.
inline std::atomic<void (*)(const char* name, bool ended)> sync_hook{nullptr};
// For tests that can be run once more as they were: the hash seed of caches that are made from now on; 0: by chance.
inline std::atomic<std::uint64_t> test_seed{0};

// An exclusive lock on the directory, held while it is opened, created or closed. Goes with its process.
class DirectoryLock {
 public:
  static Result<DirectoryLock> take(int directory_fd, const std::filesystem::path& path);
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

// The settings that may be changed while the cache is open.
struct Config {
  std::uint64_t size_limit_bytes = 0;
  std::uint64_t entry_limit = 0;
  Policy policy = Policy::kS3Fifo;
  Durability durability = Durability::kTimed;
  std::uint32_t flush_every_ms = 0;
};

class Files {
 public:
  // The directory's descriptor; created when missing and `create`.
  static Result<Fd> open_directory(const std::filesystem::path& path, bool create);
  // Under a DirectoryLock. Creates the files when there are none and options.create.
  static Result<std::shared_ptr<Files>> open(int directory_fd, const std::filesystem::path& path,
                                             const Options& options);
  // Files that are only read, mapped so that what is stored in the mappings stays in this process.
  static Result<std::shared_ptr<Files>> open_apart(int directory_fd, const std::filesystem::path& path);
  ~Files();
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  // Set at construction.
  const std::filesystem::path& path() const { return path_; }
  const Geometry& geometry() const { return geometry_; }
  const Superblock& superblock() const { return superblock_; }
  bool read_only() const { return read_only_; }
  std::uint64_t seed() const { return superblock_.hash_seed; }
  // True when the index cannot be trusted whatever else is said: a file was missing or cut.
  bool index_lost() const { return index_lost_; }

  // As they are now; another process may change them at any time.
  Config settings() const;
  // Of settings(), for who asks at each read.
  Policy policy() const { return static_cast<Policy>(globals().settings.policy.load(std::memory_order_relaxed)); }
  // Under the DirectoryLock. Of values in range.
  void store_settings(const Config& config) const;

  Globals& globals() const { return *at<Globals>(ctl_, geometry_.globals_at()); }
  ShardState& shard(std::uint32_t i) const { return *at<ShardState>(ctl_, geometry_.shards_at() + kShardPitch * i); }
  ProcessSlot& process(std::uint32_t slot) const { return at<ProcessSlot>(ctl_, geometry_.processes_at())[slot]; }
  Counters& counters(std::uint32_t slot, std::uint32_t stripe) const {
    return at<Counters>(ctl_, geometry_.counters_at())[slot * kStripes + stripe];
  }
  TagRow* tags() const { return at<TagRow>(ctl_, geometry_.tags_at()); }
  Word* generations() const { return at<Word>(ctl_, geometry_.generations_at()); }
  SegmentState* segments() const { return at<SegmentState>(ctl_, geometry_.segments_at()); }
  Half* pins(std::uint32_t slot, std::uint32_t stripe) const {
    return at<Half>(ctl_, geometry_.pins_at() + geometry_.pins_pitch() * (slot * kStripes + stripe));
  }
  Half* ghosts(std::uint32_t shard) const { return at<Half>(idx_, geometry_.index_pitch() * shard); }
  Bucket* overflow(std::uint32_t shard) const {
    return at<Bucket>(idx_, geometry_.index_pitch() * shard + geometry_.overflow_at());
  }
  Bucket* buckets(std::uint32_t shard) const {
    return at<Bucket>(idx_, geometry_.index_pitch() * shard + geometry_.buckets_at());
  }
  char* log() const { return log_; }
  char* segment(std::uint32_t i) const { return log_ + (std::uint64_t{i} << geometry_.segment_shift); }

  // Disk space for a part of the file; kNoSpace when there is none. Bytes that have space already keep their contents.
  Status allocate_idx(std::uint64_t from, std::uint64_t bytes) const;
  Status allocate_log(std::uint64_t from, std::uint64_t bytes) const;
  // For a part that has space and holds nothing: its pages come into memory together, and read as zeros.
  void bring_in_idx(std::uint64_t from, std::uint64_t bytes) const;
  void bring_in_log(std::uint64_t from, std::uint64_t bytes) const;
  // The file system is memory: pages exist once they have space, and are small.
  bool in_memory() const { return in_memory_; }
  // Gives the space back; the bytes read as zeros.
  // So many bytes from there on have disk space, at least.
  std::uint64_t idx_without_holes(std::uint64_t from, std::uint64_t bytes) const;
  void release_idx(std::uint64_t from, std::uint64_t bytes) const;
  void release_log(std::uint64_t from, std::uint64_t bytes) const;

  // Large values. Their files count against the limit from before they are written until they are removed.
  Blobs& blobs() const { return *blobs_; }
  std::uint64_t blob_bytes() const;
  // Removes the files of entries that are gone for good, unless somebody keeps them (ProcessSlot::keeps_blobs).
  void release_blobs() const;
  bool blobs_are_kept() const;
  // All of them; where durability is none they were not brought to the disk one by one.
  Status sync_blobs() const;

  Status sync_ctl() const;
  Status sync_idx() const;
  Status sync_log() const;
  std::uint64_t disk_bytes() const;

  // Another open file description of ctl, for a liveness lock.
  Result<Fd> open_ctl_again() const;
  int ctl_fd() const { return ctl_fd_.get(); }
  int directory_fd() const { return directory_fd_.get(); }

 private:
  Files() = default;
  static Result<std::shared_ptr<Files>> open_as(int directory_fd, const std::filesystem::path& path,
                                                const Options& options, bool apart);
  template <typename T>
  static T* at(char* base, std::uint64_t offset) {
    return reinterpret_cast<T*>(base + offset);
  }
  Status create(const Options& options);
  Status read_superblock();
  Status map();
  Status map_one(const char* name, const Fd& fd, std::uint64_t bytes, char** where);
  Status allocate(const Fd& fd, const char* name, std::uint64_t from, std::uint64_t bytes) const;
  Status sync(const Fd& fd, const char* name) const;
  void bring_in(const Fd& fd, char* mapped, std::uint64_t from, std::uint64_t bytes) const;

  std::filesystem::path path_;
  Geometry geometry_;
  Superblock superblock_{};
  bool read_only_ = false;
  bool apart_ = false;
  bool index_lost_ = false;
  bool in_memory_ = false;
  Fd directory_fd_;
  Fd ctl_fd_;
  Fd idx_fd_;
  Fd log_fd_;
  std::unique_ptr<Blobs> blobs_;
  char* ctl_ = nullptr;
  char* idx_ = nullptr;
  char* log_ = nullptr;
};

// The boot that the machine is in now.
std::string current_boot_id();

}  // namespace larder::engine
