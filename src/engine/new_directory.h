// A directory of a cache's files that appears whole or not at all.
//
// It is made as `NAME.part-PID-N` beside the one it will be, and gets its name last, when it is on the disk. Its maker
// holds a lock on the `log` in it, which dies with him; so the next to make NAME removes what the dead left.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/fd.h"
#include "engine/blobs.h"

namespace larder::engine {

class NewDirectory {
 public:
  // kExists: there is something in `wanted`. kInvalid: it lies in `cache`.
  static Result<NewDirectory> make(const std::filesystem::path& wanted, const std::filesystem::path& cache);
  NewDirectory(NewDirectory&& other) noexcept
      : to_(std::move(other.to_)), path_(std::exchange(other.path_, {})), log_(std::move(other.log_)) {}
  NewDirectory& operator=(NewDirectory&&) = delete;
  // What was not placed goes.
  ~NewDirectory();

  const std::filesystem::path& path() const { return path_; }  // until it is placed
  const Fd& log() const { return log_; }                       // empty at first

  // Its names and its name to the disk. What is in the files must be there.
  Status place();

 private:
  NewDirectory() = default;
  Status refuse_taken() const;
  Result<bool> try_name(const std::string& name);
  void remove_leftovers() const;

  std::filesystem::path to_;
  std::filesystem::path path_;
  Fd log_;
};

// A new file full of holes. `whole`: it has all its disk space, since it is written to through a mapping.
Result<Fd> make_file(const std::filesystem::path& path, std::uint64_t bytes, bool whole = false);
Status lengthen(const Fd& fd, std::uint64_t bytes, const std::filesystem::path& path);
Status write_all(const Fd& fd, const void* bytes, std::uint64_t size, std::uint64_t at,
                 const std::filesystem::path& path);
Status sync(const Fd& fd, const std::filesystem::path& path);
// To the same place in another directory of a cache, and to the disk; how many bytes. One that is gone was of no use
// any more.
Result<std::uint64_t> copy_blob(const std::filesystem::path& cache, const BlobName& name,
                                const std::filesystem::path& to);

}  // namespace larder::engine
