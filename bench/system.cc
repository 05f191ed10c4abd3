#include "system.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace bench {
namespace {

std::vector<System>& registered() {
  static std::vector<System> list;
  return list;
}

const pid_t kMain = getpid();

}  // namespace

Register::Register(System system) {
  auto& list = registered();
  list.insert(std::upper_bound(list.begin(), list.end(), system,
                               [](const System& a, const System& b) { return a.order < b.order; }),
              system);
}

const std::vector<System>& systems() { return registered(); }

void die(const std::string& reason) {
  std::fprintf(stderr, "bench/engine: %s\n", reason.c_str());
  // A forked child must not run what its parent registered for the end.
  if (getpid() != kMain) _exit(1);
  std::exit(1);
}

std::uint64_t Store::bytes(const Place& place) {
  std::uint64_t blocks = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place.dir)) {
    struct stat file {};
    if (lstat(entry.path().c_str(), &file) == 0) blocks += static_cast<std::uint64_t>(file.st_blocks);
  }
  return blocks * 512;
}

}  // namespace bench
