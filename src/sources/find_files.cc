#include "sources/find_files.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/try.h"
#include "digest/sha256.h"

namespace larder::sources {
namespace {

namespace fs = std::filesystem;

bool ends_with_any(std::string_view name, const std::vector<std::string_view>& endings) {
  return std::any_of(endings.begin(), endings.end(), [name](std::string_view ending) {
    return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
  });
}

Error unreadable(const std::string& path, int error) {
  return Error{error == EACCES || error == EPERM ? Code::kDenied : Code::kIo, path + ": " + std::strerror(error)};
}

class Finder {
 public:
  explicit Finder(const std::vector<std::string_view>& endings) : endings_(endings) {}

  // What `dir` holds for the parts of the pattern from `part` on.
  Status match(const std::string& dir, const std::vector<std::string>& parts, std::size_t part) {
    const std::string& pattern = parts[part];
    const bool last = part + 1 == parts.size();
    if (!last && !is_glob(pattern)) return match(dir + "/" + pattern, parts, part + 1);
    if (last && !is_glob(pattern)) return take(dir + "/" + pattern);
    if (pattern == "**" && !last) TRY(match(dir, parts, part + 1));
    return each(dir, [&](const std::string& name, const std::string& path, const struct stat& info) -> Status {
      if (pattern == "**") {
        if (name[0] == '.') return {};
        if (S_ISDIR(info.st_mode)) return match(path, parts, part);
        return last ? add(path, info) : Status();
      }
      if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD | FNM_NOESCAPE) != 0) return {};
      if (!last) return S_ISDIR(info.st_mode) ? match(path, parts, part + 1) : Status();
      return add(path, info);
    });
  }

  // All files with one of the endings, at any depth.
  Status everything(const std::string& dir) {
    return each(dir, [&](const std::string& name, const std::string& path, const struct stat& info) -> Status {
      if (name[0] == '.') return {};
      if (S_ISDIR(info.st_mode)) return everything(path);
      return ends_with_any(name, endings_) ? add(path, info) : Status();
    });
  }

  std::vector<FileStamp> files() {
    std::sort(files_.begin(), files_.end(), [](const FileStamp& a, const FileStamp& b) { return a.path < b.path; });
    files_.erase(std::unique(files_.begin(), files_.end(),
                             [](const FileStamp& a, const FileStamp& b) { return a.path == b.path; }),
                 files_.end());
    return std::move(files_);
  }

  Status add(const std::string& path, const struct stat& info) {
    if (!S_ISREG(info.st_mode)) return {};
    if (files_.size() >= kFilesMax) return Error{Code::kTooLarge, "more than " + std::to_string(kFilesMax) + " files"};
    files_.push_back({path, info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
                      static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec});
    return {};
  }

 private:
  Status take(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? add(path, info) : Status();
  }

  // Calls visit(name, path, stat) for each entry. A file that goes meanwhile is not there; so is a link into nowhere.
  template <typename Visit>
  Status each(const std::string& dir, Visit&& visit) {
    struct stat self {};
    if (::stat(dir.c_str(), &self) != 0) return errno == ENOENT || errno == ENOTDIR ? Status() : unreadable(dir, errno);
    // A link that leads back up would never end.
    const std::pair<dev_t, ino_t> identity(self.st_dev, self.st_ino);
    if (std::count(above_.begin(), above_.end(), identity) > 1) return {};  // ** looks at a folder twice
    std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(dir.c_str()), ::closedir);
    if (handle == nullptr) return errno == ENOENT || errno == ENOTDIR ? Status() : unreadable(dir, errno);
    above_.push_back(identity);
    Status status;
    while (status.ok()) {
      errno = 0;
      const dirent* entry = ::readdir(handle.get());
      if (entry == nullptr) {
        if (errno != 0) status = unreadable(dir, errno);
        break;
      }
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const std::string path = (dir == "/" ? "" : dir) + "/" + name;
      struct stat info {};
      if (::stat(path.c_str(), &info) == 0) status = visit(name, path, info);
    }
    above_.pop_back();
    return status;
  }

  const std::vector<std::string_view>& endings_;
  std::vector<FileStamp> files_;
  std::vector<std::pair<dev_t, ino_t>> above_;
};

}  // namespace

bool is_glob(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

fs::path root_of(const fs::path& path) {
  fs::path root;
  for (const fs::path& part : path) {
    if (is_glob(part.string())) return root;
    root /= part;
  }
  return root;
}

Result<std::vector<FileStamp>> find_files(const fs::path& path, const std::vector<std::string_view>& endings) {
  Finder finder(endings);
  const std::string text = path.string();
  struct stat info {};
  if (::stat(text.c_str(), &info) == 0) {  // what is there by this very name is meant, even with a * in it
    TRY(S_ISDIR(info.st_mode) ? finder.everything(text) : finder.add(text, info));
  } else if (is_glob(text)) {
    std::vector<std::string> parts;
    const fs::path root = root_of(path);
    for (const fs::path& part : path.lexically_relative(root)) parts.push_back(part.string());
    TRY(finder.match(root.string(), parts, 0));
  } else if (errno != ENOENT && errno != ENOTDIR) {
    return unreadable(text, errno);
  } else {
    return Error{Code::kUnavailable, "there is no file " + text};
  }
  std::vector<FileStamp> files = finder.files();
  if (files.empty())
    return Error{Code::kUnavailable,
                 S_ISDIR(info.st_mode) ? "no file of its format is in " + text : "no file matches " + text};
  return files;
}

std::string version_of(const std::vector<FileStamp>& files) {
  std::string all;
  for (const FileStamp& file : files) {
    all += file.path;
    all += '\0';
    for (std::uint64_t number : {file.device, file.inode, file.bytes, static_cast<std::uint64_t>(file.modified_ns)})
      all.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return sha256_hex(all).substr(0, 32);
}

}  // namespace larder::sources
