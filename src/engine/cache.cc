// The public face: tests arguments, picks the shard, waits where a shard says that it must.
#include <larder/cache.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "base/try.h"
#include "engine/store.h"
#include "engine/testing.h"

namespace larder {

using engine::kKeyMost;
using engine::Put;
using engine::Room;
using engine::Shard;
using engine::Store;

class Cache::Impl {
 public:
  Impl(std::unique_ptr<Store> opened, Options kept) : store(std::move(opened)), options(kept) {}

  std::unique_ptr<Store> store;
  Options options;  // as kept in the directory
};

struct CacheAccess {
  static Cache make(std::unique_ptr<Store> store, Options options) {
    const engine::Superblock& kept = store->files()->superblock();
    options.size_limit_bytes = kept.size_limit_bytes;
    options.shards = kept.shards;
    options.durability = static_cast<Durability>(kept.durability);
    options.flush_every_ms = kept.flush_every_ms;
    return Cache(std::make_unique<Cache::Impl>(std::move(store), options));
  }
  static const std::shared_ptr<engine::Files>& files(const Cache& cache) { return cache.impl_->store->files(); }
};

// Pins hold a count in shared memory, named by the life that raised it: a forked child has a copy of the Pin, but the
// count is its parent's. Read-only openers cannot raise counts, so their pins own a copy.
struct PinAccess {
  static constexpr std::uint64_t kOwned = ~std::uint64_t{0};

  static Pin held(Store* store, const engine::Pinned& pinned) {
    Pin pin;
    pin.bytes_ = pinned.bytes;
    pin.info_ = pinned.info;
    pin.owner_ = store;
    const std::uint64_t place = static_cast<std::uint64_t>(pinned.count - store->files()->pins(0, 0));
    pin.token_ = place << 24 | (store->membership().self().incarnation & 0xffffff);
    return pin;
  }
  static Pin owned(const std::string& bytes, const EntryInfo& info) {
    Pin pin;
    char* copy = new char[bytes.size() + 1];
    std::copy(bytes.begin(), bytes.end(), copy);
    pin.bytes_ = {copy, bytes.size()};
    pin.info_ = info;
    pin.owner_ = copy;
    pin.token_ = kOwned;
    return pin;
  }
  static void release(Pin& pin) {
    if (pin.owner_ == nullptr) return;
    if (pin.token_ == kOwned) {
      delete[] static_cast<char*>(pin.owner_);
    } else {
      Store* store = static_cast<Store*>(pin.owner_);
      const engine::Identity& self = store->membership().self();
      if (store->membership().joined() && (self.incarnation & 0xffffff) == (pin.token_ & 0xffffff))
        store->files()->pins(0, 0)[pin.token_ >> 24].fetch_sub(1, std::memory_order_release);
    }
    pin.owner_ = nullptr;
  }
};

Pin::Pin(Pin&& other) noexcept
    : bytes_(other.bytes_), info_(other.info_), owner_(std::exchange(other.owner_, nullptr)), token_(other.token_) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    PinAccess::release(*this);
    bytes_ = other.bytes_;
    info_ = other.info_;
    owner_ = std::exchange(other.owner_, nullptr);
    token_ = other.token_;
  }
  return *this;
}

Pin::~Pin() { PinAccess::release(*this); }

namespace {

constexpr std::int64_t kExpiryMost = (std::int64_t{1} << 48) - 1;

// Calls `change` until it found room, waiting between for what it said is missing.
template <typename Change>
auto with_room(Store& store, Shard& shard, Change&& change) -> Result<typename decltype(change())::Value::second_type> {
  constexpr auto kPatience = std::chrono::seconds(2);
  std::optional<std::chrono::steady_clock::time_point> since;
  for (;;) {
    auto [room, value] = TRY(change());
    if (__builtin_expect(shard.freed.load(std::memory_order_relaxed), 0)) {
      shard.freed.store(false, std::memory_order_relaxed);
      store.flusher().hurry();
    }
    if (__builtin_expect(room == Room::kReady, 1)) {
      TRY(store.flusher().wrote());
      return value;
    }
    if (room == Room::kFlush) {
      TRY(store.flusher().flush());
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!since) since = now;
    if (now - *since > kPatience)
      return Error{Code::kNoSpace, store.files()->path().string() +
                                       ": the cache is full of pinned values; "
                                       "let go of pins that are not needed any more"};
    store.membership().bury_dead();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Status right_key(std::string_view key) {
  if (key.empty()) return Error{Code::kInvalid, "the key is empty"};
  if (key.size() > kKeyMost)
    return Error{Code::kTooLarge, "the key has " + std::to_string(key.size()) + " bytes, at most 65536 are allowed"};
  return {};
}

Result<std::int64_t> expiry(const Store& store, std::int64_t ttl_ms) {
  if (ttl_ms < 0) return Error{Code::kInvalid, "ttl_ms is " + std::to_string(ttl_ms) + ", less than zero"};
  if (ttl_ms == 0) return std::int64_t{0};
  const std::int64_t now = store.now().precise_ms();
  return ttl_ms >= kExpiryMost - now ? kExpiryMost : now + ttl_ms;
}

bool possible(std::string_view key) { return !key.empty() && key.size() <= kKeyMost; }

}  // namespace

Cache::Cache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cache::Cache(Cache&&) noexcept = default;
Cache& Cache::operator=(Cache&&) noexcept = default;
Cache::~Cache() = default;

Result<Cache> Cache::open(const std::filesystem::path& directory, const Options& options) {
  return CacheAccess::make(TRY(Store::open(directory, options)), options);
}

Result<Cache> engine::share_mapping(const Cache& cache, const Options& options) {
  return CacheAccess::make(TRY(Store::open_on(CacheAccess::files(cache), options)), options);
}

// --- Reads ---

namespace {
std::optional<Pin> pin(Store& store, std::string_view key, bool counts_as_read) {
  if (!possible(key) || !store.ready()) return std::nullopt;
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  if (store.files()->read_only()) {
    std::string value;
    const std::optional<EntryInfo> info = shard.info(key, hash, false);
    if (!info || !shard.copy(key, hash, 0, value)) return std::nullopt;
    return PinAccess::owned(value, *info);
  }
  const std::optional<engine::Pinned> pinned = shard.pin(key, hash, Store::stripe(), counts_as_read);
  if (counts_as_read) store.count_read(pinned.has_value());
  if (!pinned) return std::nullopt;
  return PinAccess::held(&store, *pinned);
}
}  // namespace

std::optional<Pin> Cache::get(std::string_view key) const { return pin(*impl_->store, key, true); }

std::optional<Pin> Cache::peek(std::string_view key) const { return pin(*impl_->store, key, false); }

bool Cache::get(std::string_view key, std::string& value) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return false;
  const std::uint64_t hash = store.hash(key);
  const bool hit = store.shard(hash).copy(key, hash, Store::stripe(), value);
  store.count_read(hit);
  return hit;
}

bool Cache::contains(std::string_view key) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return false;
  const std::uint64_t hash = store.hash(key);
  const bool hit = store.shard(hash).info(key, hash, true).has_value();
  store.count_read(hit);
  return hit;
}

std::optional<EntryInfo> Cache::info(std::string_view key) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return std::nullopt;
  const std::uint64_t hash = store.hash(key);
  return store.shard(hash).info(key, hash, false);
}

// --- Writes ---

namespace {
Error refusal(const Store& store, std::string_view key, std::string_view value, const SetOptions& options) {
  if (Status right = right_key(key); !right.ok()) return right.error();
  if (value.size() > store.value_most())
    return Error{Code::kTooLarge, "the value has " + std::to_string(value.size()) +
                                      " bytes, this cache takes at most " + std::to_string(store.value_most())};
  return expiry(store, options.ttl_ms).error();
}

Result<bool> put(Store& store, std::string_view key, std::string_view value, const SetOptions& options,
                 bool only_if_absent) {
  if (__builtin_expect(!possible(key) || value.size() > store.value_most() || options.ttl_ms < 0, 0))
    return refusal(store, key, value, options);
  if (__builtin_expect(!store.may_write(), 0)) TRY(store.ready_to_write());
  Put put{.key = key, .hash = store.hash(key), .value = value, .only_if_absent = only_if_absent};
  if (options.ttl_ms != 0) put.expires_ms = expiry(store, options.ttl_ms).value();
  Shard& shard = store.shard(put.hash);
  shard.prepare(put);
  return with_room(store, shard, [&] { return shard.put(put); });
}
}  // namespace

Status Cache::set(std::string_view key, std::string_view value, const SetOptions& options) {
  Result<bool> written = put(*impl_->store, key, value, options, false);
  if (__builtin_expect(!written.ok(), 0)) return std::move(written).error();
  return {};
}

Result<bool> Cache::add(std::string_view key, std::string_view value, const SetOptions& options) {
  return put(*impl_->store, key, value, options, true);
}

Result<bool> Cache::del(std::string_view key) {
  Store& store = *impl_->store;
  TRY(right_key(key));
  TRY(store.ready_to_write());
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  return with_room(store, shard, [&] { return shard.del(key, hash); });
}

Result<bool> Cache::touch(std::string_view key, std::int64_t ttl_ms) {
  Store& store = *impl_->store;
  TRY(right_key(key));
  const std::int64_t expires_ms = TRY(expiry(store, ttl_ms));
  TRY(store.ready_to_write());
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  return with_room(store, shard, [&] { return shard.touch(key, hash, expires_ms); });
}

Result<std::int64_t> Cache::incr(std::string_view key, std::int64_t delta) {
  Store& store = *impl_->store;
  TRY(right_key(key));
  TRY(store.ready_to_write());
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  return with_room(store, shard, [&] { return shard.incr(key, hash, delta); });
}

Result<std::uint64_t> Cache::clear() {
  Store& store = *impl_->store;
  TRY(store.ready_to_write());
  std::uint64_t sum = 0;
  for (const auto& shard : store.shards()) sum += TRY(shard->clear());
  // Where the clear began is noted in ctl; on the disk it must not be older than what was cleared.
  TRY(store.files()->sync_ctl());
  TRY(store.flusher().flush());
  return sum;
}

// --- The whole cache ---

std::vector<Item> Cache::list(std::uint64_t after, std::size_t limit) const {
  Store& store = *impl_->store;
  std::vector<Item> items;
  if (limit == 0 || !store.ready()) return items;
  for (const auto& shard : store.shards()) shard->collect(after, limit, Store::stripe(), items);
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.info.sequence < b.info.sequence; });
  if (items.size() > limit) items.resize(limit);
  return items;
}

Stats Cache::stats() const {
  Store& store = *impl_->store;
  const engine::Files& files = *store.files();
  Stats stats;
  stats.size_limit_bytes = files.geometry().size_limit;
  stats.shards = files.geometry().shards;
  stats.disk_bytes = files.disk_bytes();
  for (const auto& shard : store.shards()) shard->add_to(stats);
  for (std::uint32_t slot = 0; slot < engine::kProcessesMax; ++slot) {
    for (std::uint32_t stripe = 0; stripe < engine::kStripes; ++stripe) {
      stats.hits += files.counters(slot, stripe).hits.load(std::memory_order_relaxed);
      stats.misses += files.counters(slot, stripe).misses.load(std::memory_order_relaxed);
    }
  }
  stats.processes = store.membership().count();
  return stats;
}

namespace {
// Checking takes locks, and repairs what a dead holder left; who may not write does both in a mapping of its own, while
// nobody can open the directory.
Result<CheckReport> check_apart(const Store& store) {
  const std::filesystem::path& path = store.files()->path();
  const engine::DirectoryLock lock = TRY(engine::DirectoryLock::take(store.files()->directory_fd(), path));
  const std::shared_ptr<engine::Files> files = TRY(engine::Files::open_apart(store.files()->directory_fd(), path));
  const engine::Membership nobody(files);
  if (const std::uint32_t writers = nobody.count(); writers > 0)
    return Error{Code::kUnavailable, path.string() + ": cannot be checked by a reader while " +
                                         std::to_string(writers) + (writers == 1 ? " process has" : " processes have") +
                                         " it open for writing; check it as one who may write"};
  CheckReport report;
  for (std::uint32_t i = 0; i < files->geometry().shards; ++i)
    TRY(Shard(files, nobody, i, store.now()).check(false, report));
  return report;
}
}  // namespace

Result<CheckReport> Cache::check(bool repair) {
  Store& store = *impl_->store;
  if (store.files()->read_only() && !repair) return check_apart(store);
  TRY(store.ready_to_write());  // checking takes the locks
  CheckReport report;
  for (const auto& shard : store.shards()) TRY(shard->check(repair, report));
  return report;
}

Status Cache::flush() {
  Store& store = *impl_->store;
  TRY(store.ready_to_write());
  return store.flusher().flush();
}

Options Cache::options() const { return impl_->options; }
const std::filesystem::path& Cache::directory() const { return impl_->store->files()->path(); }

std::uint64_t Cache::value_bytes_max() const { return impl_->store->value_most(); }

}  // namespace larder
