// The files that a place names now, each with the stamp that shows a change.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace larder::sources {

struct FileStamp {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;  // since 1970-01-01 UTC
};

inline constexpr std::size_t kFilesMax = 100'000;

// `path` is absolute: a file; a directory, whose files with one of the `endings` are taken, at any depth; or a glob:
// * ? [a-z] match inside a name, ** any number of folders. Names that begin with a dot are matched only where the
// pattern writes the dot. Links are followed: the stamp is that of the file they lead to. Sorted by path.
// kUnavailable: there is none. kIo: a folder cannot be read; says which. kTooLarge: more than kFilesMax.
Result<std::vector<FileStamp>> find_files(const std::filesystem::path& path,
                                          const std::vector<std::string_view>& endings);

// The directory that holds all that find_files can give for a directory or a glob.
std::filesystem::path root_of(const std::filesystem::path& path);
bool is_glob(std::string_view path);

// A stamp of all of them together; equal when and only when each is.
std::string version_of(const std::vector<FileStamp>& files);

}  // namespace larder::sources
