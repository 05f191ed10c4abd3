#include "engine/blobs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "base/hash.h"
#include "base/try.h"
#include "engine/files.h"

namespace larder::engine {

namespace {
constexpr std::size_t kDigits = 16;
constexpr std::size_t kReadAtOnce = 1 << 20;
}  // namespace

std::string BlobName::text() const {
  char text[2 * kDigits + 2];
  (void)std::snprintf(text, sizeof(text), "%016llx-%016llx", static_cast<unsigned long long>(hash),
                      static_cast<unsigned long long>(id));
  return text;
}

std::optional<BlobName> BlobName::parse(std::string_view text) {
  if (text.size() != 2 * kDigits + 1 || text[kDigits] != '-') return std::nullopt;
  BlobName name;
  const auto number = [&](std::size_t at, std::uint64_t& value) {
    const auto [end, failed] = std::from_chars(text.data() + at, text.data() + at + kDigits, value, 16);
    return failed == std::errc{} && end == text.data() + at + kDigits;
  };
  if (!number(0, name.hash) || !number(kDigits + 1, name.id)) return std::nullopt;
  return name;
}

Result<Fd> Blobs::folder(bool create) const {
  const auto open_it = [&] { return Fd(::openat(directory_fd_, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); };
  Fd fd = open_it();
  if (!fd && errno == ENOENT && create) {
    if (::mkdirat(directory_fd_, "blobs", 0777) != 0 && errno != EEXIST)
      return system_error(errno, "mkdir", path_ / "blobs");
    if (::fsync(directory_fd_) != 0) return system_error(errno, "fsync", path_);
    fd = open_it();
  }
  if (!fd) return system_error(errno, "open", path_ / "blobs");
  return fd;
}

Result<Fd> Blobs::create(const BlobName& name) const {
  const Fd folder = TRY(this->folder(true));
  Fd fd(::openat(folder.get(), name.text().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd && errno == EEXIST) return Error{Code::kExists, path(name).string() + ": is there already"};
  if (!fd) return system_error(errno, "create", path(name));
  // Between the two it may be taken for an orphan: then it has no name any more, and another one must be made.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return Error{Code::kExists, path(name).string() + ": is locked"};
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0 || about.st_nlink == 0)
    return Error{Code::kExists, path(name).string() + ": was removed"};
  return fd;
}

Status Blobs::sync(int fd, const BlobName& name) const {
  while (::fdatasync(fd) != 0) {
    if (errno != EINTR) return system_error(errno, "fdatasync", path(name));
  }
  const Fd folder = TRY(this->folder(false));
  if (::fsync(folder.get()) != 0) return system_error(errno, "fsync", path_ / "blobs");
  if (auto* const hook = sync_hook.load(std::memory_order_acquire)) hook("blobs", true);
  return {};
}

Result<Fd> Blobs::open(const BlobName& name, std::uint64_t bytes) const {
  Fd fd(::openat(directory_fd_, ("blobs/" + name.text()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(errno, "open", path(name));
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return system_error(errno, "stat", path(name));
  if (static_cast<std::uint64_t>(about.st_size) != bytes)
    return Error{Code::kCorrupt, path(name).string() + ": has " + std::to_string(about.st_size) + " bytes, not " +
                                     std::to_string(bytes) + "; a check with repair removes the entry"};
  return fd;
}

Status Blobs::verify(const BlobName& name, const Blob& blob) const {
  const Fd fd = TRY(open(name, blob.bytes));
  Hasher64 hasher(name.hash);
  std::string part(static_cast<std::size_t>(std::min<std::uint64_t>(blob.bytes, kReadAtOnce)), '\0');
  for (std::uint64_t at = 0; at < blob.bytes;) {
    const ssize_t got = ::pread(fd.get(), part.data(), part.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read", path(name));
    if (got == 0) break;
    hasher.add({part.data(), static_cast<std::size_t>(got)});
    at += static_cast<std::uint64_t>(got);
  }
  if (hasher.sum() != blob.content) return Error{Code::kCorrupt, path(name).string() + ": its bytes are damaged"};
  return {};
}

std::vector<BlobName> Blobs::list() const {
  std::vector<BlobName> names;
  Result<Fd> folder = this->folder(false);
  if (!folder.ok()) return names;
  const int fd = ::fcntl(folder->get(), F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
  if (!entries) {
    if (fd >= 0) ::close(fd);
    return names;
  }
  while (const dirent* entry = ::readdir(entries.get())) {
    if (const std::optional<BlobName> name = BlobName::parse(entry->d_name)) names.push_back(*name);
  }
  std::sort(names.begin(), names.end(), [](const BlobName& a, const BlobName& b) { return a.id < b.id; });
  return names;
}

std::optional<Fd> Blobs::lock(const BlobName& name) const {
  Fd fd(::openat(directory_fd_, ("blobs/" + name.text()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return fd;
}

void Blobs::remove(const BlobName& name) const { (void)::unlinkat(directory_fd_, ("blobs/" + name.text()).c_str(), 0); }

void Blobs::drop(const BlobName& name, std::uint64_t bytes, std::uint64_t flush, Word& account) {
  account.fetch_add(bytes, std::memory_order_relaxed);
  const MutexLock lock(mutex_);
  dropped_.push_back({name, bytes, flush, &account});
}

void Blobs::release(std::uint64_t flushes, const std::function<bool()>& kept) {
  std::vector<Dropped> ripe;
  {
    const MutexLock lock(mutex_);
    std::vector<Dropped> waiting;
    for (const Dropped& one : dropped_) (one.flush < flushes ? ripe : waiting).push_back(one);
    dropped_ = std::move(waiting);
  }
  if (ripe.empty()) return;
  if (kept()) {
    const MutexLock lock(mutex_);
    dropped_.insert(dropped_.end(), ripe.begin(), ripe.end());
    return;
  }
  // Not under the mutex, which holders of a shard's lock wait for: a large file takes its time.
  for (const Dropped& one : ripe) {
    remove(one.name);
    one.account->fetch_sub(one.bytes, std::memory_order_relaxed);
  }
}

std::uint64_t Blobs::dropped_bytes() const {
  const MutexLock lock(mutex_);
  std::uint64_t sum = 0;
  for (const Dropped& one : dropped_) sum += one.bytes;
  return sum;
}

}  // namespace larder::engine
