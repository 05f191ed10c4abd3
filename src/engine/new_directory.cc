#include "engine/new_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "base/try.h"
#include "engine/files.h"
#include "engine/steps.h"

namespace larder::engine {

namespace {

constexpr std::string_view kPart = ".part-";
constexpr mode_t kFileMode = 0666;
constexpr mode_t kDirectoryMode = 0777;
constexpr std::array<std::string_view, 5> kOurs = {"log", "idx", "ctl", "ctl.new", "blobs"};

Status refuse_inside(const std::filesystem::path& to, const std::filesystem::path& cache) {
  std::error_code failed;
  const std::filesystem::path inner = std::filesystem::weakly_canonical(to, failed);
  const std::filesystem::path outer = std::filesystem::weakly_canonical(cache, failed);
  const auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  if (end != outer.end()) return {};
  return Error{Code::kInvalid, to.string() + ": lies in the cache itself; name a place outside " + cache.string()};
}

Status sync_directory(const std::filesystem::path& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_error(errno, "open", path);
  return sync(fd, path);
}

// PID-N
bool numbers(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return dash != std::string_view::npos && digits(text.substr(0, dash)) && digits(text.substr(dash + 1));
}

// When it holds only what a NewDirectory may, and nobody makes it any more.
void remove_leftover(const std::filesystem::path& path) {
  if (::rmdir(path.c_str()) == 0) return;  // died before there was a log
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(path, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (std::find(kOurs.begin(), kOurs.end(), entry->path().filename().string()) == kOurs.end()) return;
  }
  if (failed) return;
  const Fd log(::open((path / "log").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (log ? ::flock(log.get(), LOCK_EX | LOCK_NB) != 0 : errno != ENOENT) return;
  std::filesystem::remove_all(path, failed);
}

}  // namespace

Result<Fd> make_file(const std::filesystem::path& path, std::uint64_t bytes, bool whole) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
  if (!fd) return system_error(errno, "create", path);
  TRY(lengthen(fd, bytes, path));
  if (const int failed = whole ? ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) : 0; failed != 0)
    return system_error(failed, "fallocate", path);
  return fd;
}

Status lengthen(const Fd& fd, std::uint64_t bytes, const std::filesystem::path& path) {
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return system_error(errno, "ftruncate", path);
  return {};
}

Status write_all(const Fd& fd, const void* bytes, std::uint64_t size, std::uint64_t at,
                 const std::filesystem::path& path) {
  const char* from = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = ::pwrite(fd.get(), from, size, static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_error(written == 0 ? ENOSPC : errno, "write", path);
    from += written;
    at += static_cast<std::uint64_t>(written);
    size -= static_cast<std::uint64_t>(written);
  }
  return {};
}

Status sync(const Fd& fd, const std::filesystem::path& path) {
  while (::fsync(fd.get()) != 0) {
    if (errno != EINTR) return system_error(errno, "fsync", path);
  }
  return {};
}

Result<std::uint64_t> copy_blob(const std::filesystem::path& cache, const BlobName& name,
                                const std::filesystem::path& to) {
  const std::filesystem::path from = cache / "blobs" / name.text();
  const std::filesystem::path copy = to / "blobs" / name.text();
  std::error_code failed;
  std::filesystem::create_directory(to / "blobs", failed);
  if (failed) return system_error(failed.value(), "mkdir", to / "blobs");
  std::filesystem::copy_file(from, copy, std::filesystem::copy_options::overwrite_existing, failed);
  if (failed == std::errc::no_such_file_or_directory) return std::uint64_t{0};
  if (failed) return system_error(failed.value(), "copy", from);
  const Fd fd(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(errno, "open", copy);
  TRY(sync(fd, copy));
  const std::uintmax_t bytes = std::filesystem::file_size(copy, failed);
  return failed ? std::uint64_t{0} : std::uint64_t{bytes};
}

Result<NewDirectory> NewDirectory::make(const std::filesystem::path& wanted, const std::filesystem::path& cache) {
  TRY(refuse_inside(wanted, cache));
  NewDirectory part;
  std::error_code failed;
  part.to_ = std::filesystem::absolute(wanted, failed).lexically_normal();
  if (!part.to_.has_filename()) part.to_ = part.to_.parent_path();
  TRY(part.refuse_taken());
  std::filesystem::create_directories(part.to_.parent_path(), failed);
  if (failed) return system_error(failed.value(), "mkdir", part.to_.parent_path());
  part.remove_leftovers();
  const std::string stem = part.to_.string() + std::string(kPart) + std::to_string(::getpid()) + "-";
  for (int i = 0; !TRY(part.try_name(stem + std::to_string(i))); ++i) {
  }
  return part;
}

// False: somebody else has it.
Result<bool> NewDirectory::try_name(const std::string& name) {
  if (::mkdir(name.c_str(), kDirectoryMode) != 0) {
    if (errno == EEXIST) return false;
    return system_error(errno, "mkdir", name);
  }
  const std::filesystem::path log = std::filesystem::path(name) / "log";
  log_ = Fd(::open(log.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
  if (!log_ && errno == ENOENT) return false;  // it looked like a leftover
  if (!log_) {
    const int why = errno;
    ::rmdir(name.c_str());
    return system_error(why, "create", log);
  }
  struct stat about {};
  if (::flock(log_.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(log_.get(), &about) != 0 || about.st_nlink == 0)
    return false;  // so did this
  path_ = name;
  return true;
}

void NewDirectory::remove_leftovers() const {
  const std::string stem = to_.filename().string() + std::string(kPart);
  std::vector<std::filesystem::path> candidates;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(to_.parent_path(), failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (name.compare(0, stem.size(), stem) == 0 && numbers(std::string_view(name).substr(stem.size())))
      candidates.push_back(entry->path());
  }
  for (const std::filesystem::path& path : candidates) remove_leftover(path);
}

NewDirectory::~NewDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Status NewDirectory::refuse_taken() const {
  std::error_code failed;
  if (!std::filesystem::exists(to_, failed) ||
      (std::filesystem::is_directory(to_, failed) && std::filesystem::is_empty(to_, failed)))
    return {};
  return Error{Code::kExists, to_.string() + ": is there already; name a directory that is new or empty"};
}

Status NewDirectory::place() {
  std::error_code failed;
  if (std::filesystem::exists(path_ / "blobs", failed)) TRY(sync_directory(path_ / "blobs"));
  TRY(sync_directory(path_));
  step(Step::kBackupWhole);
  if (::rename(path_.c_str(), to_.c_str()) != 0) {
    const int why = errno;
    TRY(refuse_taken());
    return system_error(why, "rename", to_);
  }
  path_.clear();
  return sync_directory(to_.parent_path());
}

}  // namespace larder::engine
