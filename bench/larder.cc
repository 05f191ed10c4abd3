// Larder's own engine, opened anew by each process as its users do.
#include <larder/cache.h>

#include "system.h"

namespace bench {
namespace {

void must(const larder::Status& status, const char* what) {
  if (!status) die(std::string("larder: ") + what + ": " + status.error().message);
}

struct Each {
  larder::Cache* cache;
  bool get(std::string_view key, std::string& value) { return cache->get(key, value); }
  void set(std::string_view key, std::string_view value) { must(cache->set(key, value), "set"); }
};

class Cache final : public Store {
 public:
  explicit Cache(const Place& place) : cache_(open(place)) {}
  std::unique_ptr<Worker> worker() override { return each_worker(Each{&cache_}); }

 private:
  static larder::Cache open(const Place& place) {
    larder::Options options;
    // Room for every entry four times, so that overwriting evicts nothing.
    options.size_limit_bytes =
        place.limit_bytes > 0 ? place.limit_bytes : 4 * (place.data_bytes() + place.keys * 64) + (64U << 20);
    if (place.recently_used) options.policy = larder::Policy::kLeastRecentlyUsed;
    auto opened = larder::Cache::open(place.dir, options);
    if (!opened) die("larder: " + opened.error().message);
    return std::move(opened).value();
  }

  larder::Cache cache_;
};

const Register registered{{
    .name = "larder",
    .order = 0,
    .evicts = true,
    .open = [](const Place& place) -> std::unique_ptr<Store> { return std::make_unique<Cache>(place); },
}};

}  // namespace
}  // namespace bench
