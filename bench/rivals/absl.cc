// absl::flat_hash_map behind a std::shared_mutex: what a program writes that shares nothing with others and forgets all
// at its end. The fastest thing a cache can be compared with.
#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>
#include <malloc.h>

#include <mutex>
#include <shared_mutex>

#include "../system.h"

namespace bench {
namespace {

// Debian's absl has a string_view of its own.
absl::string_view view(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::uint64_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class Map final : public Store {
 public:
  std::unique_ptr<Worker> worker() override;
  std::uint64_t bytes(const Place&) override { return heap_bytes() - heap_before_; }

  bool get(std::string_view key, std::string& value) const {
    const std::shared_lock lock(mutex_);
    const auto found = entries_.find(view(key));
    if (found == entries_.end()) return false;
    value = found->second;
    return true;
  }
  void set(std::string_view key, std::string_view value) {
    const std::lock_guard lock(mutex_);
    const auto [entry, added] = entries_.try_emplace(view(key), value);
    if (!added) entry->second.assign(value);
  }

 private:
  const std::uint64_t heap_before_ = heap_bytes();
  mutable std::shared_mutex mutex_;
  absl::flat_hash_map<std::string, std::string> entries_;
};

struct Each {
  Map* map;
  bool get(std::string_view key, std::string& value) { return map->get(key, value); }
  void set(std::string_view key, std::string_view value) { map->set(key, value); }
};

std::unique_ptr<Worker> Map::worker() { return each_worker(Each{this}); }

const Register registered{{
    .name = "absl",
    .order = 1,
    .shared = false,
    .open = [](const Place&) -> std::unique_ptr<Store> { return std::make_unique<Map>(); },
}};

}  // namespace
}  // namespace bench
