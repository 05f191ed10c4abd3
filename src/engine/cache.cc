// The public face: tests arguments, picks the shard, waits where a shard says that it must.
#include <larder/cache.h>
#include <larder/feed.h>
#include <larder/stream.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <thread>

#include "base/try.h"
#include "engine/backup.h"
#include "engine/glob.h"
#include "engine/store.h"
#include "engine/testing.h"
#include "engine/transaction.h"

namespace larder {

using engine::kKeyMost;
using engine::Put;
using engine::Room;
using engine::Shard;
using engine::Store;
using engine::When;

class Cache::Impl {
 public:
  Impl(std::unique_ptr<Store> opened, Options kept) : store(std::move(opened)), options(kept) {}

  std::unique_ptr<Store> store;
  Options options;  // as given; what is kept in the directory is asked for
};

struct CacheAccess {
  static Cache make(std::unique_ptr<Store> store, Options options) {
    options.capacity_bytes = store->files()->geometry().capacity;
    options.shards = store->files()->geometry().shards;
    return Cache(std::make_unique<Cache::Impl>(std::move(store), options));
  }
  static const std::shared_ptr<engine::Files>& files(const Cache& cache) { return cache.impl_->store->files(); }
};

// Pins hold a count in shared memory, named by the life that raised it: a forked child has a copy of the Pin, but the
// count is its parent's. Read-only openers cannot raise counts, so their pins own a copy.
struct PinAccess {
  static constexpr std::uint64_t kOwned = ~std::uint64_t{0};
  static constexpr std::uint64_t kMapped = kOwned - 1;

  static Pin held(Store* store, const engine::Pinned& pinned) {
    Pin pin;
    pin.bytes_ = pinned.bytes;
    pin.tags_ = pinned.tags;
    pin.info_ = pinned.info;
    pin.owner_ = store;
    const std::uint64_t place = static_cast<std::uint64_t>(pinned.count - store->files()->pins(0, 0));
    pin.token_ = place << 24 | (store->membership().self().incarnation & 0xffffff);
    return pin;
  }
  static Pin owned(const std::string& bytes, const std::string& tags, const EntryInfo& info) {
    Pin pin;
    char* copy = new char[bytes.size() + tags.size() + 1];
    std::copy(bytes.begin(), bytes.end(), copy);
    std::copy(tags.begin(), tags.end(), copy + bytes.size());
    pin.bytes_ = {copy, bytes.size()};
    pin.tags_ = {copy + bytes.size(), tags.size()};
    pin.info_ = info;
    pin.owner_ = copy;
    pin.token_ = kOwned;
    return pin;
  }
  // Of a large value's file.
  static Pin mapped(std::string_view bytes, const std::string& tags, const EntryInfo& info) {
    Pin pin;
    auto* const kept = new std::string(tags);
    pin.bytes_ = bytes;
    pin.tags_ = *kept;
    pin.info_ = info;
    pin.owner_ = kept;
    pin.token_ = kMapped;
    return pin;
  }
  static void release(Pin& pin) {
    if (pin.owner_ == nullptr) return;
    if (pin.token_ == kOwned) {
      delete[] static_cast<char*>(pin.owner_);
    } else if (pin.token_ == kMapped) {
      ::munmap(const_cast<char*>(pin.bytes_.data()), pin.bytes_.size());
      delete static_cast<std::string*>(pin.owner_);
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
    : bytes_(other.bytes_),
      tags_(other.tags_),
      info_(other.info_),
      owner_(std::exchange(other.owner_, nullptr)),
      token_(other.token_) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    PinAccess::release(*this);
    bytes_ = other.bytes_;
    tags_ = other.tags_;
    info_ = other.info_;
    owner_ = std::exchange(other.owner_, nullptr);
    token_ = other.token_;
  }
  return *this;
}

Pin::~Pin() { PinAccess::release(*this); }

std::vector<std::string> Pin::tags() const { return engine::decode_tags(tags_); }

namespace {

constexpr std::int64_t kExpiryMost = (std::int64_t{1} << 48) - 1;

enum class Acknowledge { kNow, kLater };

// Calls `change` until it found room, waiting between for what it said is missing. Later: the caller calls
// Flusher::wrote() when it has done all that it was asked.
template <typename Change>
auto with_room(Store& store, Shard& shard, Change&& change, Acknowledge acknowledge = Acknowledge::kNow)
    -> Result<typename decltype(change())::Value::second_type> {
  engine::RoomWait waiting(store);
  for (;;) {
    auto [room, value] = TRY(change());
    if (__builtin_expect(shard.freed.load(std::memory_order_relaxed), 0)) {
      shard.freed.store(false, std::memory_order_relaxed);
      store.flusher().hurry();
      if (shard.is_short()) store.blob_room().give_way();
    }
    if (__builtin_expect(room == Room::kReady, 1)) {
      if (acknowledge == Acknowledge::kNow) TRY(store.flusher().wrote());
      return value;
    }
    TRY(waiting.wait(room));
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
// An entry with its value's file, if it lies in one. That goes when the entry goes: who comes too late looks again.
struct Opened {
  engine::Copied entry;
  Fd file;
};
std::optional<Opened> open_large(Store& store, std::string_view key, std::uint64_t hash) {
  std::uint64_t missing = 0;
  for (;;) {
    std::optional<engine::Copied> copied = store.shard(hash).copy_all(key, hash);
    if (!copied) return std::nullopt;
    if (!copied->blob) return Opened{std::move(*copied), Fd()};
    Result<Fd> file = store.files()->blobs().open({hash, copied->blob->id}, copied->blob->bytes);
    if (file.ok()) return Opened{std::move(*copied), std::move(*file)};
    if (copied->blob->id == missing) return std::nullopt;  // it is not there; check() says so
    missing = copied->blob->id;
  }
}

bool read_file(int fd, std::uint64_t at, char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::pread(fd, to, size, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    at += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

std::optional<Pin> large_pin(Store& store, std::string_view key, std::uint64_t hash) {
  const std::optional<Opened> opened = open_large(store, key, hash);
  if (!opened) return std::nullopt;
  const engine::Copied& entry = opened->entry;
  if (!entry.blob) return PinAccess::owned(entry.bytes, entry.tags, entry.info);
  void* const mapped = ::mmap(nullptr, entry.blob->bytes, PROT_READ, MAP_SHARED, opened->file.get(), 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  return PinAccess::mapped({static_cast<const char*>(mapped), entry.blob->bytes}, entry.tags, entry.info);
}

bool large_copy(Store& store, std::string_view key, std::uint64_t hash, std::string& value) {
  std::optional<Opened> opened = open_large(store, key, hash);
  if (!opened) return false;
  std::string bytes = std::move(opened->entry.bytes);
  if (opened->entry.blob) {
    bytes.resize(opened->entry.blob->bytes);
    if (!read_file(opened->file.get(), 0, bytes.data(), bytes.size())) return false;
  }
  value = std::move(bytes);
  return true;
}

std::optional<Pin> pin(Store& store, std::string_view key, bool counts_as_read) {
  if (!possible(key) || !store.ready()) return std::nullopt;
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  if (store.files()->read_only()) return large_pin(store, key, hash);
  const std::uint32_t stripe = Store::stripe();
  std::optional<engine::Pinned> pinned;
  if (!shard.surely_absent(hash)) pinned = shard.pin(key, hash, stripe, counts_as_read);
  if (counts_as_read) store.count_read(pinned.has_value(), stripe);
  if (!pinned) return std::nullopt;
  if (__builtin_expect(pinned->count == nullptr, 0)) return large_pin(store, key, hash);
  return PinAccess::held(&store, *pinned);
}
}  // namespace

std::optional<Pin> Cache::get(std::string_view key) const { return pin(*impl_->store, key, true); }

std::optional<Pin> Cache::peek(std::string_view key) const { return pin(*impl_->store, key, false); }

bool Cache::get(std::string_view key, std::string& value) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return false;
  const std::uint64_t hash = store.hash(key);
  const std::uint32_t stripe = Store::stripe();
  Shard& shard = store.shard(hash);
  if (shard.surely_absent(hash)) {
    store.count_read(false, stripe);
    return false;
  }
  const Shard::Got got = shard.copy(key, hash, stripe, value);
  store.count_read(got != Shard::Got::kMiss, stripe);
  if (__builtin_expect(got == Shard::Got::kLarge, 0)) return large_copy(store, key, hash, value);
  return got == Shard::Got::kValue;
}

bool Cache::contains(std::string_view key) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return false;
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  const bool hit = !shard.surely_absent(hash) && shard.info(key, hash, true).has_value();
  store.count_read(hit, Store::stripe());
  return hit;
}

std::optional<EntryInfo> Cache::info(std::string_view key) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return std::nullopt;
  const std::uint64_t hash = store.hash(key);
  return store.shard(hash).info(key, hash, false);
}

std::vector<std::string> Cache::tags(std::string_view key) const {
  const std::optional<Pin> found = peek(key);
  return found ? found->tags() : std::vector<std::string>{};
}

std::vector<std::optional<Pin>> Cache::get_many(std::span<const std::string_view> keys) const {
  // So many are on their way from memory at once.
  constexpr std::size_t kTogether = 16;
  Store& store = *impl_->store;
  std::vector<std::optional<Pin>> pins;
  pins.reserve(keys.size());
  if (!store.ready()) {
    pins.resize(keys.size());
    return pins;
  }
  for (std::size_t from = 0; from < keys.size(); from += kTogether) {
    const std::size_t count = std::min(kTogether, keys.size() - from);
    std::uint64_t hashes[kTogether];
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = store.hash(keys[from + i]);
      store.shard(hashes[i]).prefetch_bucket(hashes[i]);
    }
    for (std::size_t i = 0; i < count; ++i) store.shard(hashes[i]).prefetch(hashes[i]);
    for (std::size_t i = 0; i < count; ++i) pins.push_back(get(keys[from + i]));
  }
  return pins;
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

// The put that set() and its kin ask for; `tags` are those of the options, encoded.
Result<Put> put_for(const Store& store, std::string_view key, std::string_view value, const SetOptions& options,
                    std::string_view tags) {
  const bool too_large = value.size() > store.inline_most() && value.size() > store.value_most();
  if (__builtin_expect(!possible(key) || too_large || options.ttl_ms < 0, 0))
    return refusal(store, key, value, options);
  if (__builtin_expect(options.format > 15, 0))
    return Error{Code::kInvalid, "format is " + std::to_string(options.format) + ", must be 0 to 15"};
  Put put{.key = key, .hash = store.hash(key), .value = value};
  if (options.ttl_ms != 0) put.extras.expires_ms = TRY(expiry(store, options.ttl_ms));
  put.extras.tags = tags;
  put.extras.cost = options.cost;
  put.flags = static_cast<std::uint16_t>(options.format << engine::kFormatShift);
  if (options.pinned) put.flags |= engine::kIsPinned;
  put.keeps_place = options.keeps_place;
  return put;
}

// The entry of a value that lies in `blob`'s file.
Result<bool> put_finished(Store& store, Put put, engine::NewBlob& blob) {
  const engine::Blob where = TRY(blob.finish());
  put.flags |= engine::kBlob;
  put.value = engine::bytes_of(where);
  put.blob_bytes = where.bytes;
  Shard& shard = store.shard(put.hash);
  shard.prepare(put);
  const bool written = TRY(with_room(store, shard, [&] { return shard.put(put); }));
  if (written) blob.keep();
  return written;
}

Result<bool> put_large(Store& store, const Put& put) {
  // Not worth the writing.
  if (put.when.kind == When::kAbsent && store.shard(put.hash).info(put.key, put.hash, false)) return false;
  engine::NewBlob blob = TRY(engine::NewBlob::begin(store, put.hash));
  TRY(blob.prepare(put.value.size()));
  TRY(blob.add(put.value));
  return put_finished(store, put, blob);
}

Result<bool> put(Store& store, std::string_view key, std::string_view value, const SetOptions& options,
                 const When& when) {
  std::string tags;
  if (__builtin_expect(!options.tags.empty(), 0)) tags = TRY(engine::encode_tags(options.tags, store.files()->seed()));
  Put put = TRY(put_for(store, key, value, options, tags));
  put.when = when;
  if (__builtin_expect(!store.may_write(), 0)) TRY(store.ready_to_write());
  if (__builtin_expect(value.size() > store.inline_most(), 0)) return put_large(store, put);
  Shard& shard = store.shard(put.hash);
  shard.prepare(put);
  return with_room(store, shard, [&] { return shard.put(put); });
}

Result<bool> del(Store& store, std::string_view key, const When& when, engine::Taken* taken) {
  TRY(right_key(key));
  TRY(store.ready_to_write());
  const std::uint64_t hash = store.hash(key);
  Shard& shard = store.shard(hash);
  return with_room(store, shard, [&] { return shard.del(key, hash, when, taken); });
}
}  // namespace

Status Cache::set(std::string_view key, std::string_view value, const SetOptions& options) {
  Result<bool> written = put(*impl_->store, key, value, options, {});
  if (__builtin_expect(!written.ok(), 0)) return std::move(written).error();
  return {};
}

Result<bool> Cache::add(std::string_view key, std::string_view value, const SetOptions& options) {
  return put(*impl_->store, key, value, options, {When::kAbsent});
}

Result<bool> Cache::replace(std::string_view key, std::string_view value, const SetOptions& options) {
  return put(*impl_->store, key, value, options, {When::kPresent});
}

Result<bool> Cache::compare_and_set(std::string_view key, std::uint64_t sequence, std::string_view value,
                                    const SetOptions& options) {
  return put(*impl_->store, key, value, options, {When::kSequence, sequence});
}

Status Cache::set_many(std::span<const KeyValue> entries, const SetOptions& options) {
  Store& store = *impl_->store;
  const std::string tags = TRY(engine::encode_tags(options.tags, store.files()->seed()));
  std::vector<Put> puts;
  puts.reserve(entries.size());
  for (const KeyValue& entry : entries) {
    Result<Put> put = put_for(store, entry.key, entry.value, options, tags);
    if (!put.ok())
      return Error{put.error().code, "'" + std::string(entry.key.substr(0, 64)) + "': " + put.error().message};
    puts.push_back(*put);
  }
  TRY(store.ready_to_write());
  std::vector<std::vector<const Put*>> by_shard(store.shards().size());
  for (Put& put : puts) {
    if (put.value.size() > store.inline_most()) {
      Result<bool> written = put_large(store, put);
      if (!written.ok())
        return Error{written.error().code, "'" + std::string(put.key.substr(0, 64)) + "': " + written.error().message};
      continue;
    }
    store.shard(put.hash).prepare(put);
    by_shard[store.shard_number(put.hash)].push_back(&put);
  }
  for (std::size_t i = 0; i < by_shard.size(); ++i) {
    Shard& shard = *store.shards()[i];
    std::size_t next = 0;
    while (next < by_shard[i].size()) {
      Result<bool> written = with_room(
          store, shard, [&] { return shard.put_many(by_shard[i], next); }, Acknowledge::kLater);
      if (!written.ok())
        return Error{written.error().code,
                     "'" + std::string(by_shard[i][next]->key.substr(0, 64)) + "': " + written.error().message};
    }
  }
  return puts.empty() ? Status{} : store.flusher().wrote();
}

Result<bool> Cache::del(std::string_view key) { return larder::del(*impl_->store, key, {}, nullptr); }

Result<bool> Cache::compare_and_del(std::string_view key, std::uint64_t sequence) {
  return larder::del(*impl_->store, key, {When::kSequence, sequence}, nullptr);
}

Result<std::uint64_t> Cache::del_many(std::span<const std::string_view> keys) {
  Store& store = *impl_->store;
  for (const std::string_view key : keys) TRY(right_key(key));
  TRY(store.ready_to_write());
  std::uint64_t count = 0;
  for (const std::string_view key : keys) {
    const std::uint64_t hash = store.hash(key);
    Shard& shard = store.shard(hash);
    count += TRY(with_room(
                 store, shard, [&] { return shard.del(key, hash); }, Acknowledge::kLater))
                 ? 1
                 : 0;
  }
  if (count > 0) TRY(store.flusher().wrote());
  return count;
}

Result<std::optional<Entry>> Cache::pop(std::string_view key) {
  engine::Taken taken;
  if (!TRY(larder::del(*impl_->store, key, {}, &taken))) return std::optional<Entry>{};
  if (taken.blob) {
    taken.entry.value.resize(taken.blob->bytes);
    if (!read_file(taken.file.get(), 0, taken.entry.value.data(), taken.entry.value.size()))
      return Error{Code::kCorrupt, directory().string() + ": the file of the value under '" + std::string(key) +
                                       "' was cut short while it was read"};
  }
  return std::optional<Entry>{std::move(taken.entry)};
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

Result<std::int64_t> Cache::incr(std::string_view key, std::int64_t delta, const SetOptions& options) {
  Store& store = *impl_->store;
  std::string tags;
  if (!options.tags.empty()) tags = TRY(engine::encode_tags(options.tags, store.files()->seed()));
  const Put fresh = TRY(put_for(store, key, {}, options, tags));
  TRY(store.ready_to_write());
  Shard& shard = store.shard(fresh.hash);
  return with_room(store, shard, [&] { return shard.incr(fresh, delta); });
}

Result<std::uint64_t> Cache::clear() {
  Store& store = *impl_->store;
  TRY(store.ready_to_write());
  std::uint64_t sum = 0;
  for (const auto& shard : store.shards()) sum += TRY(shard->clear());
  // Where the clear began is noted in ctl; on the disk it must not be older than what was cleared.
  TRY(store.files()->sync_ctl());
  TRY(store.flusher().flush());
  (void)store.blob_room().sweep();
  return sum;
}

namespace {
// Removes what `which` names, and in any case what is over.
Result<engine::Removed> remove_all(Store& store, const std::function<bool(const engine::Record&)>& which) {
  engine::Removed removed;
  for (const auto& shard : store.shards()) {
    std::uint64_t bucket = 0;
    while (!TRY(with_room(
        store, *shard, [&] { return shard->remove_some(which, bucket, removed); }, Acknowledge::kLater))) {
    }
  }
  TRY(store.flusher().wrote());
  return removed;
}

bool has_tag(const engine::Record& record, const std::string& tag) {
  const std::vector<std::string> tags = engine::decode_tags(record.tags());
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}
}  // namespace

namespace {
// The sequence before which the tag's entries are dead from now on.
Result<std::uint64_t> mark_evicted(Store& store, std::string_view tag) {
  const std::uint64_t hash = engine::tag_hash(tag, store.files()->seed());
  std::uint64_t before = 0;
  while (!TRY(store.evict_tag(hash, before))) {
    TRY(remove_all(store, [](const engine::Record&) { return false; }));
    TRY(store.forget_tags(before));
  }
  if (store.files()->settings().durability != Durability::kNone) TRY(store.files()->sync_ctl());
  return before;
}
}  // namespace

Status Cache::evict_tag(std::string_view tag) {
  if (tag.empty()) return Error{Code::kInvalid, "the tag is empty"};
  TRY(impl_->store->ready_to_write());
  TRY(mark_evicted(*impl_->store, tag));
  return {};
}

Result<std::uint64_t> Cache::evict(const Filter& filter) {
  Store& store = *impl_->store;
  if (filter.any()) return Error{Code::kInvalid, "the filter names nothing; to remove every entry, clear the cache"};
  TRY(store.ready_to_write());
  std::uint64_t before = ~std::uint64_t{0};
  const auto named = [&](const engine::Record& record) {
    return record.head.sequence < before && engine::names(filter, {record.key(), record.head.key_size}) &&
           (filter.tag.empty() || has_tag(record, filter.tag));
  };
  if (filter.prefix.empty() && filter.pattern.empty()) before = TRY(mark_evicted(store, filter.tag));
  return TRY(remove_all(store, named)).named;
}

Result<std::uint64_t> Cache::cull() {
  Store& store = *impl_->store;
  TRY(store.ready_to_write());
  std::uint64_t removed = TRY(remove_all(store, [](const engine::Record&) { return false; })).all;
  for (const auto& shard : store.shards()) removed += TRY(shard->shrink());
  store.flusher().hurry();
  (void)store.blob_room().sweep();
  return removed;
}

// --- The whole cache ---

namespace {
constexpr std::size_t kItemsMost = 1 << 30;

std::vector<Item> collected(Store& store, const engine::Walk& walk) {
  std::vector<Item> items;
  if (walk.limit == 0 || !store.ready()) return items;
  for (const auto& shard : store.shards()) shard->collect(walk, Store::stripe(), items);
  const auto before = [&](const Item& a, const Item& b) { return walk.order(a.info.place) < walk.order(b.info.place); };
  if (items.size() > walk.limit) {
    std::nth_element(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(walk.limit), items.end(), before);
    items.resize(walk.limit);
  }
  std::sort(items.begin(), items.end(), before);
  return items;
}
}  // namespace

std::vector<Item> Cache::list(std::uint64_t after, std::size_t limit, const Filter& filter) const {
  return collected(*impl_->store, {after, false, std::min(limit, kItemsMost), filter.any() ? nullptr : &filter});
}

std::vector<Item> Cache::list_back(std::uint64_t before, std::size_t limit, const Filter& filter) const {
  return collected(*impl_->store, {before, true, std::min(limit, kItemsMost), filter.any() ? nullptr : &filter});
}

std::vector<Stats> Cache::shard_stats() const {
  std::vector<Stats> all;
  for (const auto& shard : impl_->store->shards()) shard->add_to(all.emplace_back());
  return all;
}

std::vector<TagStats> Cache::tag_stats() const {
  std::map<std::string, TagStats> by_tag;
  std::uint64_t after = 0;
  for (;;) {
    const std::vector<Item> items = list(after);
    if (items.empty()) break;
    after = items.back().info.place;
    for (const Item& item : items) {
      for (const std::string& tag : item.tags) {
        TagStats& stats = by_tag[tag];
        stats.tag = tag;
        ++stats.entries;
        stats.bytes += item.key.size() + item.info.value_bytes;
      }
    }
  }
  std::vector<TagStats> all;
  for (auto& [tag, stats] : by_tag) all.push_back(std::move(stats));
  return all;
}

Stats Cache::stats() const {
  Store& store = *impl_->store;
  const engine::Files& files = *store.files();
  Stats stats;
  stats.size_limit_bytes = files.settings().size_limit_bytes;
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
  for (std::uint32_t i = 0; i < files->geometry().shards; ++i) {
    Shard shard(files, nobody, i, store.now());
    TRY(shard.check(false, report));
    TRY(shard.check_blobs(false, report));
  }
  return report;
}
}  // namespace

Result<CheckReport> Cache::check(bool repair) {
  Store& store = *impl_->store;
  if (store.files()->read_only() && !repair) return check_apart(store);
  TRY(store.ready_to_write());  // checking takes the locks
  CheckReport report;
  for (const auto& shard : store.shards()) {
    TRY(shard->check(repair, report));
    TRY(shard->check_blobs(repair, report));
  }
  if (repair) (void)store.blob_room().sweep();
  return report;
}

Status Cache::flush() {
  Store& store = *impl_->store;
  TRY(store.ready_to_write());
  if (store.files()->settings().durability == Durability::kNone) TRY(store.files()->sync_blobs());
  return store.flusher().flush();
}

Status Cache::backup(const std::filesystem::path& to, const Progress& progress) {
  return engine::backup(*impl_->store, to, progress);
}

Result<CheckReport> Cache::restore(const std::filesystem::path& from, const std::filesystem::path& to,
                                   const Progress& progress) {
  return engine::restore(from, to, progress);
}

Options Cache::options() const {
  const engine::Config now = impl_->store->files()->settings();
  Options options = impl_->options;
  options.size_limit_bytes = now.size_limit_bytes;
  options.entry_limit = now.entry_limit;
  options.policy = now.policy;
  options.durability = now.durability;
  options.flush_every_ms = now.flush_every_ms;
  return options;
}

Status Cache::change(const SettingsChange& settings) {
  TRY(impl_->store->ready_to_write());
  return impl_->store->change(settings);
}

Result<Changes> Cache::changes(std::uint64_t after, std::size_t limit) const {
  constexpr int kAttempts = 20;
  Store& store = *impl_->store;
  if (!store.ready())
    return Error{Code::kUnavailable, directory().string() + ": no place among its processes; close one"};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t horizon = store.files()->globals().sequence.load(std::memory_order_seq_cst);
    Changes changes;
    changes.next = after;
    bool free = true;
    for (const auto& shard : store.shards()) free = free && shard->seen_free();
    // Somebody died there, and nobody has put it right yet: nothing can be said.
    if (!free) return changes;
    changes.next = horizon > 0 ? horizon - 1 : 0;
    if (limit == 0) return changes;
    std::map<std::uint64_t, ChangeEvent> events;
    Shard::Fed fed = Shard::Fed::kAll;
    for (const auto& shard : store.shards()) {
      fed = shard->changes(after, horizon, limit, Store::stripe(), events);
      if (fed != Shard::Fed::kAll) break;
    }
    if (fed == Shard::Fed::kAgain) continue;
    changes.lost = fed == Shard::Fed::kLost || after >= horizon;
    if (changes.lost) return changes;
    if (events.size() >= limit) changes.next = events.rbegin()->first;
    for (auto& [sequence, event] : events) changes.events.push_back(std::move(event));
    return changes;
  }
  return Error{Code::kUnavailable, directory().string() + ": changes too fast to be read without a lock; ask again"};
}

bool Cache::wait_changes(std::uint64_t after, std::int64_t timeout_ms) const {
  constexpr auto kLongest = std::chrono::microseconds(10'000);
  Store& store = *impl_->store;
  const engine::Word& next = store.files()->globals().sequence;
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(std::clamp<std::int64_t>(timeout_ms, 0, 1LL << 40));
  auto pause = std::chrono::microseconds(50);
  while (next.load(std::memory_order_acquire) <= after + 1) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return false;
    std::this_thread::sleep_for(std::min(
        pause, std::chrono::duration_cast<std::chrono::microseconds>(until - now) + std::chrono::microseconds(1)));
    pause = std::min(pause * 2, kLongest);
  }
  return true;
}

// --- Streams ---

class ValueWriter::Impl {
 public:
  Impl(Store& store, std::string_view key, const SetOptions& options, std::string tags)
      : store_(store), key_(key), tags_(std::move(tags)), options_(options) {
    options_.tags.clear();
  }

  Status write(std::string_view bytes) {
    if (done_) return Error{Code::kInvalid, "the value was committed already"};
    if (Status written = take(bytes); !written.ok()) {
      failed_ = written;
      return written;
    }
    bytes_ += bytes.size();
    return {};
  }

  Status commit() {
    if (done_) return Error{Code::kInvalid, "the value was committed already"};
    TRY(Status(failed_));
    TRY(store_.ready_to_write());
    Put put = TRY(put_for(store_, key_, file_ ? std::string_view{} : small_, options_, tags_));
    if (file_) {
      TRY(put_finished(store_, put, *file_));
    } else {
      Shard& shard = store_.shard(put.hash);
      shard.prepare(put);
      TRY(with_room(store_, shard, [&] { return shard.put(put); }));
    }
    done_ = true;
    return {};
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  Status take(std::string_view bytes) {
    TRY(Status(failed_));
    if (!file_ && small_.size() + bytes.size() <= store_.inline_most()) {
      small_.append(bytes);
      return {};
    }
    if (!file_) {
      TRY(store_.ready_to_write());
      file_.emplace(TRY(engine::NewBlob::begin(store_, store_.hash(key_))));
      TRY(file_->add(small_));
      small_ = {};
    }
    return file_->add(bytes);
  }

  Store& store_;
  const std::string key_;
  const std::string tags_;  // encoded
  SetOptions options_;
  std::string small_;  // until it is too large for that
  std::optional<engine::NewBlob> file_;
  std::uint64_t bytes_ = 0;
  Status failed_;
  bool done_ = false;
};

ValueWriter::ValueWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ValueWriter::ValueWriter(ValueWriter&&) noexcept = default;
ValueWriter& ValueWriter::operator=(ValueWriter&&) noexcept = default;
ValueWriter::~ValueWriter() = default;
Status ValueWriter::write(std::string_view bytes) { return impl_->write(bytes); }
std::uint64_t ValueWriter::bytes() const { return impl_->bytes(); }
Status ValueWriter::commit() { return impl_->commit(); }

Result<ValueWriter> Cache::writer(std::string_view key, const SetOptions& options) {
  Store& store = *impl_->store;
  std::string tags = TRY(engine::encode_tags(options.tags, store.files()->seed()));
  TRY(put_for(store, key, {}, options, tags));  // what can be refused now is
  TRY(store.ready_to_write());
  return ValueWriter(std::make_unique<ValueWriter::Impl>(store, key, options, std::move(tags)));
}

class ValueReader::Impl {
 public:
  Impl(std::optional<Pin> pin, EntryInfo info, Fd file, std::filesystem::path path)
      : pin_(std::move(pin)), info_(info), file_(std::move(file)), path_(std::move(path)) {}

  const EntryInfo& info() const { return info_; }
  void seek(std::uint64_t at) { at_ = at; }

  Result<std::size_t> read(std::span<char> to) {
    if (at_ >= info_.value_bytes) return std::size_t{0};
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), info_.value_bytes - at_));
    if (pin_) {
      std::memcpy(to.data(), pin_->bytes().data() + at_, size);
    } else if (!read_file(file_.get(), at_, to.data(), size)) {
      return Error{Code::kCorrupt, path_.string() + ": a large value's file was cut short, or cannot be read"};
    }
    at_ += size;
    return size;
  }

 private:
  std::optional<Pin> pin_;  // of a value that is not large
  EntryInfo info_;
  Fd file_;
  std::filesystem::path path_;
  std::uint64_t at_ = 0;
};

ValueReader::ValueReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ValueReader::ValueReader(ValueReader&&) noexcept = default;
ValueReader& ValueReader::operator=(ValueReader&&) noexcept = default;
ValueReader::~ValueReader() = default;
const EntryInfo& ValueReader::info() const { return impl_->info(); }
Result<std::size_t> ValueReader::read(std::span<char> to) { return impl_->read(to); }
void ValueReader::seek(std::uint64_t at) { impl_->seek(at); }

std::optional<ValueReader> Cache::reader(std::string_view key) const {
  Store& store = *impl_->store;
  if (!possible(key) || !store.ready()) return std::nullopt;
  const std::uint64_t hash = store.hash(key);
  const std::optional<EntryInfo> found = store.shard(hash).info(key, hash, true);
  store.count_read(found.has_value(), Store::stripe());
  if (!found) return std::nullopt;
  std::optional<Opened> opened = open_large(store, key, hash);
  if (!opened) return std::nullopt;
  const EntryInfo info = opened->entry.info;
  std::optional<Pin> pin;
  if (!opened->entry.blob) pin = PinAccess::owned(opened->entry.bytes, opened->entry.tags, info);
  return ValueReader(std::make_unique<ValueReader::Impl>(std::move(pin), info, std::move(opened->file), directory()));
}

Status Cache::transact(const std::function<Status(Transaction&)>& work, std::int64_t deadline_ms) {
  return engine::transact(*this, *impl_->store, work, deadline_ms);
}

Status engine::checked_key(std::string_view key) { return larder::right_key(key); }
Result<Put> engine::checked_put(const Store& store, std::string_view key, std::string_view value,
                                const SetOptions& options, std::string_view tags) {
  return larder::put_for(store, key, value, options, tags);
}

const std::filesystem::path& Cache::directory() const { return impl_->store->files()->path(); }

std::uint64_t Cache::value_bytes_max() const { return impl_->store->value_most(); }

}  // namespace larder
