// How a directory becomes a cache: all three files are made under another name's cover. `idx` and `log` come first, as
// files full of holes; `ctl` is filled as `ctl.new` and renamed last, so a directory with a `ctl` is whole. Who opens
// holds the directory's flock, so nobody sees the files half made. Space is asked for with fallocate before pages are
// written: writing to a hole of a full disk through a mapping would be a SIGBUS.
#include "engine/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <random>
#include <string_view>

#include "base/hash.h"
#include "base/try.h"

namespace larder::engine {

namespace {

std::uint32_t superblock_checksum(Superblock block) {
  block.checksum = 0;
  return static_cast<std::uint32_t>(
      hash64(std::string_view(reinterpret_cast<const char*>(&block), sizeof(block)), kFormatVersion));
}

// There every promise would be broken.
Status refuse_network(int fd, const std::filesystem::path& path) {
  struct statfs about {};
  if (::fstatfs(fd, &about) != 0) return system_error(errno, "statfs", path);
  if (!is_network(static_cast<std::uint32_t>(about.f_type))) return {};
  return Error{Code::kUnsupported, path.string() +
                                       ": is on a network file system, where processes cannot share memory; "
                                       "use a directory on a local disk"};
}

// A cache is made in an empty directory, or over what is left of one: never among somebody's own files, which a typing
// mistake in a path would otherwise do.
Status refuse_strangers(int directory_fd, const std::filesystem::path& path) {
  static constexpr std::string_view kOurs[] = {".", "..", "ctl.new", "idx", "log", "blobs", "lost+found"};
  const int fd = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> list(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
  if (!list) {
    const int failed = errno;
    if (fd >= 0) ::close(fd);
    return system_error(failed, "list", path);
  }
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (std::find(std::begin(kOurs), std::end(kOurs), name) == std::end(kOurs))
      return Error{Code::kExists, path.string() + ": holds other files (" + std::string(name) +
                                      ") and no cache; name a directory that is new or empty"};
  }
  return {};
}

bool is_memory(int fd) {
  struct statfs about {};
  return ::fstatfs(fd, &about) == 0 && static_cast<std::uint32_t>(about.f_type) == 0x01021994;  // tmpfs
}

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

bool is_network(std::uint32_t kind) {
  switch (kind) {
    case 0x6969:      // NFS
    case 0x517b:      // SMB
    case 0xff534d42:  // CIFS
    case 0xfe534d42:  // SMB2
    case 0x01021997:  // 9P
    case 0x00c36400:  // Ceph
      return true;
    default:
      return false;
  }
}

Error system_error(int number, const std::string& what, const std::filesystem::path& path) {
  Code code = Code::kIo;
  if (number == ENOSPC || number == EDQUOT) code = Code::kNoSpace;
  if (number == EACCES || number == EPERM || number == EROFS) code = Code::kDenied;
  if (number == ENOENT) code = Code::kNotFound;
  return Error{code, path.string() + ": " + what + ": " + std::strerror(number)};
}

std::string current_boot_id() {
  char text[40] = {};
  Fd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  ssize_t got = fd ? ::read(fd.get(), text, 36) : 0;
  return got == 36 ? std::string(text, 36) : std::string("unknown");
}

Result<DirectoryLock> DirectoryLock::take(int directory_fd, const std::filesystem::path& path) {
  while (::flock(directory_fd, LOCK_EX) != 0) {
    if (errno != EINTR) return system_error(errno, "flock", path);
  }
  return DirectoryLock(directory_fd);
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::flock(fd_, LOCK_UN);
}

Result<Fd> Files::open_directory(const std::filesystem::path& path, bool create) {
  if (create) {
    std::error_code failed;
    std::filesystem::create_directories(path, failed);
    if (failed && !std::filesystem::is_directory(path)) return system_error(failed.value(), "mkdir", path);
  }
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_error(errno, "open", path);
  TRY(refuse_network(fd.get(), path));
  return fd;
}

Result<std::shared_ptr<Files>> Files::open(int directory_fd, const std::filesystem::path& path,
                                           const Options& options) {
  return open_as(directory_fd, path, options, false);
}

Result<std::shared_ptr<Files>> Files::open_apart(int directory_fd, const std::filesystem::path& path) {
  Options options;
  options.read_only = true;
  return open_as(directory_fd, path, options, true);
}

Result<std::shared_ptr<Files>> Files::open_as(int directory_fd, const std::filesystem::path& path,
                                              const Options& options, bool apart) {
  std::shared_ptr<Files> files(new Files);
  files->apart_ = apart;
  files->path_ = path;
  files->read_only_ = options.read_only;
  files->directory_fd_ = Fd(::fcntl(directory_fd, F_DUPFD_CLOEXEC, 0));
  if (!files->directory_fd_) return system_error(errno, "dup", path);
  files->in_memory_ = is_memory(directory_fd);
  files->blobs_ = std::make_unique<Blobs>(files->directory_fd_.get(), path);
  struct stat about {};
  if (::fstatat(directory_fd, "ctl", &about, 0) != 0) {
    if (errno != ENOENT) return system_error(errno, "stat", path / "ctl");
    if (!options.create || options.read_only)
      return Error{Code::kNotFound, path.string() + ": holds no cache (no file ctl)"};
    TRY(files->create(options));
  }
  const int mode = options.read_only ? O_RDONLY : O_RDWR;
  for (auto [name, fd] : {std::pair{"ctl", &files->ctl_fd_}, {"idx", &files->idx_fd_}, {"log", &files->log_fd_}}) {
    // idx can be made again from log; the others cannot.
    const bool replaceable = fd == &files->idx_fd_ && !options.read_only;
    *fd = Fd(::openat(directory_fd, name, mode | O_CLOEXEC | (replaceable ? O_CREAT : 0), 0666));
    if (!*fd && errno == ENOENT)
      return Error{Code::kCorrupt, (path / name).string() + ": is missing; restore it, or remove the directory"};
    if (!*fd) return system_error(errno, "open", path / name);
  }
  TRY(files->read_superblock());
  TRY(files->map());
  return files;
}

Files::~Files() {
  if (ctl_ != nullptr) ::munmap(ctl_, geometry_.ctl_bytes());
  if (idx_ != nullptr) ::munmap(idx_, geometry_.idx_bytes());
  if (log_ != nullptr) ::munmap(log_, geometry_.log_bytes());
}

Status Files::create(const Options& options) {
  Superblock block{};
  std::memcpy(block.magic, kMagic, sizeof(kMagic));
  block.format_version = kFormatVersion;
  block.layout_signature = layout_signature();
  block.byte_order = kByteOrder;
  block.size_limit_bytes = options.size_limit_bytes != 0 ? options.size_limit_bytes : 1024 * kMiB;
  block.entry_limit = options.entry_limit;
  block.policy = static_cast<std::uint32_t>(options.policy);
  block.shards = options.shards != 0 ? options.shards : Geometry::default_shards(block.size_limit_bytes);
  block.durability = static_cast<std::uint32_t>(options.durability);
  block.flush_every_ms = options.flush_every_ms;
  const std::uint64_t wanted_seed = test_seed.load(std::memory_order_relaxed);
  block.hash_seed = wanted_seed != 0 ? wanted_seed : random_seed();
  block.created_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  if (block.size_limit_bytes < Geometry::kSizeLeast || block.size_limit_bytes > Geometry::kSizeMost)
    return Error{Code::kInvalid,
                 "size_limit_bytes is " + std::to_string(block.size_limit_bytes) + ", must be 16 MiB to 512 GiB"};
  if (!std::has_single_bit(block.shards) || block.shards > kShardsMax)
    return Error{Code::kInvalid, "shards is " + std::to_string(block.shards) + ", must be a power of two to 64"};
  if (block.size_limit_bytes / block.shards < Geometry::kShardLeast)
    return Error{Code::kInvalid, "shards is " + std::to_string(block.shards) +
                                     ", leaves less than 4 MiB to each of "
                                     "size_limit_bytes " +
                                     std::to_string(block.size_limit_bytes)};
  if (block.size_limit_bytes / block.shards > Geometry::kShardMost)
    return Error{Code::kInvalid, "shards is " + std::to_string(block.shards) +
                                     ", gives more than 128 GiB to each of "
                                     "size_limit_bytes " +
                                     std::to_string(block.size_limit_bytes)};
  if (block.entry_limit != 0 && block.entry_limit < block.shards)
    return Error{Code::kInvalid, "entry_limit is " + std::to_string(block.entry_limit) + ", less than one to each of " +
                                     std::to_string(block.shards) + " shards"};
  if (options.policy > Policy::kNone)
    return Error{Code::kInvalid, "policy is " + std::to_string(block.policy) + ", there are 0 to 4"};
  if (block.durability > 2) return Error{Code::kInvalid, "durability is none of none, timed, each"};
  if (block.flush_every_ms == 0) return Error{Code::kInvalid, "flush_every_ms is 0, must be at least 1"};
  block.capacity_bytes = options.capacity_bytes;
  if (block.capacity_bytes == 0) {
    block.capacity_bytes = std::min(
        {block.size_limit_bytes * Geometry::kCapacityTimes, Geometry::kSizeMost, Geometry::kShardMost * block.shards});
  }
  block.segment_shift = Geometry::default_segment_shift(block.size_limit_bytes, block.shards);
  geometry_ = {block.capacity_bytes, block.shards, block.segment_shift};
  if (block.capacity_bytes < block.size_limit_bytes || !geometry_.valid())
    return Error{Code::kInvalid, "capacity_bytes is " + std::to_string(block.capacity_bytes) +
                                     ", must be at least size_limit_bytes, and at most 512 GiB and 8192 segments of " +
                                     std::to_string(geometry_.segment_bytes()) + " bytes to each shard"};
  block.checksum = superblock_checksum(block);

  const int directory = directory_fd_.get();
  struct stat about {};
  if (::fstatat(directory, "log", &about, 0) == 0 && about.st_blocks > 0)
    return Error{Code::kCorrupt, (path_ / "ctl").string() +
                                     ": is missing beside a log; restore it, or remove the "
                                     "directory"};
  TRY(refuse_strangers(directory, path_));
  auto make = [&](const char* name, std::uint64_t bytes) -> Result<Fd> {
    Fd fd(::openat(directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd) return system_error(errno, "create", path_ / name);
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return system_error(errno, "ftruncate", path_ / name);
    return fd;
  };
  TRY(make("idx", geometry_.idx_bytes()));
  TRY(make("log", geometry_.log_bytes()));
  Fd ctl = TRY(make("ctl.new", geometry_.ctl_bytes()));
  TRY(allocate(ctl, "ctl.new", 0, geometry_.ctl_bytes()));
  if (::pwrite(ctl.get(), &block, sizeof(block), 0) != static_cast<ssize_t>(sizeof(block)))
    return system_error(errno, "write", path_ / "ctl.new");
  // Whole on the disk before it gets its name, and all three names before anybody is told that the cache is there.
  TRY(sync(ctl, "ctl.new"));
  if (::renameat(directory, "ctl.new", directory, "ctl") != 0) return system_error(errno, "rename", path_ / "ctl");
  return sync(directory_fd_, ".");
}

Status Files::read_superblock() {
  const std::string name = (path_ / "ctl").string();
  const ssize_t got = ::pread(ctl_fd_.get(), &superblock_, sizeof(superblock_), 0);
  if (got < 0) return system_error(errno, "read", path_ / "ctl");
  if (got != static_cast<ssize_t>(sizeof(superblock_)) || std::memcmp(superblock_.magic, kMagic, sizeof(kMagic)) != 0)
    return Error{Code::kCorrupt, name + ": is not a Larder cache"};
  if (superblock_.byte_order != kByteOrder)
    return Error{Code::kUnsupported, name + ": was written by a machine of the other byte order"};
  if (superblock_.format_version != kFormatVersion)
    return Error{Code::kUnsupported, name + ": is of format version " + std::to_string(superblock_.format_version) +
                                         ", this build knows version " + std::to_string(kFormatVersion)};
  if (superblock_.checksum != superblock_checksum(superblock_))
    return Error{Code::kCorrupt, name + ": its first page is damaged; restore it, or remove the directory"};
  if (superblock_.layout_signature != layout_signature() || superblock_.features != 0)
    return Error{Code::kUnsupported, name + ": was written by a build with other structures"};
  geometry_ = {superblock_.capacity_bytes, superblock_.shards, superblock_.segment_shift};
  if (!geometry_.valid() || superblock_.size_limit_bytes < Geometry::kSizeLeast ||
      superblock_.size_limit_bytes > superblock_.capacity_bytes || superblock_.durability > 2 ||
      superblock_.policy > static_cast<std::uint32_t>(Policy::kNone) || superblock_.flush_every_ms == 0)
    return Error{Code::kCorrupt, name + ": its settings are out of range"};
  return {};
}

Status Files::map() {
  struct stat about {};
  if (::fstat(ctl_fd_.get(), &about) != 0) return system_error(errno, "stat", path_ / "ctl");
  if (static_cast<std::uint64_t>(about.st_size) < geometry_.ctl_bytes()) {
    if (read_only_) return Error{Code::kCorrupt, (path_ / "ctl").string() + ": was cut short"};
    index_lost_ = true;
    if (::ftruncate(ctl_fd_.get(), static_cast<off_t>(geometry_.ctl_bytes())) != 0)
      return system_error(errno, "ftruncate", path_ / "ctl");
    TRY(allocate(ctl_fd_, "ctl", 0, geometry_.ctl_bytes()));
  }
  TRY(map_one("ctl", ctl_fd_, geometry_.ctl_bytes(), &ctl_));
  TRY(map_one("idx", idx_fd_, geometry_.idx_bytes(), &idx_));
  TRY(map_one("log", log_fd_, geometry_.log_bytes(), &log_));
  return {};
}

Status Files::map_one(const char* name, const Fd& fd, std::uint64_t bytes, char** where) {
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return system_error(errno, "stat", path_ / name);
  if (static_cast<std::uint64_t>(about.st_size) < bytes) {
    if (read_only_) return Error{Code::kCorrupt, (path_ / name).string() + ": was cut short"};
    index_lost_ = true;
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return system_error(errno, "ftruncate", path_ / name);
  }
  void* mapped = ::mmap(nullptr, bytes, read_only_ && !apart_ ? PROT_READ : PROT_READ | PROT_WRITE,
                        apart_ ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return system_error(errno, "mmap", path_ / name);
  ::madvise(mapped, bytes, MADV_DONTDUMP);
  *where = static_cast<char*>(mapped);
  return {};
}

Status Files::allocate(const Fd& fd, const char* name, std::uint64_t from, std::uint64_t bytes) const {
  int failed = 0;
  do {
    failed = ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), static_cast<off_t>(bytes)) == 0
                 ? 0
                 : errno;
  } while (failed == EINTR);
  if (failed == EOPNOTSUPP) failed = ::posix_fallocate(fd.get(), static_cast<off_t>(from), static_cast<off_t>(bytes));
  if (failed != 0) return system_error(failed, "fallocate", path_ / name);
  return {};
}

Status Files::allocate_idx(std::uint64_t from, std::uint64_t bytes) const {
  return allocate(idx_fd_, "idx", from, bytes);
}
Status Files::allocate_log(std::uint64_t from, std::uint64_t bytes) const {
  return allocate(log_fd_, "log", from, bytes);
}
// A page that is new to a file is dear when a store through the mapping asks for it (3.9 us each on ext4: a fault, a
// look for the block, a page of zeros, the journal). Written through the file instead, many at once, they come as large
// folios, and one fault maps a whole folio: 1.2 us a page with all that follows, and half as much when the page is used
// again. What cannot be done here page faults do later.
void Files::bring_in(const Fd& fd, char* mapped, std::uint64_t from, std::uint64_t bytes) const {
  static char zeros[256 * 1024];  // never written: the kernel's one page of zeros, again and again
  if (in_memory_) {
    ::madvise(mapped + from, bytes, MADV_POPULATE_WRITE);
    return;
  }
  while (bytes > 0) {
    const ssize_t done =
        ::pwrite(fd.get(), zeros, std::min<std::uint64_t>(bytes, sizeof(zeros)), static_cast<off_t>(from));
    if (done <= 0) return;
    from += static_cast<std::uint64_t>(done);
    bytes -= static_cast<std::uint64_t>(done);
  }
}
void Files::bring_in_idx(std::uint64_t from, std::uint64_t bytes) const { bring_in(idx_fd_, idx_, from, bytes); }
void Files::bring_in_log(std::uint64_t from, std::uint64_t bytes) const { bring_in(log_fd_, log_, from, bytes); }
std::uint64_t Files::idx_without_holes(std::uint64_t from, std::uint64_t bytes) const {
  const off_t hole = ::lseek(idx_fd_.get(), static_cast<off_t>(from), SEEK_HOLE);
  const std::uint64_t end = hole < 0 ? 0 : static_cast<std::uint64_t>(hole);
  return end <= from ? 0 : std::min(end - from, bytes) / kPage * kPage;
}
void Files::release_idx(std::uint64_t from, std::uint64_t bytes) const {
  if (::fallocate(idx_fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                  static_cast<off_t>(bytes)) != 0)
    std::memset(idx_ + from, 0, bytes);
}
void Files::release_log(std::uint64_t from, std::uint64_t bytes) const {
  // Where holes cannot be punched the space stays with the file, which costs space and nothing else.
  (void)::fallocate(log_fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                    static_cast<off_t>(bytes));
}

Status Files::sync(const Fd& fd, const char* name) const {
  auto* const hook = sync_hook.load(std::memory_order_acquire);
  if (hook != nullptr) hook(name, false);
  while (::fdatasync(fd.get()) != 0) {
    if (errno != EINTR) return system_error(errno, "fdatasync", path_ / name);
  }
  if (hook != nullptr) hook(name, true);
  return {};
}
Status Files::sync_ctl() const { return sync(ctl_fd_, "ctl"); }
Status Files::sync_idx() const { return sync(idx_fd_, "idx"); }
Status Files::sync_log() const { return sync(log_fd_, "log"); }

Config Files::settings() const {
  constexpr auto relaxed = std::memory_order_relaxed;
  const Settings& now = globals().settings;
  Config config;
  config.size_limit_bytes = now.size_limit_bytes.load(relaxed);
  config.entry_limit = now.entry_limit.load(relaxed);
  const std::uint32_t policy = now.policy.load(relaxed);
  const std::uint32_t durability = now.durability.load(relaxed);
  config.flush_every_ms = now.flush_every_ms.load(relaxed);
  // Not written yet, or damaged: what the cache was created with.
  const bool sound = config.size_limit_bytes >= Geometry::kSizeLeast && config.size_limit_bytes <= geometry_.capacity &&
                     policy <= static_cast<std::uint32_t>(Policy::kNone) && durability <= 2 &&
                     config.flush_every_ms != 0;
  if (!sound) {
    return {superblock_.size_limit_bytes, superblock_.entry_limit, static_cast<Policy>(superblock_.policy),
            static_cast<Durability>(superblock_.durability), superblock_.flush_every_ms};
  }
  config.policy = static_cast<Policy>(policy);
  config.durability = static_cast<Durability>(durability);
  return config;
}

void Files::store_settings(const Config& config) const {
  constexpr auto relaxed = std::memory_order_relaxed;
  Settings& now = globals().settings;
  now.size_limit_bytes.store(config.size_limit_bytes, relaxed);
  now.entry_limit.store(config.entry_limit, relaxed);
  now.policy.store(static_cast<std::uint32_t>(config.policy), relaxed);
  now.durability.store(static_cast<std::uint32_t>(config.durability), relaxed);
  now.flush_every_ms.store(config.flush_every_ms, relaxed);
  now.version.fetch_add(1, std::memory_order_release);
}

std::uint64_t Files::blob_bytes() const {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < geometry_.shards; ++i) sum += shard(i).blob_bytes.load(std::memory_order_relaxed);
  // Slots are taken from the first on, so behind one that never was taken none was.
  for (std::uint32_t i = 0; i < kProcessesMax && process(i).incarnation.load(std::memory_order_relaxed) != 0; ++i)
    sum += process(i).blob_bytes.load(std::memory_order_relaxed);
  return sum;
}

bool Files::blobs_are_kept() const {
  for (std::uint32_t i = 0; i < kProcessesMax && process(i).incarnation.load(std::memory_order_relaxed) != 0; ++i) {
    if (process(i).keeps_blobs.load(std::memory_order_seq_cst) != 0) return true;
  }
  return false;
}

Status Files::sync_blobs() const {
  if (blob_bytes() == 0) return {};
  if (::syncfs(directory_fd_.get()) != 0) return system_error(errno, "syncfs", path_);
  return {};
}

void Files::release_blobs() const {
  const bool unordered = globals().settings.durability.load(std::memory_order_relaxed) == 0;
  blobs_->release(unordered ? ~std::uint64_t{0} : globals().flushes_done.load(std::memory_order_acquire),
                  [this] { return blobs_are_kept(); });
}

std::uint64_t Files::disk_bytes() const {
  std::uint64_t sum = blob_bytes();
  for (const Fd* fd : {&ctl_fd_, &idx_fd_, &log_fd_}) {
    struct stat about {};
    if (::fstat(fd->get(), &about) == 0) sum += static_cast<std::uint64_t>(about.st_blocks) * 512;
  }
  return sum;
}

Result<Fd> Files::open_ctl_again() const {
  Fd fd(::openat(directory_fd_.get(), "ctl", O_RDWR | O_CLOEXEC));
  if (!fd) return system_error(errno, "open", path_ / "ctl");
  return fd;
}

}  // namespace larder::engine
