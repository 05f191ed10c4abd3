// A cache from a backup, or from any that nobody has open. What is damaged is looked for before the copy is opened,
// since making its index covers damage up.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/try.h"
#include "engine/backup.h"
#include "engine/new_directory.h"

namespace larder::engine {

namespace {

constexpr std::size_t kAtOnce = 1 << 20;

// How far all the copying has come.
struct Done {
  std::uint64_t bytes = 0;
  std::uint64_t all = 0;
  const Progress& progress;

  Status add(std::uint64_t more) {
    bytes += more;
    if (progress && !progress(std::min(bytes, all), all)) return Error{Code::kCancelled, "the restore was stopped"};
    return {};
  }
};

struct File {
  const Fd& fd;
  std::filesystem::path path;
};

// A stretch of data in a file, from one place on; both its length for none.
struct Stretch {
  off_t begin = 0;
  off_t end = 0;
};
Stretch next_data(const Fd& fd, off_t at, off_t length) {
  off_t begin = ::lseek(fd.get(), at, SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return {length, length};
  if (begin < 0) begin = at;  // a file system that does not know its holes
  const off_t end = ::lseek(fd.get(), begin, SEEK_HOLE);
  return {begin, end <= begin ? length : end};
}

// Where there is data in the file, that is written to the copy, which gets its length; the rest stays a hole.
Status copy_data(const File& from, const File& to, Done& done) {
  const std::unique_ptr<char[]> buffer(new char[kAtOnce]);
  struct stat about {};
  if (::fstat(from.fd.get(), &about) != 0) return system_error(errno, "stat", from.path);
  TRY(lengthen(to.fd, static_cast<std::uint64_t>(about.st_size), to.path));
  for (off_t at = 0; at < about.st_size;) {
    const Stretch data = next_data(from.fd, at, about.st_size);
    for (at = data.begin; at < data.end;) {
      const std::size_t wanted = std::min(kAtOnce, static_cast<std::size_t>(data.end - at));
      const ssize_t got = ::pread(from.fd.get(), buffer.get(), wanted, at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error(errno, "read", from.path);
      if (got == 0) return {};  // somebody cuts it; what is missing will be found missing
      TRY(write_all(to.fd, buffer.get(), static_cast<std::uint64_t>(got), static_cast<std::uint64_t>(at), to.path));
      TRY(done.add(static_cast<std::uint64_t>(got)));
      at += got;
    }
  }
  return {};
}

Result<Fd> open_to_read(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(errno, "open", path);
  return fd;
}

// A file's data in bytes.
std::uint64_t data_bytes(const std::filesystem::path& path) {
  constexpr std::uint64_t kBlock = 512;
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 ? static_cast<std::uint64_t>(about.st_blocks) * kBlock : 0;
}
Status sync_file(const std::filesystem::path& path) {
  const Fd fd = TRY(open_to_read(path));
  return sync(fd, path);
}

// Below which number no transaction is half in the log. Of this boot's nothing is lost, but those whose process died
// while it wrote them may not be whole.
std::uint64_t whole_transactions(const Files& from) {
  const Globals& globals = from.globals();
  const std::string boot = current_boot_id();
  if (std::strncmp(globals.boot_id, boot.c_str(), sizeof(globals.boot_id)) != 0)
    return globals.transactions_flushed.load();
  std::uint64_t whole = globals.sequence.load();
  for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) {
    const std::uint64_t from_here = from.process(slot).committing.load();
    if (from_here != 0) whole = std::min(whole, from_here);
  }
  return whole;
}

// Its index was not copied: it is made anew, whatever the ctl said.
Status forget_index(const Files& from, const Fd& ctl, const std::filesystem::path& path) {
  const Geometry& geometry = from.geometry();
  const std::uint32_t no = 0;
  const std::uint64_t whole = whole_transactions(from);
  TRY(write_all(ctl, &whole, sizeof(whole), geometry.globals_at() + offsetof(Globals, transactions_flushed), path));
  TRY(write_all(ctl, kCopied, sizeof(kCopied), geometry.globals_at() + offsetof(Globals, boot_id), path));
  TRY(write_all(ctl, &no, sizeof(no), geometry.globals_at() + offsetof(Globals, clean), path));
  return write_all(ctl, &no, sizeof(no), geometry.globals_at() + offsetof(Globals, index_ready), path);
}

Status copy_blobs(const Files& from, const NewDirectory& part, Done& done) {
  for (const BlobName& name : from.blobs().list()) {
    const std::uint64_t bytes = TRY(copy_blob(from.path(), name, part.path()));
    TRY(done.add(bytes));
  }
  return {};
}

Status copy_all(const Files& files, const NewDirectory& part, const Progress& progress) {
  const std::filesystem::path& from = files.path();
  const Geometry& geometry = files.geometry();
  Done done{.all = data_bytes(from / "log") + data_bytes(from / "ctl"), .progress = progress};
  for (const BlobName& name : files.blobs().list()) done.all += data_bytes(files.blobs().path(name));
  const Fd log = TRY(open_to_read(from / "log"));
  TRY(copy_data({log, from / "log"}, {part.log(), part.path() / "log"}, done));
  TRY(copy_blobs(files, part, done));
  TRY(make_file(part.path() / "idx", geometry.idx_bytes()));
  const Fd ctl = TRY(open_to_read(from / "ctl"));
  const Fd copy = TRY(make_file(part.path() / "ctl", geometry.ctl_bytes(), true));
  TRY(copy_data({ctl, from / "ctl"}, {copy, part.path() / "ctl"}, done));
  return forget_index(files, copy, part.path() / "ctl");
}

// The copy in `part`, made sound. Says what was not.
Result<CheckReport> check_and_mend(const std::filesystem::path& part) {
  Options options;
  options.create = false;
  CheckReport report;
  {
    const Fd directory = TRY(Files::open_directory(part, false));
    const std::shared_ptr<Files> files = TRY(Files::open_apart(directory.get(), part));
    const Membership nobody(files);
    for (std::uint32_t i = 0; i < files->geometry().shards; ++i)
      Shard(files, nobody, i, Now(nullptr)).check_copy(report);
  }
  Cache cache = TRY(Cache::open(part, options));
  CheckReport after = TRY(cache.check(true));
  after.findings.insert(after.findings.begin(), report.findings.begin(), report.findings.end());
  after.repaired += report.findings.size();  // by leaving out what is damaged
  TRY(cache.flush());
  return after;
}

}  // namespace

Result<CheckReport> restore(const std::filesystem::path& from, const std::filesystem::path& to,
                            const Progress& progress) {
  const Fd directory = TRY(Files::open_directory(from, false));
  // Nobody opens it meanwhile.
  const DirectoryLock lock = TRY(DirectoryLock::take(directory.get(), from));
  const std::shared_ptr<Files> files = TRY(Files::open_apart(directory.get(), from));
  if (const std::uint32_t users = Membership(files).count(); users > 0)
    return Error{Code::kUnavailable, from.string() + ": " + std::to_string(users) +
                                         (users == 1 ? " process has" : " processes have") +
                                         " it open; make a backup of it, and restore that"};
  NewDirectory part = TRY(NewDirectory::make(to, from));
  TRY(copy_all(*files, part, progress));
  CheckReport report = TRY(check_and_mend(part.path()));
  // The findings are of what was given, under its name.
  for (std::string& finding : report.findings) {
    if (const std::size_t at = finding.find(part.path().string()); at != std::string::npos)
      finding.replace(at, part.path().string().size(), from.string());
  }
  for (const char* name : {"log", "idx", "ctl"}) TRY(sync_file(part.path() / name));
  TRY(part.place());
  return report;
}

}  // namespace larder::engine
