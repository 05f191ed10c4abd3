// Mounts that only a test's child sees. Where the machine lets nobody mount, or gives nobody a namespace, the child
// ends with kNotAllowed.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "engine/test_process.h"

namespace larder {

inline constexpr int kNotAllowed = 77;

// New namespaces for the calling process, of these kinds (CLONE_NEWNS, ...).
inline bool enter_new(int kinds) {
  return (::geteuid() == 0 || ::unshare(CLONE_NEWUSER) == 0) && ::unshare(kinds) == 0;
}
// What the calling process mounts from here on, nobody else sees.
inline bool mounts_alone() {
  return enter_new(CLONE_NEWNS) && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// Runs `work` in a child that sees an empty disk of this size ("64k") in place of the directory.
template <typename Work>
int in_child_on_disk(const std::filesystem::path& directory, const std::string& size, Work&& work) {
  return engine::in_child([&] {
    const bool mounted =
        mounts_alone() && ::mount("tmpfs", directory.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    return mounted ? work() : kNotAllowed;
  });
}

}  // namespace larder
