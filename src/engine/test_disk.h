// Power loss. Beside the files of a cache stands what a disk would hold of them: everything that was synced, and of
// what was written later any pages, each as it was at any moment, torn at sectors now and then. When the power goes the
// disk's bytes become the files, and another boot begins.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/fd.h"
#include "engine/files.h"
#include "engine/test_files.h"

namespace larder::engine {

constexpr std::size_t kSector = 512;
constexpr std::size_t kPageBytes = kPage;

// One file as the disk has it: pages that are not here are zeros.
class DiskFile {
 public:
  // Brings `choose(page)` sectors (bits) of each page to the disk as they are in the file now.
  template <typename Choose>
  void write_back(const std::filesystem::path& path, Choose&& choose) {
    const Fd fd(::open(path.c_str(), O_RDONLY));
    LARDER_CHECK(fd);
    size_ = ::lseek(fd.get(), 0, SEEK_END);
    std::set<off_t> holes;  // that were no holes before
    for (const auto& [at, page] : pages_) holes.insert(at);
    std::array<char, 16 * kPageBytes> bytes;
    for (off_t at = 0; (at = ::lseek(fd.get(), at, SEEK_DATA)) >= 0;) {
      const off_t end = ::lseek(fd.get(), at, SEEK_HOLE);
      for (at = at / static_cast<off_t>(kPageBytes) * static_cast<off_t>(kPageBytes); at < end;) {
        bytes.fill(0);
        const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), at);
        LARDER_CHECK(got > 0);
        for (std::size_t part = 0; part < static_cast<std::size_t>(got); part += kPageBytes) {
          holes.erase(at + static_cast<off_t>(part));
          put(at + static_cast<off_t>(part), bytes.data() + part, choose);
        }
        at += got;
      }
    }
    constexpr char kZeros[kPageBytes] = {};
    for (const off_t at : holes) put(at, kZeros, choose);
  }
  // The file as the disk has it.
  void restore(const std::filesystem::path& path) const {
    const Fd fd(::open(path.c_str(), O_RDWR));
    LARDER_CHECK(fd && ::ftruncate(fd.get(), 0) == 0 && ::ftruncate(fd.get(), size_) == 0);
    for (const auto& [at, page] : pages_) {
      LARDER_CHECK(::pwrite(fd.get(), page.data(), page.size(), at) == static_cast<ssize_t>(page.size()));
    }
  }

 private:
  using Page = std::array<char, kPageBytes>;

  template <typename Choose>
  void put(off_t at, const char* bytes, Choose&& choose) {
    const auto known = pages_.find(at);
    constexpr char kZeros[kPageBytes] = {};
    if (std::memcmp(known == pages_.end() ? kZeros : known->second.data(), bytes, kPageBytes) == 0) return;
    const unsigned sectors = choose(at);
    if (sectors == 0) return;
    Page& page = known == pages_.end() ? pages_.emplace(at, Page{}).first->second : known->second;
    for (std::size_t i = 0; i < kPageBytes / kSector; ++i) {
      if ((sectors >> i & 1) != 0) std::memcpy(page.data() + i * kSector, bytes + i * kSector, kSector);
    }
  }

  off_t size_ = 0;
  std::map<off_t, Page> pages_;
};

class Disk {
 public:
  Disk(const std::filesystem::path& directory, std::uint64_t seed) : directory_(directory), random_(seed) {
    the_disk = this;
    sync_hook.store([](const char* name, bool ended) { the_disk->synced(name, ended); });
  }
  ~Disk() { sync_hook.store(nullptr); }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // The kernel writes some pages back by itself.
  void write_some_back() {
    const std::lock_guard lock(mutex_);
    write_some_back_locked();
  }
  // From here on nothing reaches the disk any more.
  void cut_off() {
    const std::lock_guard lock(mutex_);
    cut_off_locked();
  }
  // The same; of what is not on the disk yet what `choose(name, at)` says gets there.
  void cut_off(const std::function<bool(const std::string& name, off_t at)>& choose) {
    const std::lock_guard lock(mutex_);
    if (!on_) return;
    for (auto& [name, file] : files_)
      file.write_back(directory_ / name,
                      [&, &file_name = name](off_t at) { return choose(file_name, at) ? 0xffu : 0; });
    on_ = false;
  }
  // Syncs of other threads take until the power goes.
  void hold_other_threads() {
    const std::lock_guard lock(mutex_);
    holder_ = std::this_thread::get_id();
  }
  // The same, in the middle of the `syncs`-th sync from now.
  void cut_off_after(int syncs) {
    const std::lock_guard lock(mutex_);
    syncs_left_ = syncs;
  }
  bool on() {
    const std::lock_guard lock(mutex_);
    return on_;
  }
  // With the cache gone: the files as the disk has them, in another boot.
  void restart() {
    const std::lock_guard lock(mutex_);
    for (auto& [name, file] : files_) {
      if (named_) {
        file.restore(directory_ / name);
      } else {
        std::filesystem::remove(directory_ / name);
      }
    }
    if (named_ && read_bytes(directory_ / "ctl", kBootId, 1) != std::string(1, '\0'))
      write_bytes(directory_ / "ctl", kBootId, "another boot");
    for (auto& [name, file] : files_) {
      if (named_) file.write_back(directory_ / name, [](off_t) { return 0xffu; });
    }
    on_ = true;
    holder_ = {};
  }

 private:
  static constexpr std::uint64_t kBootId = kPage + offsetof(Globals, boot_id);
  inline static Disk* the_disk = nullptr;

  void write_some_back_locked() {
    if (!on_) return;
    for (auto& [name, file] : files_) {
      if (!std::filesystem::exists(directory_ / name)) continue;
      // Sometimes hardly anything, sometimes nearly all; sometimes torn.
      const std::uint64_t share = random_() % 5 * 25;
      const bool torn = random_() % 4 == 0;
      file.write_back(directory_ / name, [&](off_t) -> unsigned {
        if (random_() % 100 >= share) return 0;
        return torn ? static_cast<unsigned>(random_() & 0xff) : 0xff;
      });
    }
  }
  void cut_off_locked() {
    write_some_back_locked();
    on_ = false;
    syncs_left_ = -1;
  }

  // What is in the file when a sync begins is on the disk when it has ended; the test's hook is only called in between
  // by those who wait for it.
  void synced(const std::string& name, bool ended) {
    std::unique_lock lock(mutex_);
    while (on_ && !ended && holder_ != std::thread::id() && holder_ != std::this_thread::get_id()) {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
    if (!on_) return;
    if (!ended && syncs_left_ > 0 && --syncs_left_ == 0) return cut_off_locked();
    if (name == ".") {
      named_ = true;
    } else if (!ended) {
      const std::string now = name == "ctl.new" ? "ctl" : name;
      files_[now].write_back(directory_ / name, [](off_t) { return 0xffu; });
    }
  }

  const std::filesystem::path directory_;
  std::mt19937_64 random_;
  std::mutex mutex_;
  std::map<std::string, DiskFile> files_{{"ctl", {}}, {"idx", {}}, {"log", {}}};
  bool named_ = false;  // the directory was synced with the files in it
  bool on_ = true;
  std::thread::id holder_;  // whose syncs are done; none: all are
  int syncs_left_ = -1;     // 0 and less: the power stays
};

// Values that say whose they are.
inline std::string value_of(const std::string& key, std::uint64_t number, std::size_t size) {
  std::string value = std::to_string(number) + ":" + key + ":";
  while (value.size() < size) value += static_cast<char>('a' + (value.size() + number) % 23);
  return value;
}
// The number in a value that is whole and of this key; else 0.
inline std::uint64_t number_in(const std::string& key, std::string_view value) {
  std::uint64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return value == value_of(key, number, value.size()) ? number : 0;
}

}  // namespace larder::engine
