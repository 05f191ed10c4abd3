// What tests do to the files of a closed cache, behind its back.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/fd.h"
#include "engine/layout.h"

namespace larder::engine {

inline std::string read_bytes(const std::filesystem::path& file, std::uint64_t at, std::size_t size) {
  const Fd fd(::open(file.c_str(), O_RDONLY));
  LARDER_CHECK(fd);
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(fd.get(), bytes.data(), size, static_cast<off_t>(at));
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

inline void write_bytes(const std::filesystem::path& file, std::uint64_t at, const std::string& bytes) {
  const Fd fd(::open(file.c_str(), O_WRONLY));
  LARDER_CHECK(fd);
  LARDER_CHECK(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
               static_cast<ssize_t>(bytes.size()));
}

// The next opener believes that the machine lost its power since: it makes the index anew from the log.
inline void lose_power(const std::filesystem::path& directory) {
  write_bytes(directory / "ctl", kPage + offsetof(Globals, boot_id), "another boot");
  write_bytes(directory / "ctl", kPage + offsetof(Globals, clean), std::string(4, '\0'));
}

}  // namespace larder::engine
