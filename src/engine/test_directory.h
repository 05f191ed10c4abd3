// A directory for one test, gone with it; in memory where the machine has such a place, so that tests do not wait for
// disks.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/check.h"

namespace larder::engine {

class TestDirectory {
 public:
  TestDirectory() : TestDirectory(quick_place()) {}
  explicit TestDirectory(std::string base) {
    base += "/larder-test-XXXXXX";
    LARDER_CHECK(::mkdtemp(base.data()) != nullptr);
    path_ = base;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  static const char* quick_place() {
    const char* wanted = ::getenv("LARDER_TEST_DIR");
    return wanted != nullptr ? wanted : ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  }

  std::filesystem::path path_;
};

}  // namespace larder::engine
