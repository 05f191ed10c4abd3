// larder/larder.h over larder/cache.h: tests pointers, turns a Result into a number and a message, and lets no
// exception out. All that can be wrong with an entry is decided by Cache.
#include <larder/cache.h>
#include <larder/larder.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#include "base/error_table.h"
#include "base/try.h"

struct larder_cache {
  larder::Cache cache;
};
struct larder_pin {
  larder::Pin pin;
};
struct larder_items {
  std::vector<larder::Item> items;
};
struct larder_report {
  larder::CheckReport report;
};

namespace {

using larder::Cache;
using larder::Code;
using larder::Error;
using larder::Result;
using larder::Status;

constexpr int number_of(Code code) { return -1 - static_cast<int>(code); }
static_assert(number_of(Code::kInvalid) == LARDER_INVALID && number_of(Code::kNotFound) == LARDER_NOT_FOUND &&
              number_of(Code::kExists) == LARDER_EXISTS && number_of(Code::kUnsupported) == LARDER_UNSUPPORTED &&
              number_of(Code::kCorrupt) == LARDER_CORRUPT && number_of(Code::kNoSpace) == LARDER_NO_SPACE &&
              number_of(Code::kTooLarge) == LARDER_TOO_LARGE && number_of(Code::kTimeout) == LARDER_TIMEOUT &&
              number_of(Code::kCancelled) == LARDER_CANCELLED && number_of(Code::kDenied) == LARDER_DENIED &&
              number_of(Code::kUnavailable) == LARDER_UNAVAILABLE && number_of(Code::kIo) == LARDER_IO &&
              number_of(Code::kInternal) == LARDER_INTERNAL && larder::kErrorTable.size() == 13);

int refuse(larder_error* error, int code, std::string_view message) {
  if (error == nullptr) return code;
  error->code = code;
  std::size_t size = std::min(message.size(), sizeof(error->message) - 1);
  // A letter of several bytes is left out whole.
  while (size < message.size() && size > 0 && (static_cast<unsigned char>(message[size]) & 0xc0) == 0x80) --size;
  std::memcpy(error->message, message.data(), size);
  error->message[size] = '\0';
  return code;
}

// What `work` answers: a Result<bool>. Nothing is thrown through C.
template <typename Work>
int answer(larder_error* error, Work&& work) {
  try {
    const Result<bool> done = work();
    if (done.ok()) return *done ? 1 : 0;
    return refuse(error, number_of(done.error().code), done.error().message);
  } catch (const std::bad_alloc&) {
    return refuse(error, LARDER_NO_MEMORY, "memory ran out");
  } catch (const std::exception& thrown) {
    return refuse(error, LARDER_INTERNAL, thrown.what());
  }
}

Result<bool> done(Status status) {
  TRY(std::move(status));
  return false;
}

Error missing(const char* what) { return Error{Code::kInvalid, std::string(what) + " is NULL"}; }

// The bytes that a caller means; NULL only where there are none.
Result<std::string_view> bytes_of(const char* what, const void* bytes, std::size_t size) {
  if (bytes == nullptr && size > 0) return missing(what);
  return size == 0 ? std::string_view() : std::string_view(static_cast<const char*>(bytes), size);
}

Result<std::size_t> size_of(const char* what, std::size_t struct_bytes) {
  if (struct_bytes < sizeof(std::size_t))
    return Error{Code::kInvalid, std::string(what) + ": struct_bytes is " + std::to_string(struct_bytes) +
                                     "; set it to the size of the struct, as the macro beside it does"};
  return struct_bytes;
}

// A caller's struct as this library knows it: what it does not have is 0, what we do not know must be 0.
template <typename Struct>
Result<Struct> read_struct(const char* what, const Struct* given) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct read{};
  if (given == nullptr) return read;
  const std::size_t size = TRY(size_of(what, given->struct_bytes));
  std::memcpy(static_cast<void*>(&read), given, std::min(size, sizeof(Struct)));
  const char* const bytes = reinterpret_cast<const char*>(given);
  for (std::size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] != 0)
      return Error{Code::kUnsupported, std::string(what) + ": a field is set that larder " LARDER_VERSION
                                                           " does not know; a newer one is needed"};
  }
  return read;
}

// Into a caller's struct, as much as it has. Its size stays what the caller says.
template <typename Struct>
Status write_struct(const char* what, Struct value, Struct* wanted) {
  if (wanted == nullptr) return missing(what);
  const std::size_t size = TRY(size_of(what, wanted->struct_bytes));
  value.struct_bytes = size;
  std::memcpy(static_cast<void*>(wanted), &value, std::min(size, sizeof(Struct)));
  return {};
}

larder_info info_of(const larder::EntryInfo& info) {
  larder_info told = LARDER_INFO_INIT;
  told.sequence = info.sequence;
  told.stored_ms = info.stored_ms;
  told.expires_ms = info.expires_ms;
  told.value_bytes = info.value_bytes;
  return told;
}

Result<larder::SetOptions> set_options(const larder_set_options* given) {
  const larder_set_options read = TRY(read_struct("larder_set_options", given));
  larder::SetOptions options;
  options.ttl_ms = read.ttl_ms;
  return options;
}

// Calls `change` with the cache and the key once both are there.
template <typename CacheStruct, typename Call>
int with_key(CacheStruct* cache, const void* key, std::size_t key_bytes, larder_error* error, Call&& call) {
  return answer(error, [&]() -> Result<bool> {
    if (cache == nullptr) return missing("cache");
    return call(cache->cache, TRY(bytes_of("key", key, key_bytes)));
  });
}

template <typename CacheStruct, typename Call>
int with_cache(CacheStruct* cache, larder_error* error, Call&& call) {
  return with_key(cache, nullptr, 0, error, [&](auto& opened, std::string_view) { return call(opened); });
}

}  // namespace

extern "C" {

// --- Opening ---

int larder_open(const char* directory, const larder_options* options, larder_cache** cache, larder_error* error) {
  if (cache != nullptr) *cache = nullptr;
  return answer(error, [&]() -> Result<bool> {
    if (directory == nullptr) return missing("directory");
    if (cache == nullptr) return missing("cache");
    const larder_options read = TRY(read_struct("larder_options", options));
    if (read.durability > LARDER_DURABILITY_EACH)
      return Error{Code::kInvalid, "durability is " + std::to_string(read.durability) + ", it must be 0 to 3"};
    if (read.must_exist > 1 || read.read_only > 1 || read.reserved != 0)
      return Error{Code::kInvalid, "must_exist and read_only must be 0 or 1, reserved must be 0"};
    larder::Options wanted;
    wanted.size_limit_bytes = read.size_limit_bytes;
    wanted.shards = read.shards;
    if (read.durability != LARDER_DURABILITY_DEFAULT)
      wanted.durability = static_cast<larder::Durability>(read.durability - 1);
    if (read.flush_every_ms != 0) wanted.flush_every_ms = read.flush_every_ms;
    wanted.create = read.must_exist == 0;
    wanted.read_only = read.read_only == 1;
    *cache = new larder_cache{TRY(Cache::open(directory, wanted))};
    return false;
  });
}

void larder_close(larder_cache* cache) { delete cache; }

int larder_get_options(const larder_cache* cache, larder_options* options, larder_error* error) {
  return with_cache(cache, error, [&](const Cache& opened) {
    const larder::Options kept = opened.options();
    larder_options told = LARDER_OPTIONS_INIT;
    told.size_limit_bytes = kept.size_limit_bytes;
    told.shards = kept.shards;
    told.durability = static_cast<std::uint32_t>(kept.durability) + 1;
    told.flush_every_ms = kept.flush_every_ms;
    told.must_exist = kept.create ? 0 : 1;
    told.read_only = kept.read_only ? 1 : 0;
    return done(write_struct("larder_options", told, options));
  });
}

const char* larder_directory(const larder_cache* cache) {
  return cache == nullptr ? "" : cache->cache.directory().c_str();
}

uint64_t larder_value_bytes_max(const larder_cache* cache) {
  return cache == nullptr ? 0 : cache->cache.value_bytes_max();
}

// --- Reads ---

int larder_get(const larder_cache* cache, const void* key, size_t key_bytes, void** value, size_t* value_bytes,
               larder_error* error) {
  if (value != nullptr) *value = nullptr;
  if (value_bytes != nullptr) *value_bytes = 0;
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    if (value == nullptr) return missing("value");
    const std::optional<larder::Pin> pin = opened.get(name);
    if (!pin) return false;
    const std::string_view bytes = pin->bytes();
    char* const copy = static_cast<char*>(std::malloc(bytes.size() + 1));
    if (copy == nullptr) throw std::bad_alloc();
    if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
    copy[bytes.size()] = '\0';
    *value = copy;
    if (value_bytes != nullptr) *value_bytes = bytes.size();
    return true;
  });
}

void larder_free(void* value) { std::free(value); }

int larder_get_into(const larder_cache* cache, const void* key, size_t key_bytes, void* buffer, size_t buffer_bytes,
                    size_t* value_bytes, larder_error* error) {
  if (value_bytes != nullptr) *value_bytes = 0;
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    if (value_bytes == nullptr) return missing("value_bytes");
    if (buffer == nullptr && buffer_bytes > 0) return missing("buffer");
    const std::optional<larder::Pin> pin = opened.get(name);
    if (!pin) return false;
    const std::string_view bytes = pin->bytes();
    *value_bytes = bytes.size();
    if (!bytes.empty() && bytes.size() <= buffer_bytes) std::memcpy(buffer, bytes.data(), bytes.size());
    return true;
  });
}

int larder_get_pin(const larder_cache* cache, const void* key, size_t key_bytes, larder_pin** pin,
                   larder_error* error) {
  if (pin != nullptr) *pin = nullptr;
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    if (pin == nullptr) return missing("pin");
    std::optional<larder::Pin> held = opened.get(name);
    if (!held) return false;
    *pin = new larder_pin{std::move(*held)};
    return true;
  });
}

const void* larder_pin_bytes(const larder_pin* pin, size_t* value_bytes) {
  const std::string_view bytes = pin == nullptr ? std::string_view() : pin->pin.bytes();
  if (value_bytes != nullptr) *value_bytes = bytes.size();
  return bytes.data();
}

int larder_pin_info(const larder_pin* pin, larder_info* info, larder_error* error) {
  return answer(error, [&]() -> Result<bool> {
    if (pin == nullptr) return missing("pin");
    return done(write_struct("larder_info", info_of(pin->pin.info()), info));
  });
}

void larder_pin_release(larder_pin* pin) { delete pin; }

int larder_contains(const larder_cache* cache, const void* key, size_t key_bytes, larder_error* error) {
  return with_key(cache, key, key_bytes, error,
                  [&](const Cache& opened, std::string_view name) -> Result<bool> { return opened.contains(name); });
}

int larder_get_info(const larder_cache* cache, const void* key, size_t key_bytes, larder_info* info,
                    larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    const std::optional<larder::EntryInfo> known = opened.info(name);
    if (!known) return false;
    TRY(write_struct("larder_info", info_of(*known), info));
    return true;
  });
}

// --- Writes ---

int larder_set(larder_cache* cache, const void* key, size_t key_bytes, const void* value, size_t value_bytes,
               const larder_set_options* options, larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    return done(opened.set(name, TRY(bytes_of("value", value, value_bytes)), TRY(set_options(options))));
  });
}

int larder_add(larder_cache* cache, const void* key, size_t key_bytes, const void* value, size_t value_bytes,
               const larder_set_options* options, larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    return opened.add(name, TRY(bytes_of("value", value, value_bytes)), TRY(set_options(options)));
  });
}

int larder_del(larder_cache* cache, const void* key, size_t key_bytes, larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) { return opened.del(name); });
}

int larder_touch(larder_cache* cache, const void* key, size_t key_bytes, int64_t ttl_ms, larder_error* error) {
  return with_key(cache, key, key_bytes, error,
                  [&](Cache& opened, std::string_view name) { return opened.touch(name, ttl_ms); });
}

int larder_incr(larder_cache* cache, const void* key, size_t key_bytes, int64_t delta, int64_t* sum,
                larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    const std::int64_t now = TRY(opened.incr(name, delta));
    if (sum != nullptr) *sum = now;
    return false;
  });
}

int larder_clear(larder_cache* cache, uint64_t* removed, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    const std::uint64_t gone = TRY(opened.clear());
    if (removed != nullptr) *removed = gone;
    return false;
  });
}

// --- The whole cache ---

int larder_list(const larder_cache* cache, uint64_t after, size_t limit, larder_items** items, larder_error* error) {
  if (items != nullptr) *items = nullptr;
  return with_cache(cache, error, [&](const Cache& opened) -> Result<bool> {
    if (items == nullptr) return missing("items");
    *items = new larder_items{opened.list(after, limit)};
    return false;
  });
}

size_t larder_items_count(const larder_items* items) { return items == nullptr ? 0 : items->items.size(); }

const void* larder_items_key(const larder_items* items, size_t index, size_t* key_bytes) {
  const bool there = items != nullptr && index < items->items.size();
  if (key_bytes != nullptr) *key_bytes = there ? items->items[index].key.size() : 0;
  return there ? items->items[index].key.data() : nullptr;
}

int larder_items_info(const larder_items* items, size_t index, larder_info* info, larder_error* error) {
  return answer(error, [&]() -> Result<bool> {
    if (items == nullptr) return missing("items");
    if (index >= items->items.size())
      return Error{Code::kInvalid,
                   "there is no item " + std::to_string(index) + " of " + std::to_string(items->items.size())};
    return done(write_struct("larder_info", info_of(items->items[index].info), info));
  });
}

void larder_items_free(larder_items* items) { delete items; }

int larder_get_stats(const larder_cache* cache, larder_stats* stats, larder_error* error) {
  return with_cache(cache, error, [&](const Cache& opened) {
    const larder::Stats now = opened.stats();
    larder_stats told = LARDER_STATS_INIT;
    told.entries = now.entries;
    told.value_bytes = now.value_bytes;
    told.disk_bytes = now.disk_bytes;
    told.size_limit_bytes = now.size_limit_bytes;
    told.hits = now.hits;
    told.misses = now.misses;
    told.sets = now.sets;
    told.deletes = now.deletes;
    told.evictions = now.evictions;
    told.expirations = now.expirations;
    told.repairs = now.repairs;
    told.shards = now.shards;
    told.processes = now.processes;
    return done(write_struct("larder_stats", told, stats));
  });
}

int larder_check(larder_cache* cache, int repair, larder_report** report, larder_error* error) {
  if (report != nullptr) *report = nullptr;
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    if (report == nullptr) return missing("report");
    *report = new larder_report{TRY(opened.check(repair != 0))};
    return false;
  });
}

uint64_t larder_report_entries(const larder_report* report) { return report == nullptr ? 0 : report->report.entries; }
uint64_t larder_report_bytes(const larder_report* report) { return report == nullptr ? 0 : report->report.bytes; }
uint64_t larder_report_repaired(const larder_report* report) { return report == nullptr ? 0 : report->report.repaired; }
size_t larder_report_findings(const larder_report* report) {
  return report == nullptr ? 0 : report->report.findings.size();
}
const char* larder_report_finding(const larder_report* report, size_t index) {
  return index < larder_report_findings(report) ? report->report.findings[index].c_str() : nullptr;
}
void larder_report_free(larder_report* report) { delete report; }

int larder_flush(larder_cache* cache, larder_error* error) {
  return with_cache(cache, error, [](Cache& opened) { return done(opened.flush()); });
}

// --- About ---

const char* larder_version(void) { return LARDER_VERSION; }

const char* larder_code_name(int code) {
  if (code >= 0) return "ok";
  if (code == LARDER_NO_MEMORY) return "no_memory";
  const std::size_t row = static_cast<std::size_t>(-1 - static_cast<std::int64_t>(code));
  return row < larder::kErrorTable.size() ? larder::kErrorTable[row].name.data() : "unknown";
}

}  // extern "C"
