// larder/larder.h over larder/cache.h: tests pointers, turns a Result into a number and a message, and lets no
// exception out. All that can be wrong with an entry is decided by Cache.
#include <larder/cache.h>
#include <larder/feed.h>
#include <larder/larder.h>
#include <larder/stream.h>
#include <larder/transaction.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
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
struct larder_words {
  std::vector<std::string> words;
};
struct larder_items {
  std::vector<larder::Item> items;
  std::vector<larder_words> tags;  // of each
};
struct larder_tag_stats {
  std::vector<larder::TagStats> tags;
};
struct larder_report {
  larder::CheckReport report;
};
struct larder_changes {
  larder::Changes changes;
};
struct larder_writer {
  larder::ValueWriter writer;
};
struct larder_reader {
  larder::ValueReader reader;
};
struct larder_transaction {
  larder::Transaction& transaction;
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
  told.place = info.place;
  told.cost = info.cost;
  told.format = info.format;
  told.pinned = info.pinned ? 1 : 0;
  told.tagged = info.tagged ? 1 : 0;
  return told;
}

Result<std::string_view> bytes_of(const char* what, const larder_bytes& given) {
  return bytes_of(what, given.bytes, given.size);
}

Result<std::vector<std::string_view>> words_of(const char* what, const larder_bytes* given, std::size_t count) {
  if (given == nullptr && count > 0) return missing(what);
  std::vector<std::string_view> words;
  words.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view word = TRY(bytes_of(what, given[i]));
    words.push_back(word);
  }
  return words;
}

Result<bool> flag_of(const char* what, std::uint32_t given) {
  if (given > 1)
    return Error{Code::kInvalid, std::string(what) + " is " + std::to_string(given) + ", it must be 0 or 1"};
  return given == 1;
}

Status zero(std::uint32_t reserved) {
  if (reserved != 0) return Error{Code::kInvalid, "reserved is " + std::to_string(reserved) + ", it must be 0"};
  return {};
}

Result<larder::Durability> durability_of(std::uint32_t given) {
  if (given > LARDER_DURABILITY_EACH)
    return Error{Code::kInvalid, "durability is " + std::to_string(given) + ", it must be 0 to 3"};
  return given == LARDER_DURABILITY_DEFAULT ? larder::Durability::kTimed : static_cast<larder::Durability>(given - 1);
}

Result<larder::Policy> policy_of(std::uint32_t given) {
  if (given > LARDER_POLICY_NONE)
    return Error{Code::kInvalid, "policy is " + std::to_string(given) + ", it must be 0 to 4"};
  return static_cast<larder::Policy>(given);
}

Result<larder::SetOptions> set_options(const larder_set_options* given) {
  const larder_set_options read = TRY(read_struct("larder_set_options", given));
  larder::SetOptions options;
  options.ttl_ms = read.ttl_ms;
  options.tags = TRY(words_of("tags", read.tags, read.tag_count));
  if (read.format > 15)
    return Error{Code::kInvalid, "format is " + std::to_string(read.format) + ", it must be 0 to 15"};
  options.cost = read.cost;
  options.format = static_cast<std::uint8_t>(read.format);
  options.pinned = TRY(flag_of("pinned", read.pinned));
  options.keeps_place = TRY(flag_of("keeps_place", read.keeps_place));
  TRY(zero(read.reserved));
  return options;
}

Result<larder::Filter> filter_of(const larder_filter* given) {
  const larder_filter read = TRY(read_struct("larder_filter", given));
  larder::Filter filter;
  filter.prefix = TRY(bytes_of("prefix", read.prefix));
  filter.pattern = TRY(bytes_of("pattern", read.pattern));
  filter.tag = TRY(bytes_of("tag", read.tag));
  return filter;
}

larder_stats stats_of(const larder::Stats& now) {
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
  told.pinned_bytes = now.pinned_bytes;
  told.blob_bytes = now.blob_bytes;
  return told;
}

// A copy that larder_free() takes back, with a 0 behind it.
void* copied(std::string_view bytes) {
  char* const copy = static_cast<char*>(std::malloc(bytes.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  copy[bytes.size()] = '\0';
  return copy;
}

// Calls `change` with the cache and the key once both are there.
template <typename CacheStruct, typename Call>
int with_key(CacheStruct* cache, const void* key, std::size_t key_bytes, larder_error* error, Call&& call) {
  return answer(error, [&]() -> Result<bool> {
    if (cache == nullptr) return missing("cache");
    return call(cache->cache, TRY(bytes_of("key", key, key_bytes)));
  });
}

// Puts how many went where the caller wants it.
Result<bool> removed_to(std::uint64_t* removed, Result<std::uint64_t> count) {
  if (!count.ok()) return std::move(count).error();
  if (removed != nullptr) *removed = *count;
  return false;
}

template <typename CacheStruct, typename Call>
int with_cache(CacheStruct* cache, larder_error* error, Call&& call) {
  return with_key(cache, nullptr, 0, error, [&](auto& opened, std::string_view) { return call(opened); });
}

template <typename Look>
int pin_to(const larder_cache* cache, const void* key, size_t key_bytes, larder_pin** pin, larder_error* error,
           Look&& look) {
  if (pin != nullptr) *pin = nullptr;
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    if (pin == nullptr) return missing("pin");
    std::optional<larder::Pin> held = look(opened, name);
    if (!held) return false;
    *pin = new larder_pin{std::move(*held)};
    return true;
  });
}

template <typename List>
int items_to(const larder_cache* cache, const larder_filter* filter, larder_items** items, larder_error* error,
             List&& list) {
  if (items != nullptr) *items = nullptr;
  return with_cache(cache, error, [&](const Cache& opened) -> Result<bool> {
    if (items == nullptr) return missing("items");
    auto found = std::make_unique<larder_items>();
    found->items = list(opened, TRY(filter_of(filter)));
    for (larder::Item& item : found->items) found->tags.push_back({std::move(item.tags)});
    *items = found.release();
    return false;
  });
}

// Calls `change` with the transaction and the key once both are there.
template <typename Call>
int in_transaction(larder_transaction* transaction, const void* key, std::size_t key_bytes, larder_error* error,
                   Call&& call) {
  return answer(error, [&]() -> Result<bool> {
    if (transaction == nullptr) return missing("transaction");
    return call(transaction->transaction, TRY(bytes_of("key", key, key_bytes)));
  });
}

// A caller's work as the engine runs it.
auto work_of(larder_work work, void* context) {
  return [work, context](larder::Transaction& transaction) -> Status {
    larder_transaction lent{transaction};
    const int ended = work(&lent, context);
    if (ended == 0) return {};
    if (ended == LARDER_NO_MEMORY) return Error{Code::kInternal, "the work of the transaction ran out of memory"};
    if (ended > 0 || ended < LARDER_NO_MEMORY)
      return Error{Code::kInvalid,
                   "the work of the transaction answered " + std::to_string(ended) + ", it must be 0 or a larder_code"};
    return Error{static_cast<Code>(-1 - ended), "the work of the transaction refused"};
  };
}

larder::Progress progress_of(larder_progress progress, void* context) {
  if (progress == nullptr) return {};
  return [progress, context](std::uint64_t done, std::uint64_t all) { return progress(context, done, all) == 0; };
}

}  // namespace

extern "C" {

size_t larder_words_count(const larder_words* words) { return words == nullptr ? 0 : words->words.size(); }

const void* larder_words_at(const larder_words* words, size_t index, size_t* size) {
  const bool there = index < larder_words_count(words);
  if (size != nullptr) *size = there ? words->words[index].size() : 0;
  return there ? words->words[index].data() : nullptr;
}

void larder_words_free(larder_words* words) { delete words; }

// --- Opening ---

int larder_open(const char* directory, const larder_options* options, larder_cache** cache, larder_error* error) {
  if (cache != nullptr) *cache = nullptr;
  return answer(error, [&]() -> Result<bool> {
    if (directory == nullptr) return missing("directory");
    if (cache == nullptr) return missing("cache");
    const larder_options read = TRY(read_struct("larder_options", options));
    larder::Options wanted;
    wanted.size_limit_bytes = read.size_limit_bytes;
    wanted.capacity_bytes = read.capacity_bytes;
    wanted.entry_limit = read.entry_limit;
    wanted.shards = read.shards;
    wanted.policy = TRY(policy_of(read.policy));
    wanted.durability = TRY(durability_of(read.durability));
    if (read.flush_every_ms != 0) wanted.flush_every_ms = read.flush_every_ms;
    wanted.create = !TRY(flag_of("must_exist", read.must_exist));
    wanted.read_only = TRY(flag_of("read_only", read.read_only));
    Cache opened = TRY(Cache::open(directory, wanted));
    *cache = new larder_cache{std::move(opened)};
    return false;
  });
}

void larder_close(larder_cache* cache) { delete cache; }

int larder_get_options(const larder_cache* cache, larder_options* options, larder_error* error) {
  return with_cache(cache, error, [&](const Cache& opened) {
    const larder::Options kept = opened.options();
    larder_options told = LARDER_OPTIONS_INIT;
    told.size_limit_bytes = kept.size_limit_bytes;
    told.capacity_bytes = kept.capacity_bytes;
    told.entry_limit = kept.entry_limit;
    told.shards = kept.shards;
    told.policy = static_cast<std::uint32_t>(kept.policy);
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

int larder_change(larder_cache* cache, const larder_settings* settings, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    if (settings == nullptr) return missing("settings");
    const larder_settings read = TRY(read_struct("larder_settings", settings));
    constexpr std::uint64_t kKnown = LARDER_SETTING_SIZE_LIMIT | LARDER_SETTING_ENTRY_LIMIT | LARDER_SETTING_POLICY |
                                     LARDER_SETTING_DURABILITY | LARDER_SETTING_FLUSH_EVERY;
    if ((read.change & ~kKnown) != 0)
      return Error{Code::kUnsupported,
                   "larder_settings: change names a setting that larder " LARDER_VERSION " does not know"};
    TRY(zero(read.reserved));
    larder::SettingsChange change;
    if ((read.change & LARDER_SETTING_SIZE_LIMIT) != 0) change.size_limit_bytes = read.size_limit_bytes;
    if ((read.change & LARDER_SETTING_ENTRY_LIMIT) != 0) change.entry_limit = read.entry_limit;
    if ((read.change & LARDER_SETTING_POLICY) != 0) change.policy = TRY(policy_of(read.policy));
    if ((read.change & LARDER_SETTING_DURABILITY) != 0) change.durability = TRY(durability_of(read.durability));
    if ((read.change & LARDER_SETTING_FLUSH_EVERY) != 0) change.flush_every_ms = read.flush_every_ms;
    return done(opened.change(change));
  });
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
    *value = copied(pin->bytes());
    if (value_bytes != nullptr) *value_bytes = pin->bytes().size();
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
  return pin_to(cache, key, key_bytes, pin, error,
                [](const Cache& opened, std::string_view name) { return opened.get(name); });
}

int larder_peek(const larder_cache* cache, const void* key, size_t key_bytes, larder_pin** pin, larder_error* error) {
  return pin_to(cache, key, key_bytes, pin, error,
                [](const Cache& opened, std::string_view name) { return opened.peek(name); });
}

int larder_get_many(const larder_cache* cache, const larder_bytes* keys, size_t count, larder_pin** pins,
                    larder_error* error) {
  if (pins != nullptr) std::fill(pins, pins + count, nullptr);
  return with_cache(cache, error, [&](const Cache& opened) -> Result<bool> {
    if (pins == nullptr && count > 0) return missing("pins");
    const std::vector<std::string_view> names = TRY(words_of("keys", keys, count));
    std::vector<std::optional<larder::Pin>> found = opened.get_many(names);
    std::vector<std::unique_ptr<larder_pin>> held(count);  // all or, when memory runs out, none
    for (std::size_t i = 0; i < count; ++i) {
      if (found[i]) held[i].reset(new larder_pin{std::move(*found[i])});
    }
    for (std::size_t i = 0; i < count; ++i) pins[i] = held[i].release();
    return false;
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

int larder_get_tags(const larder_cache* cache, const void* key, size_t key_bytes, larder_words** tags,
                    larder_error* error) {
  if (tags != nullptr) *tags = nullptr;
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    if (tags == nullptr) return missing("tags");
    std::vector<std::string> words = opened.tags(name);
    if (words.empty()) return false;
    *tags = new larder_words{std::move(words)};
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

int larder_replace(larder_cache* cache, const void* key, size_t key_bytes, const void* value, size_t value_bytes,
                   const larder_set_options* options, larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    return opened.replace(name, TRY(bytes_of("value", value, value_bytes)), TRY(set_options(options)));
  });
}

int larder_compare_and_set(larder_cache* cache, const void* key, size_t key_bytes, uint64_t sequence, const void* value,
                           size_t value_bytes, const larder_set_options* options, larder_error* error) {
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    return opened.compare_and_set(name, sequence, TRY(bytes_of("value", value, value_bytes)),
                                  TRY(set_options(options)));
  });
}

int larder_set_many(larder_cache* cache, const larder_bytes* keys, const larder_bytes* values, size_t count,
                    const larder_set_options* options, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    const std::vector<std::string_view> names = TRY(words_of("keys", keys, count));
    if (values == nullptr && count > 0) return missing("values");
    std::vector<larder::KeyValue> entries;
    entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view value = TRY(bytes_of("value", values[i]));
      entries.push_back({names[i], value});
    }
    return done(opened.set_many(entries, TRY(set_options(options))));
  });
}

int larder_compare_and_del(larder_cache* cache, const void* key, size_t key_bytes, uint64_t sequence,
                           larder_error* error) {
  return with_key(cache, key, key_bytes, error,
                  [&](Cache& opened, std::string_view name) { return opened.compare_and_del(name, sequence); });
}

int larder_del_many(larder_cache* cache, const larder_bytes* keys, size_t count, uint64_t* removed,
                    larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    const std::vector<std::string_view> names = TRY(words_of("keys", keys, count));
    return removed_to(removed, opened.del_many(names));
  });
}

int larder_pop(larder_cache* cache, const void* key, size_t key_bytes, void** value, size_t* value_bytes,
               larder_info* info, larder_error* error) {
  if (value != nullptr) *value = nullptr;
  if (value_bytes != nullptr) *value_bytes = 0;
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    if (value == nullptr) return missing("value");
    larder_info checked = LARDER_INFO_INIT;  // before the entry is gone
    if (info != nullptr) TRY(write_struct("larder_info", checked, info));
    const std::optional<larder::Entry> entry = TRY(opened.pop(name));
    if (!entry) return false;
    *value = copied(entry->value);
    if (value_bytes != nullptr) *value_bytes = entry->value.size();
    if (info != nullptr) TRY(write_struct("larder_info", info_of(entry->info), info));
    return true;
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
  return with_cache(cache, error, [&](Cache& opened) { return removed_to(removed, opened.clear()); });
}

int larder_evict_tag(larder_cache* cache, const void* tag, size_t tag_bytes, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    return done(opened.evict_tag(TRY(bytes_of("tag", tag, tag_bytes))));
  });
}

int larder_evict(larder_cache* cache, const larder_filter* filter, uint64_t* removed, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    const larder::Filter which = TRY(filter_of(filter));
    if (which.any()) return Error{Code::kInvalid, "the filter names no entries; larder_clear removes all"};
    return removed_to(removed, opened.evict(which));
  });
}

int larder_cull(larder_cache* cache, uint64_t* removed, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) { return removed_to(removed, opened.cull()); });
}

// --- Values part by part ---

int larder_open_writer(larder_cache* cache, const void* key, size_t key_bytes, const larder_set_options* options,
                       larder_writer** writer, larder_error* error) {
  if (writer != nullptr) *writer = nullptr;
  return with_key(cache, key, key_bytes, error, [&](Cache& opened, std::string_view name) -> Result<bool> {
    if (writer == nullptr) return missing("writer");
    const larder::SetOptions wanted = TRY(set_options(options));
    larder::ValueWriter begun = TRY(opened.writer(name, wanted));
    *writer = new larder_writer{std::move(begun)};
    return false;
  });
}

int larder_writer_write(larder_writer* writer, const void* bytes, size_t size, larder_error* error) {
  return answer(error, [&]() -> Result<bool> {
    if (writer == nullptr) return missing("writer");
    return done(writer->writer.write(TRY(bytes_of("bytes", bytes, size))));
  });
}

uint64_t larder_writer_bytes(const larder_writer* writer) { return writer == nullptr ? 0 : writer->writer.bytes(); }

int larder_writer_commit(larder_writer* writer, larder_error* error) {
  return answer(error, [&]() -> Result<bool> {
    if (writer == nullptr) return missing("writer");
    return done(writer->writer.commit());
  });
}

void larder_writer_close(larder_writer* writer) { delete writer; }

int larder_open_reader(const larder_cache* cache, const void* key, size_t key_bytes, larder_reader** reader,
                       larder_error* error) {
  if (reader != nullptr) *reader = nullptr;
  return with_key(cache, key, key_bytes, error, [&](const Cache& opened, std::string_view name) -> Result<bool> {
    if (reader == nullptr) return missing("reader");
    std::optional<larder::ValueReader> found = opened.reader(name);
    if (!found) return false;
    *reader = new larder_reader{std::move(*found)};
    return true;
  });
}

int larder_reader_info(const larder_reader* reader, larder_info* info, larder_error* error) {
  return answer(error, [&]() -> Result<bool> {
    if (reader == nullptr) return missing("reader");
    return done(write_struct("larder_info", info_of(reader->reader.info()), info));
  });
}

uint64_t larder_reader_bytes(const larder_reader* reader) {
  return reader == nullptr ? 0 : reader->reader.info().value_bytes;
}

int larder_reader_read(larder_reader* reader, void* buffer, size_t buffer_bytes, size_t* got, larder_error* error) {
  if (got != nullptr) *got = 0;
  return answer(error, [&]() -> Result<bool> {
    if (reader == nullptr) return missing("reader");
    if (buffer == nullptr) return missing("buffer");
    if (got == nullptr) return missing("got");
    if (buffer_bytes == 0) return Error{Code::kInvalid, "buffer_bytes is 0, there must be room for a byte"};
    *got = TRY(reader->reader.read({static_cast<char*>(buffer), buffer_bytes}));
    return *got > 0;
  });
}

void larder_reader_seek(larder_reader* reader, uint64_t at) {
  if (reader != nullptr) reader->reader.seek(at);
}

void larder_reader_close(larder_reader* reader) { delete reader; }

// --- The whole cache ---

int larder_list(const larder_cache* cache, uint64_t after, size_t limit, const larder_filter* filter,
                larder_items** items, larder_error* error) {
  return items_to(cache, filter, items, error,
                  [&](const Cache& opened, const larder::Filter& which) { return opened.list(after, limit, which); });
}

int larder_list_back(const larder_cache* cache, uint64_t before, size_t limit, const larder_filter* filter,
                     larder_items** items, larder_error* error) {
  return items_to(cache, filter, items, error, [&](const Cache& opened, const larder::Filter& which) {
    return opened.list_back(before, limit, which);
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

const larder_words* larder_items_tags(const larder_items* items, size_t index) {
  return items != nullptr && index < items->tags.size() ? &items->tags[index] : nullptr;
}

void larder_items_free(larder_items* items) { delete items; }

int larder_get_stats(const larder_cache* cache, larder_stats* stats, larder_error* error) {
  return with_cache(cache, error, [&](const Cache& opened) {
    return done(write_struct("larder_stats", stats_of(opened.stats()), stats));
  });
}

int larder_get_shard_stats(const larder_cache* cache, size_t index, larder_stats* stats, larder_error* error) {
  return with_cache(cache, error, [&](const Cache& opened) -> Result<bool> {
    const std::vector<larder::Stats> all = opened.shard_stats();
    if (index >= all.size())
      return Error{Code::kInvalid, "there is no shard " + std::to_string(index) + " of " + std::to_string(all.size())};
    return done(write_struct("larder_stats", stats_of(all[index]), stats));
  });
}

int larder_get_tag_stats(const larder_cache* cache, larder_tag_stats** stats, larder_error* error) {
  if (stats != nullptr) *stats = nullptr;
  return with_cache(cache, error, [&](const Cache& opened) -> Result<bool> {
    if (stats == nullptr) return missing("stats");
    *stats = new larder_tag_stats{opened.tag_stats()};
    return false;
  });
}

size_t larder_tag_stats_count(const larder_tag_stats* stats) { return stats == nullptr ? 0 : stats->tags.size(); }

const void* larder_tag_stats_tag(const larder_tag_stats* stats, size_t index, size_t* tag_bytes) {
  const bool there = index < larder_tag_stats_count(stats);
  if (tag_bytes != nullptr) *tag_bytes = there ? stats->tags[index].tag.size() : 0;
  return there ? stats->tags[index].tag.data() : nullptr;
}

uint64_t larder_tag_stats_entries(const larder_tag_stats* stats, size_t index) {
  return index < larder_tag_stats_count(stats) ? stats->tags[index].entries : 0;
}

uint64_t larder_tag_stats_bytes(const larder_tag_stats* stats, size_t index) {
  return index < larder_tag_stats_count(stats) ? stats->tags[index].bytes : 0;
}

void larder_tag_stats_free(larder_tag_stats* stats) { delete stats; }

int larder_check(larder_cache* cache, int repair, larder_report** report, larder_error* error) {
  if (report != nullptr) *report = nullptr;
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    if (report == nullptr) return missing("report");
    larder::CheckReport found = TRY(opened.check(repair != 0));
    *report = new larder_report{std::move(found)};
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

// --- Transactions ---

int larder_transact(larder_cache* cache, larder_work work, void* context, int64_t deadline_ms, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    if (work == nullptr) return missing("work");
    return done(opened.transact(work_of(work, context), deadline_ms));
  });
}

int larder_transaction_nested(larder_transaction* transaction, larder_work work, void* context, larder_error* error) {
  return in_transaction(transaction, nullptr, 0, error,
                        [&](larder::Transaction& running, std::string_view) -> Result<bool> {
                          if (work == nullptr) return missing("work");
                          return done(running.transact(work_of(work, context)));
                        });
}

int larder_transaction_get(larder_transaction* transaction, const void* key, size_t key_bytes, void** value,
                           size_t* value_bytes, larder_error* error) {
  if (value != nullptr) *value = nullptr;
  if (value_bytes != nullptr) *value_bytes = 0;
  return in_transaction(transaction, key, key_bytes, error,
                        [&](larder::Transaction& running, std::string_view name) -> Result<bool> {
                          if (value == nullptr) return missing("value");
                          const std::optional<std::string> found = TRY(running.get(name));
                          if (!found) return false;
                          *value = copied(*found);
                          if (value_bytes != nullptr) *value_bytes = found->size();
                          return true;
                        });
}

int larder_transaction_contains(larder_transaction* transaction, const void* key, size_t key_bytes,
                                larder_error* error) {
  return in_transaction(transaction, key, key_bytes, error,
                        [](larder::Transaction& running, std::string_view name) { return running.contains(name); });
}

int larder_transaction_set(larder_transaction* transaction, const void* key, size_t key_bytes, const void* value,
                           size_t value_bytes, const larder_set_options* options, larder_error* error) {
  return in_transaction(transaction, key, key_bytes, error,
                        [&](larder::Transaction& running, std::string_view name) -> Result<bool> {
                          const std::string_view bytes = TRY(bytes_of("value", value, value_bytes));
                          return done(running.set(name, bytes, TRY(set_options(options))));
                        });
}

int larder_transaction_add(larder_transaction* transaction, const void* key, size_t key_bytes, const void* value,
                           size_t value_bytes, const larder_set_options* options, larder_error* error) {
  return in_transaction(transaction, key, key_bytes, error,
                        [&](larder::Transaction& running, std::string_view name) -> Result<bool> {
                          const std::string_view bytes = TRY(bytes_of("value", value, value_bytes));
                          return running.add(name, bytes, TRY(set_options(options)));
                        });
}

int larder_transaction_del(larder_transaction* transaction, const void* key, size_t key_bytes, larder_error* error) {
  return in_transaction(transaction, key, key_bytes, error,
                        [](larder::Transaction& running, std::string_view name) { return running.del(name); });
}

int larder_transaction_incr(larder_transaction* transaction, const void* key, size_t key_bytes, int64_t delta,
                            int64_t* sum, larder_error* error) {
  return in_transaction(transaction, key, key_bytes, error,
                        [&](larder::Transaction& running, std::string_view name) -> Result<bool> {
                          const std::int64_t now = TRY(running.incr(name, delta));
                          if (sum != nullptr) *sum = now;
                          return false;
                        });
}

// --- Changes ---

int larder_get_changes(const larder_cache* cache, uint64_t after, size_t limit, larder_changes** changes,
                       larder_error* error) {
  if (changes != nullptr) *changes = nullptr;
  return with_cache(cache, error, [&](const Cache& opened) -> Result<bool> {
    if (changes == nullptr) return missing("changes");
    larder::Changes found = TRY(opened.changes(after, limit));
    *changes = new larder_changes{std::move(found)};
    return false;
  });
}

int larder_wait_changes(const larder_cache* cache, uint64_t after, int64_t timeout_ms, larder_error* error) {
  return with_cache(cache, error,
                    [&](const Cache& opened) -> Result<bool> { return opened.wait_changes(after, timeout_ms); });
}

uint64_t larder_changes_next(const larder_changes* changes) { return changes == nullptr ? 0 : changes->changes.next; }

int larder_changes_lost(const larder_changes* changes) { return changes != nullptr && changes->changes.lost ? 1 : 0; }

size_t larder_changes_count(const larder_changes* changes) {
  return changes == nullptr ? 0 : changes->changes.events.size();
}

const void* larder_changes_key(const larder_changes* changes, size_t index, size_t* key_bytes) {
  const bool there = index < larder_changes_count(changes);
  if (key_bytes != nullptr) *key_bytes = there ? changes->changes.events[index].key.size() : 0;
  return there ? changes->changes.events[index].key.data() : nullptr;
}

int larder_changes_kind(const larder_changes* changes, size_t index) {
  return index < larder_changes_count(changes) ? static_cast<int>(changes->changes.events[index].kind) : 0;
}

uint64_t larder_changes_sequence(const larder_changes* changes, size_t index) {
  return index < larder_changes_count(changes) ? changes->changes.events[index].sequence : 0;
}

void larder_changes_free(larder_changes* changes) { delete changes; }

// --- Copies ---

int larder_backup(larder_cache* cache, const char* to, larder_progress progress, void* context, larder_error* error) {
  return with_cache(cache, error, [&](Cache& opened) -> Result<bool> {
    if (to == nullptr) return missing("to");
    return done(opened.backup(to, progress_of(progress, context)));
  });
}

int larder_restore(const char* from, const char* to, larder_progress progress, void* context, larder_report** report,
                   larder_error* error) {
  if (report != nullptr) *report = nullptr;
  return answer(error, [&]() -> Result<bool> {
    if (from == nullptr) return missing("from");
    if (to == nullptr) return missing("to");
    larder::CheckReport found = TRY(Cache::restore(from, to, progress_of(progress, context)));
    if (report != nullptr) *report = new larder_report{std::move(found)};
    return false;
  });
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
