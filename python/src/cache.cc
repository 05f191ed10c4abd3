// larder._larder.Cache, .View and .Transaction over larder/cache.h.
//
// Reads hold the interpreter's lock: they take no lock of their own and less than a microsecond. Everything that may
// wait, for a writer, a disk or room, lets go of it.
#include "cache.h"

#include <larder/cache.h>
#include <larder/transaction.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "values.h"

namespace larder::python {

namespace {

// --- Errors ----------------------------------------------------------------------------------------------------------

PyObject* error_classes = nullptr;  // a dict: code -> class

constexpr std::size_t kBigBytes = 64 * 1024;  // from here on copying lets go of the interpreter's lock

// Scratch of a thread; given back smaller when a large value went through it.
std::string& scratch() {
  static thread_local std::string bytes;
  if (bytes.capacity() > kBigBytes) std::string().swap(bytes);
  return bytes;
}
std::string& key_scratch() {
  static thread_local std::string bytes;
  return bytes;
}

template <typename F>
auto unlocked(F&& work) {
  const WithoutGil without;
  return work();
}

// --- Arguments -------------------------------------------------------------------------------------------------------

// Seconds to milliseconds; None is never (0). False: a Python error is set. `dead`: the time is over already.
bool ttl_of(PyObject* expire, std::int64_t& ttl_ms, bool& dead) {
  ttl_ms = 0;
  dead = false;
  if (expire == nullptr || expire == Py_None) return true;
  const double seconds = PyFloat_AsDouble(expire);
  if (seconds == -1.0 && PyErr_Occurred()) return false;
  if (std::isnan(seconds)) {
    PyErr_SetString(PyExc_ValueError, "larder: expire is not a number of seconds");
    return false;
  }
  constexpr double kMost = 9e12;  // seconds; no clock of milliseconds in 64 bits goes on for longer
  dead = seconds <= 0;
  if (seconds < kMost) ttl_ms = std::max<std::int64_t>(1, std::llround(seconds * 1000));
  return true;
}

// Tags as given: None, a str, or an iterable of str. They point into `holder`.
bool tags_of(PyObject* tags, Ref& holder, std::vector<std::string_view>& out) {
  if (tags == nullptr || tags == Py_None) return true;
  const auto add = [&](PyObject* tag) {
    Py_ssize_t size = 0;
    const char* const utf8 = PyUnicode_Check(tag) ? PyUnicode_AsUTF8AndSize(tag, &size) : nullptr;
    if (utf8 == nullptr) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "larder: a tag is a str");
      return false;
    }
    out.emplace_back(utf8, static_cast<std::size_t>(size));
    return true;
  };
  if (PyUnicode_Check(tags)) {
    holder = Ref::to(tags);
    return add(tags);
  }
  holder = Ref(PySequence_List(tags));
  if (!holder) return false;
  for (Py_ssize_t i = 0; i < PyList_Size(holder.get()); ++i) {
    if (!add(PyList_GetItem(holder.get(), i))) return false;
  }
  return true;
}

// Named arguments of a METH_FASTCALL function, in the order of `names`; those not given are null.
template <std::size_t N>
bool arguments(const char* function, const char* const (&names)[N], std::size_t needed, PyObject* const* given,
               Py_ssize_t count, PyObject* keywords, PyObject* (&out)[N]) {
  if (static_cast<std::size_t>(count) > N) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments, not %zd", function, static_cast<int>(N), count);
    return false;
  }
  for (Py_ssize_t i = 0; i < count; ++i) out[i] = given[i];
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_Size(keywords);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* const name = PyTuple_GetItem(keywords, i);
    std::size_t at = 0;
    while (at < N && PyUnicode_CompareWithASCIIString(name, names[at]) != 0) ++at;
    if (at == N || out[at] != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got %s argument '%U'", function, at == N ? "an unknown" : "twice the", name);
      return false;
    }
    out[at] = given[count + i];
  }
  for (std::size_t i = 0; i < needed; ++i) {
    if (out[i] == nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() needs the argument '%s'", function, names[i]);
      return false;
    }
  }
  return true;
}

// --- Cache -----------------------------------------------------------------------------------------------------------

struct Object {
  PyObject ob_base;
  std::shared_ptr<Cache> cache;  // none: closed. Views and transactions share it.
};
Object* self_of(PyObject* self) { return reinterpret_cast<Object*>(self); }

// The open cache; nullptr: a Python error is set.
Cache* opened(PyObject* self) {
  Cache* const cache = self_of(self)->cache.get();
  if (cache == nullptr) PyErr_SetString(PyExc_ValueError, "larder: the cache is closed");
  return cache;
}

PyObject* none() { return Ref::to(Py_None).release(); }
PyObject* truth(bool value) { return PyBool_FromLong(value); }

PyObject* done(const Status& status) { return status.ok() ? none() : raise(status.error()); }
PyObject* done(const Result<bool>& result) { return result.ok() ? truth(*result) : raise(result.error()); }
PyObject* done(const Result<std::uint64_t>& result) {
  return result.ok() ? PyLong_FromUnsignedLongLong(*result) : raise(result.error());
}

PyObject* cache_new(PyTypeObject* type, PyObject*, PyObject*) {
  auto* const allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  PyObject* const self = allocate(type, 0);
  if (self != nullptr) new (&self_of(self)->cache) std::shared_ptr<Cache>();
  return self;
}

void cache_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  // The flusher may still be writing.
  std::shared_ptr<Cache> last = std::move(self_of(self)->cache);
  if (last) unlocked([&] { last.reset(); });
  self_of(self)->cache.~shared_ptr();
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

bool choose(const char* what, const char* given, const std::vector<const char*>& names, std::uint32_t& out) {
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    if (std::string_view(given) == names[i]) {
      out = i;
      return true;
    }
  }
  std::string all;
  for (const char* const name : names) all += all.empty() ? name : std::string(", ") + name;
  PyErr_Format(PyExc_ValueError, "larder: %s is '%s', must be one of %s", what, given, all.c_str());
  return false;
}
const std::vector<const char*> kPolicies = {"s3-fifo", "least-recently-stored", "least-recently-used",
                                            "least-frequently-used", "none"};
const std::vector<const char*> kDurabilities = {"none", "timed", "each"};

// _open(directory, size_limit, shards, durability, flush_every_ms, policy, entry_limit, create, read_only)
PyObject* cache_open(PyObject* self, PyObject* args) {
  PyObject* path = nullptr;
  unsigned long long limit = 0;
  unsigned shards = 0;
  const char* durability = nullptr;
  unsigned flush_ms = 0;
  const char* policy = nullptr;
  unsigned long long entry_limit = 0;
  int create = 1;
  int read_only = 0;
  if (!PyArg_ParseTuple(args, "O&KIsIsKpp", PyUnicode_FSConverter, &path, &limit, &shards, &durability, &flush_ms,
                        &policy, &entry_limit, &create, &read_only))
    return nullptr;
  const Ref owned(path);
  std::uint32_t durability_code = 0;
  std::uint32_t policy_code = 0;
  if (!choose("durability", durability, kDurabilities, durability_code) ||
      !choose("policy", policy, kPolicies, policy_code))
    return nullptr;
  Options options;
  options.size_limit_bytes = limit;
  options.shards = shards;
  options.durability = static_cast<Durability>(durability_code);
  if (flush_ms != 0) options.flush_every_ms = flush_ms;
  options.policy = static_cast<Policy>(policy_code);
  options.entry_limit = entry_limit;
  options.create = create != 0;
  options.read_only = read_only != 0;
  const std::filesystem::path directory(std::string(PyBytes_AsString(path)));
  Result<Cache> cache = unlocked([&] { return Cache::open(directory, options); });
  if (!cache.ok()) return raise(cache.error());
  self_of(self)->cache = std::make_shared<Cache>(std::move(cache).value());
  return none();
}

PyObject* cache_close(PyObject* self, PyObject*) {
  std::shared_ptr<Cache> last = std::move(self_of(self)->cache);
  if (last) unlocked([&] { last.reset(); });
  return none();
}

PyObject* cache_closed(PyObject* self, PyObject*) { return truth(self_of(self)->cache == nullptr); }

// --- Reads -----------------------------------------------------------------------------------------------------------

// The value, or nullptr with or without a Python error.
PyObject* read(PyObject* self, Cache& cache, std::string_view key) {
  const std::optional<Pin> pin = cache.get(key);
  return pin ? decode(pin->bytes(), pin->info().format, self) : nullptr;
}

// get(key, default=None)
PyObject* cache_get(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  static const char* const names[] = {"key", "default"};
  PyObject* all[2] = {};
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !arguments("get", names, 1, given, count, keywords, all) ||
      !key_bytes(all[0], key_scratch(), key))
    return nullptr;
  PyObject* const value = read(self, *cache, key);
  if (value != nullptr || PyErr_Occurred()) return value;
  return all[1] == nullptr ? none() : Ref::to(all[1]).release();
}

PyObject* cache_item(PyObject* self, PyObject* name) {
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !key_bytes(name, key_scratch(), key)) return nullptr;
  PyObject* const value = read(self, *cache, key);
  if (value == nullptr && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, name);
  return value;
}

int cache_contains(PyObject* self, PyObject* name) {
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !key_bytes(name, key_scratch(), key)) return -1;
  return cache->contains(key) ? 1 : 0;
}

Py_ssize_t cache_length(PyObject* self) {
  Cache* const cache = opened(self);
  return cache == nullptr ? -1 : static_cast<Py_ssize_t>(cache->stats().entries);
}

// get_many(keys) -> list of values, `default` where there is none
PyObject* cache_get_many(PyObject* self, PyObject* const* given, Py_ssize_t given_count, PyObject* keywords) {
  static const char* const words[] = {"keys", "default"};
  PyObject* all[2] = {};
  Cache* const cache = opened(self);
  if (cache == nullptr || !arguments("get_many", words, 1, given, given_count, keywords, all)) return nullptr;
  PyObject* const missing = all[1] == nullptr ? Py_None : all[1];
  const Ref listed(PySequence_List(all[0]));
  if (!listed) return nullptr;
  const auto count = static_cast<std::size_t>(PyList_Size(listed.get()));
  std::vector<std::string> scratches(count);
  std::vector<std::string_view> names(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!key_bytes(PyList_GetItem(listed.get(), static_cast<Py_ssize_t>(i)), scratches[i], names[i])) return nullptr;
  }
  Ref values(PyList_New(static_cast<Py_ssize_t>(count)));
  if (!values) return nullptr;
  constexpr std::size_t kAtOnce = 128;  // pins held side by side
  for (std::size_t from = 0; from < count; from += kAtOnce) {
    const std::size_t size = std::min(kAtOnce, count - from);
    const auto pins = cache->get_many(std::span(names).subspan(from, size));
    for (std::size_t i = 0; i < size; ++i) {
      PyObject* const value =
          pins[i] ? decode(pins[i]->bytes(), pins[i]->info().format, self) : Ref::to(missing).release();
      if (value == nullptr) return nullptr;
      PyList_SetItem(values.get(), static_cast<Py_ssize_t>(from + i), value);
    }
  }
  return values.release();
}

PyObject* info_object(const EntryInfo& info, const std::vector<std::string>& tags) {
  Ref names(PyTuple_New(static_cast<Py_ssize_t>(tags.size())));
  for (std::size_t i = 0; names && i < tags.size(); ++i)
    PyTuple_SetItem(names.get(), static_cast<Py_ssize_t>(i), text(tags[i]));
  if (!names) return nullptr;
  return Py_BuildValue("{s:K,s:d,s:N,s:K,s:K,s:i,s:N,s:O}", "sequence", static_cast<unsigned long long>(info.sequence),
                       "stored", static_cast<double>(info.stored_ms) / 1e3, "expires",
                       info.expires_ms == 0 ? none() : PyFloat_FromDouble(static_cast<double>(info.expires_ms) / 1e3),
                       "bytes", static_cast<unsigned long long>(info.value_bytes), "cost",
                       static_cast<unsigned long long>(info.cost), "format", static_cast<int>(info.format), "pinned",
                       truth(info.pinned), "tags", names.get());
}

// _info(key) -> dict, or None
PyObject* cache_info(PyObject* self, PyObject* name) {
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !key_bytes(name, key_scratch(), key)) return nullptr;
  const std::optional<Pin> pin = cache->peek(key);
  return pin ? info_object(pin->info(), pin->tags()) : none();
}

// --- Writes ----------------------------------------------------------------------------------------------------------

enum class How { kSet, kAdd, kReplace, kCompare };

PyObject* put(PyObject* self, How how, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  static const char* const names[] = {"key", "value", "expire", "tags", "cost", "pinned", "keeps_place", "sequence"};
  PyObject* all[8] = {};
  Cache* const cache = opened(self);
  if (cache == nullptr || !arguments("set", names, 2, given, count, keywords, all)) return nullptr;
  SetOptions options;
  bool dead = false;
  Ref tags;
  if (!ttl_of(all[2], options.ttl_ms, dead) || !tags_of(all[3], tags, options.tags)) return nullptr;
  if (all[4] != nullptr && all[4] != Py_None) {
    options.cost = PyLong_AsUnsignedLongLong(all[4]);
    if (PyErr_Occurred()) return nullptr;
  }
  if (all[5] != nullptr) options.pinned = PyObject_IsTrue(all[5]) == 1;
  if (all[6] != nullptr) options.keeps_place = PyObject_IsTrue(all[6]) == 1;
  const unsigned long long sequence = all[7] == nullptr ? 0 : PyLong_AsUnsignedLongLong(all[7]);
  if (PyErr_Occurred()) return nullptr;
  // Hooks may use this thread's scratch: what the call needs is its own where they may run.
  Encoded encoded;
  std::string& bytes = scratch();
  if (!encode(all[1], self, bytes, encoded)) return nullptr;
  options.format = encoded.format;
  std::string_view key;
  if (!key_bytes(all[0], key_scratch(), key)) return nullptr;
  // Stored and dead at once is what it would be: what was there is gone.
  if (dead && how == How::kSet) {
    const Result<bool> gone = unlocked([&] { return cache->del(key); });
    return gone.ok() ? truth(true) : raise(gone.error());
  }
  if (dead) options.ttl_ms = 1;
  if (how == How::kSet) {
    const Status set = unlocked([&] { return cache->set(key, encoded.bytes, options); });
    return set.ok() ? truth(true) : raise(set.error());
  }
  return done(unlocked([&] {
    return how == How::kAdd       ? cache->add(key, encoded.bytes, options)
           : how == How::kReplace ? cache->replace(key, encoded.bytes, options)
                                  : cache->compare_and_set(key, sequence, encoded.bytes, options);
  }));
}
PyObject* cache_set(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  return put(self, How::kSet, given, count, keywords);
}
PyObject* cache_add(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  return put(self, How::kAdd, given, count, keywords);
}
PyObject* cache_replace(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  return put(self, How::kReplace, given, count, keywords);
}
PyObject* cache_compare_and_set(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  return put(self, How::kCompare, given, count, keywords);
}

PyObject* cache_delete(PyObject* self, PyObject* name) {
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !key_bytes(name, key_scratch(), key)) return nullptr;
  return done(unlocked([&] { return cache->del(key); }));
}

int cache_set_item(PyObject* self, PyObject* key, PyObject* value) {
  if (value != nullptr) {
    PyObject* const both[] = {key, value};
    const Ref set(cache_set(self, both, 2, nullptr));
    return set ? 0 : -1;
  }
  const Ref gone(cache_delete(self, key));
  if (!gone) return -1;
  if (gone.get() == Py_True) return 0;
  PyErr_SetObject(PyExc_KeyError, key);
  return -1;
}

// pop(key, default=None)
PyObject* cache_pop(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
  static const char* const words[] = {"key", "default"};
  PyObject* all[2] = {};
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !arguments("pop", words, 1, given, count, keywords, all) ||
      !key_bytes(all[0], key_scratch(), key))
    return nullptr;
  PyObject* const missing = all[1] == nullptr ? Py_None : all[1];
  const Result<std::optional<Entry>> entry = unlocked([&] { return cache->pop(key); });
  if (!entry.ok()) return raise(entry.error());
  return *entry ? decode((*entry)->value, (*entry)->info.format, self) : Ref::to(missing).release();
}

// _set_many(keys, values, expire, tags)
PyObject* cache_set_many(PyObject* self, PyObject* args) {
  PyObject* keys = nullptr;
  PyObject* values = nullptr;
  PyObject* expire = Py_None;
  PyObject* tags = Py_None;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "O!O!OO", &PyList_Type, &keys, &PyList_Type, &values, &expire, &tags))
    return nullptr;
  bool dead = false;
  SetOptions options;
  Ref holder;
  if (!ttl_of(expire, options.ttl_ms, dead) || !tags_of(tags, holder, options.tags)) return nullptr;
  const Py_ssize_t count = PyList_Size(keys);
  // One batch for each format that occurs, since a batch has one.
  constexpr int kFormats = 16;
  std::vector<KeyValue> batches[kFormats];
  std::vector<std::string> names(static_cast<std::size_t>(count));
  std::vector<std::string> bytes(static_cast<std::size_t>(count));
  std::vector<Ref> owners;
  for (Py_ssize_t i = 0; i < count; ++i) {
    Encoded encoded;
    std::string_view key;
    const auto at = static_cast<std::size_t>(i);
    PyObject* const value = PyList_GetItem(values, i);
    if (value == nullptr || !encode(value, self, bytes[at], encoded) ||
        !key_bytes(PyList_GetItem(keys, i), names[at], key))
      return nullptr;
    batches[encoded.format % kFormats].push_back({key, encoded.bytes});
    if (encoded.owner) owners.push_back(std::move(encoded.owner));
  }
  for (std::uint8_t format = 0; format < kFormats; ++format) {
    if (batches[format].empty()) continue;
    options.format = format;
    const Status set = unlocked([&] { return cache->set_many(batches[format], options); });
    if (!set.ok()) return raise(set.error());
  }
  return none();
}

PyObject* cache_delete_many(PyObject* self, PyObject* keys) {
  Cache* const cache = opened(self);
  const Ref listed(PySequence_List(keys));
  if (cache == nullptr || !listed) return nullptr;
  const auto count = static_cast<std::size_t>(PyList_Size(listed.get()));
  std::vector<std::string> scratches(count);
  std::vector<std::string_view> names(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!key_bytes(PyList_GetItem(listed.get(), static_cast<Py_ssize_t>(i)), scratches[i], names[i])) return nullptr;
  }
  return done(unlocked([&] { return cache->del_many(names); }));
}

// touch(key, expire=None)
PyObject* cache_touch(PyObject* self, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"key", "expire", nullptr};
  PyObject* name = nullptr;
  PyObject* expire = Py_None;
  Cache* const cache = opened(self);
  if (cache == nullptr ||
      !PyArg_ParseTupleAndKeywords(args, keywords, "O|O", const_cast<char**>(names), &name, &expire))
    return nullptr;
  std::int64_t ttl_ms = 0;
  bool dead = false;
  std::string_view key;
  if (!ttl_of(expire, ttl_ms, dead) || !key_bytes(name, key_scratch(), key)) return nullptr;
  return done(unlocked([&] { return dead ? cache->del(key) : cache->touch(key, ttl_ms); }));
}

// _incr(key, delta, only_integers=False) -> the sum, in 64 bits; from 0. With only_integers None, and nothing changed,
// where there is none or something else.
PyObject* cache_incr(PyObject* self, PyObject* args) {
  PyObject* name = nullptr;
  long long delta = 1;
  int only_integers = 0;
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !PyArg_ParseTuple(args, "OL|p", &name, &delta, &only_integers) ||
      !key_bytes(name, key_scratch(), key))
    return nullptr;
  if (only_integers != 0) {
    const std::optional<EntryInfo> info = cache->info(key);
    if (!info || info->format != kInteger) return none();
  }
  const Result<std::int64_t> sum = unlocked([&] { return cache->incr(key, delta, {.format = kInteger}); });
  return sum.ok() ? PyLong_FromLongLong(*sum) : raise(sum.error());
}

// --- Many ------------------------------------------------------------------------------------------------------------

// _list(place, backwards, limit, prefix, pattern, tag, values) -> (place to go on at, [(key, info) or (key, value)])
PyObject* cache_list(PyObject* self, PyObject* args) {
  unsigned long long place = 0;
  int backwards = 0;
  unsigned limit = 0;
  Filter filter;
  const char* prefix = nullptr;
  const char* pattern = nullptr;
  const char* tag = nullptr;
  Py_ssize_t sizes[3] = {};
  const char* what = nullptr;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "KpIs#s#s#s", &place, &backwards, &limit, &prefix, &sizes[0],
                                            &pattern, &sizes[1], &tag, &sizes[2], &what))
    return nullptr;
  filter.prefix.assign(prefix, static_cast<std::size_t>(sizes[0]));
  filter.pattern.assign(pattern, static_cast<std::size_t>(sizes[1]));
  filter.tag.assign(tag, static_cast<std::size_t>(sizes[2]));
  const std::vector<Item> items = unlocked(
      [&] { return backwards != 0 ? cache->list_back(place, limit, filter) : cache->list(place, limit, filter); });
  Ref list(PyList_New(0));
  const std::string_view wanted = what;
  for (const Item& item : items) {
    if (!list) return nullptr;
    Ref key(key_object(item.key));
    if (!key) return nullptr;
    Ref row;
    if (wanted == "keys") {
      row = std::move(key);
    } else if (wanted == "infos") {
      row = Ref(Py_BuildValue("ON", key.get(), info_object(item.info, item.tags)));
    } else {
      const std::optional<Pin> pin = cache->peek(item.key);
      if (!pin) continue;  // gone meanwhile
      Ref value(decode(pin->bytes(), pin->info().format, self));
      if (!value) return nullptr;
      row = Ref(Py_BuildValue("OO", key.get(), value.get()));
    }
    if (!row || PyList_Append(list.get(), row.get()) != 0) return nullptr;
  }
  return Py_BuildValue("KO", static_cast<unsigned long long>(items.empty() ? 0 : items.back().info.place), list.get());
}

PyObject* cache_clear(PyObject* self, PyObject*) {
  Cache* const cache = opened(self);
  return cache == nullptr ? nullptr : done(unlocked([&] { return cache->clear(); }));
}
PyObject* cache_cull(PyObject* self, PyObject*) {
  Cache* const cache = opened(self);
  return cache == nullptr ? nullptr : done(unlocked([&] { return cache->cull(); }));
}
PyObject* cache_flush(PyObject* self, PyObject*) {
  Cache* const cache = opened(self);
  return cache == nullptr ? nullptr : done(unlocked([&] { return cache->flush(); }));
}

// evict_tag(tag): gone at once for everybody
PyObject* cache_evict_tag(PyObject* self, PyObject* args) {
  const char* tag = nullptr;
  Py_ssize_t size = 0;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "s#", &tag, &size)) return nullptr;
  return done(unlocked([&] { return cache->evict_tag({tag, static_cast<std::size_t>(size)}); }));
}

// _evict(prefix, pattern, tag) -> how many
PyObject* cache_evict(PyObject* self, PyObject* args) {
  const char* words[3] = {};
  Py_ssize_t sizes[3] = {};
  Cache* const cache = opened(self);
  if (cache == nullptr ||
      !PyArg_ParseTuple(args, "s#s#s#", &words[0], &sizes[0], &words[1], &sizes[1], &words[2], &sizes[2]))
    return nullptr;
  Filter filter;
  filter.prefix.assign(words[0], static_cast<std::size_t>(sizes[0]));
  filter.pattern.assign(words[1], static_cast<std::size_t>(sizes[1]));
  filter.tag.assign(words[2], static_cast<std::size_t>(sizes[2]));
  return done(unlocked([&] { return cache->evict(filter); }));
}

PyObject* cache_stats(PyObject* self, PyObject*) {
  Cache* const cache = opened(self);
  if (cache == nullptr) return nullptr;
  const Stats s = cache->stats();
  const auto big = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I}", "entries", big(s.entries),
                       "value_bytes", big(s.value_bytes), "disk_bytes", big(s.disk_bytes), "size_limit",
                       big(s.size_limit_bytes), "hits", big(s.hits), "misses", big(s.misses), "sets", big(s.sets),
                       "deletes", big(s.deletes), "evictions", big(s.evictions), "expirations", big(s.expirations),
                       "pinned_bytes", big(s.pinned_bytes), "blob_bytes", big(s.blob_bytes), "repairs", big(s.repairs),
                       "shards", s.shards, "processes", s.processes);
}

PyObject* cache_tag_stats(PyObject* self, PyObject*) {
  Cache* const cache = opened(self);
  if (cache == nullptr) return nullptr;
  const std::vector<TagStats> all = unlocked([&] { return cache->tag_stats(); });
  Ref made(PyDict_New());
  for (const TagStats& tag : all) {
    if (!made) return nullptr;
    const Ref name(text(tag.tag));
    const Ref counts(
        Py_BuildValue("KK", static_cast<unsigned long long>(tag.entries), static_cast<unsigned long long>(tag.bytes)));
    if (!name || !counts || PyDict_SetItem(made.get(), name.get(), counts.get()) != 0) return nullptr;
  }
  return made.release();
}

// check(repair=False) -> (findings, entries, repaired)
PyObject* cache_check(PyObject* self, PyObject* args) {
  int repair = 0;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "p", &repair)) return nullptr;
  const Result<CheckReport> report = unlocked([&] { return cache->check(repair != 0); });
  if (!report.ok()) return raise(report.error());
  Ref findings(PyList_New(0));
  for (const std::string& finding : report->findings) {
    const Ref line(text(finding));
    if (!findings || !line || PyList_Append(findings.get(), line.get()) != 0) return nullptr;
  }
  return Py_BuildValue("OKK", findings.get(), static_cast<unsigned long long>(report->entries),
                       static_cast<unsigned long long>(report->repaired));
}

// The caller's progress(done, all), which ends the work by an exception.
Progress progress_of(PyObject* called) {
  if (called == Py_None) return {};
  return [called](std::uint64_t so_far, std::uint64_t all) {
    const WithGil held;
    const Ref answer(PyObject_CallFunction(called, "KK", static_cast<unsigned long long>(so_far),
                                           static_cast<unsigned long long>(all)));
    return static_cast<bool>(answer);
  };
}

PyObject* cache_backup(PyObject* self, PyObject* args) {
  PyObject* path = nullptr;
  PyObject* progress = Py_None;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "O&O", PyUnicode_FSConverter, &path, &progress)) return nullptr;
  const Ref owned(path);
  const std::filesystem::path to(std::string(PyBytes_AsString(path)));
  const Progress told = progress_of(progress);
  const Status copied = unlocked([&] { return cache->backup(to, told); });
  if (PyErr_Occurred()) return nullptr;
  return done(copied);
}

PyObject* cache_options(PyObject* self, PyObject*) {
  Cache* const cache = opened(self);
  if (cache == nullptr) return nullptr;
  const Options now = cache->options();
  return Py_BuildValue("{s:K,s:I,s:s,s:I,s:s,s:K,s:K}", "size_limit",
                       static_cast<unsigned long long>(now.size_limit_bytes), "shards", now.shards, "durability",
                       kDurabilities[static_cast<std::size_t>(now.durability)], "flush_every_ms", now.flush_every_ms,
                       "policy", kPolicies[static_cast<std::size_t>(now.policy)], "entry_limit",
                       static_cast<unsigned long long>(now.entry_limit), "value_bytes_max",
                       static_cast<unsigned long long>(cache->value_bytes_max()));
}

// _change(size_limit, entry_limit, policy, durability, flush_every_ms), None: as it is
PyObject* cache_change(PyObject* self, PyObject* args) {
  PyObject* numbers[3] = {};
  const char* policy = nullptr;
  const char* durability = nullptr;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "OOzzO", &numbers[0], &numbers[1], &policy, &durability, &numbers[2]))
    return nullptr;
  SettingsChange change;
  std::uint32_t code = 0;
  if (numbers[0] != Py_None) change.size_limit_bytes = PyLong_AsUnsignedLongLong(numbers[0]);
  if (numbers[1] != Py_None) change.entry_limit = PyLong_AsUnsignedLongLong(numbers[1]);
  if (numbers[2] != Py_None) change.flush_every_ms = static_cast<std::uint32_t>(PyLong_AsUnsignedLong(numbers[2]));
  if (PyErr_Occurred()) return nullptr;
  if (policy != nullptr) {
    if (!choose("policy", policy, kPolicies, code)) return nullptr;
    change.policy = static_cast<Policy>(code);
  }
  if (durability != nullptr) {
    if (!choose("durability", durability, kDurabilities, code)) return nullptr;
    change.durability = static_cast<Durability>(code);
  }
  return done(unlocked([&] { return cache->change(change); }));
}

// --- Calls that are remembered ---------------------------------------------------------------------------------------

constexpr std::size_t kKeyBytesMost = 64 * 1024;

// _get_call(name, arguments, default): what get((name, *arguments), default) gives.
PyObject* cache_get_call(PyObject* self, PyObject* const* given, Py_ssize_t count) {
  Cache* const cache = opened(self);
  if (cache == nullptr) return nullptr;
  if (count != 3 || !PyTuple_Check(given[1])) {
    PyErr_SetString(PyExc_TypeError, "_get_call(name, arguments, default)");
    return nullptr;
  }
  std::string& key = key_scratch();
  if (!call_key_bytes(given[0], given[1], key)) return nullptr;
  PyObject* const value = key.size() > kKeyBytesMost ? nullptr : read(self, *cache, key);
  return value != nullptr || PyErr_Occurred() ? value : Ref::to(given[2]).release();
}

// --- Views -----------------------------------------------------------------------------------------------------------

// Exports the bytes of a pinned value, for memoryview().
struct View {
  PyObject ob_base;
  std::shared_ptr<Cache> cache;  // the pin must not outlive it
  std::optional<Pin> pin;
};
View* view_of(PyObject* self) { return reinterpret_cast<View*>(self); }
PyObject* view_type = nullptr;
bool views_have_buffers = true;  // types of the stable ABI have, since 3.9

void view_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  view_of(self)->pin.~optional();
  view_of(self)->cache.~shared_ptr();
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

int view_buffer(PyObject* self, Py_buffer* out, int flags) {
  const std::string_view bytes = view_of(self)->pin->bytes();
  return PyBuffer_FillInfo(out, self, const_cast<char*>(bytes.data()), static_cast<Py_ssize_t>(bytes.size()), 1, flags);
}

// _view(key) -> (memoryview, format), or None
PyObject* cache_view(PyObject* self, PyObject* name) {
  Cache* const cache = opened(self);
  std::string_view key;
  if (cache == nullptr || !key_bytes(name, key_scratch(), key)) return nullptr;
  std::optional<Pin> pin = cache->get(key);
  if (!pin) return none();
  const int format = pin->info().format;
  auto* const type = reinterpret_cast<PyTypeObject*>(view_type);
  const Ref made(reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc))(type, 0));
  if (!made) return nullptr;
  new (&view_of(made.get())->cache) std::shared_ptr<Cache>(self_of(self)->cache);
  new (&view_of(made.get())->pin) std::optional<Pin>(std::move(pin));
  const Ref shown(views_have_buffers ? Ref::to(made.get()).release() : bytes(view_of(made.get())->pin->bytes()));
  return shown ? Py_BuildValue("Ni", PyMemoryView_FromObject(shown.get()), format) : nullptr;
}

// --- Transactions ----------------------------------------------------------------------------------------------------

struct Step {
  PyObject ob_base;
  Transaction* transaction;  // none once its work has ended
  PyObject* cache;           // for the hooks
};
Step* step_of(PyObject* self) { return reinterpret_cast<Step*>(self); }
PyObject* transaction_type = nullptr;

Transaction* running(PyObject* self) {
  Transaction* const transaction = step_of(self)->transaction;
  if (transaction == nullptr) PyErr_SetString(PyExc_ValueError, "larder: the transaction is over");
  return transaction;
}

void step_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_XDECREF(step_of(self)->cache);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

PyObject* step_get(PyObject* self, PyObject* args) {
  PyObject* name = nullptr;
  PyObject* missing = Py_None;
  Transaction* const transaction = running(self);
  std::string_view key;
  if (transaction == nullptr || !PyArg_ParseTuple(args, "O|O", &name, &missing) || !key_bytes(name, key_scratch(), key))
    return nullptr;
  std::uint8_t format = 0;
  const Result<std::optional<std::string>> value = transaction->get(key, &format);
  if (!value.ok()) return raise(value.error());
  return *value ? decode(**value, format, step_of(self)->cache) : Ref::to(missing).release();
}

int step_contains(PyObject* self, PyObject* name) {
  Transaction* const transaction = running(self);
  std::string_view key;
  if (transaction == nullptr || !key_bytes(name, key_scratch(), key)) return -1;
  const Result<bool> there = transaction->contains(key);
  if (there.ok()) return *there ? 1 : 0;
  raise(there.error());
  return -1;
}

PyObject* step_put(PyObject* self, PyObject* args, PyObject* keywords, bool add) {
  static const char* names[] = {"key", "value", "expire", "tags", nullptr};
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  PyObject* expire = Py_None;
  PyObject* tags = Py_None;
  Transaction* const transaction = running(self);
  if (transaction == nullptr ||
      !PyArg_ParseTupleAndKeywords(args, keywords, "OO|OO", const_cast<char**>(names), &name, &value, &expire, &tags))
    return nullptr;
  SetOptions options;
  bool dead = false;
  Ref holder;
  Encoded encoded;
  std::string_view key;
  if (!ttl_of(expire, options.ttl_ms, dead) || !tags_of(tags, holder, options.tags) ||
      !encode(value, step_of(self)->cache, scratch(), encoded) || !key_bytes(name, key_scratch(), key))
    return nullptr;
  options.format = encoded.format;
  if (dead) options.ttl_ms = 1;
  return add ? done(transaction->add(key, encoded.bytes, options))
             : done(transaction->set(key, encoded.bytes, options));
}
PyObject* step_set(PyObject* self, PyObject* args, PyObject* keywords) { return step_put(self, args, keywords, false); }
PyObject* step_add(PyObject* self, PyObject* args, PyObject* keywords) { return step_put(self, args, keywords, true); }

PyObject* step_delete(PyObject* self, PyObject* name) {
  Transaction* const transaction = running(self);
  std::string_view key;
  if (transaction == nullptr || !key_bytes(name, key_scratch(), key)) return nullptr;
  return done(transaction->del(key));
}

// _transact(work, deadline_ms): work(transaction) may run several times; what it raises takes everything back.
PyObject* cache_transact(PyObject* self, PyObject* args) {
  PyObject* work = nullptr;
  long long deadline_ms = 0;
  Cache* const cache = opened(self);
  if (cache == nullptr || !PyArg_ParseTuple(args, "OL", &work, &deadline_ms)) return nullptr;
  PyObject* raised[3] = {};
  Ref result;
  const Status status = unlocked([&] {
    return cache->transact(
        [&](Transaction& transaction) -> Status {
          const WithGil held;
          for (PyObject*& part : raised) Py_CLEAR(part);
          auto* const type = reinterpret_cast<PyTypeObject*>(transaction_type);
          const Ref step(reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc))(type, 0));
          if (step) {
            step_of(step.get())->transaction = &transaction;
            step_of(step.get())->cache = Ref::to(self).release();
            result = Ref(PyObject_CallFunctionObjArgs(work, step.get(), nullptr));
            step_of(step.get())->transaction = nullptr;
          }
          const bool fine = step && result;
          if (!fine) PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
          // Read again rather than told, when what it had read is not of one moment any more.
          return fine ? Status{} : Status{Error{Code::kUnavailable, "the work raised an exception"}};
        },
        deadline_ms);
  });
  const Ref kept[3] = {Ref(raised[0]), Ref(raised[1]), Ref(raised[2])};
  if (status.ok()) return result.release();
  if (raised[0] == nullptr) return raise(status.error());
  PyErr_Restore(Ref::to(raised[0]).release(), Ref::to(raised[1]).release(), Ref::to(raised[2]).release());
  return nullptr;
}

// --- The types -------------------------------------------------------------------------------------------------------

template <typename F>
PyCFunction as_function(F function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}
constexpr int kFast = METH_FASTCALL | METH_KEYWORDS;

PyMethodDef cache_methods[] = {
    {"_open", cache_open, METH_VARARGS, nullptr},
    {"close", cache_close, METH_NOARGS, "Closes it; calls after this raise ValueError. Views go on."},
    {"_closed", cache_closed, METH_NOARGS, nullptr},
    {"get", as_function(cache_get), kFast, "get(key, default=None) -> the value, or default"},
    {"get_many", as_function(cache_get_many), kFast, "get_many(keys, default=None) -> list of values"},
    {"_info", cache_info, METH_O, nullptr},
    {"_view", cache_view, METH_O, nullptr},
    {"_get_call", as_function(cache_get_call), METH_FASTCALL, nullptr},
    {"set", as_function(cache_set), kFast,
     "set(key, value, expire=None, tags=None, cost=None, pinned=False, keeps_place=False) -> True"},
    {"add", as_function(cache_add), kFast, "add(key, value, ...): sets only when absent -> whether it did"},
    {"replace", as_function(cache_replace), kFast,
     "replace(key, value, ...): sets only when present -> whether it did"},
    {"_compare_and_set", as_function(cache_compare_and_set), kFast, nullptr},
    {"_set_many", cache_set_many, METH_VARARGS, nullptr},
    {"delete", cache_delete, METH_O, "delete(key) -> whether it was there"},
    {"delete_many", cache_delete_many, METH_O, "delete_many(keys) -> how many were there"},
    {"pop", as_function(cache_pop), kFast, "pop(key, default=None): takes it out; of all who do, one gets it"},
    {"touch", as_function(cache_touch), METH_VARARGS | METH_KEYWORDS,
     "touch(key, expire=None): a new time to live -> whether it was there"},
    {"_incr", cache_incr, METH_VARARGS, nullptr},
    {"_list", cache_list, METH_VARARGS, nullptr},
    {"clear", cache_clear, METH_NOARGS, "clear() -> how many entries there were"},
    {"cull", cache_cull, METH_NOARGS, "cull(): removes what has expired and what is over the limits -> how many"},
    {"flush", cache_flush, METH_NOARGS, "flush(): returns when everything written so far is on the disk"},
    {"_evict_tag", cache_evict_tag, METH_VARARGS, nullptr},
    {"_evict", cache_evict, METH_VARARGS, nullptr},
    {"_stats", cache_stats, METH_NOARGS, nullptr},
    {"_tag_stats", cache_tag_stats, METH_NOARGS, nullptr},
    {"_check", cache_check, METH_VARARGS, nullptr},
    {"_backup", cache_backup, METH_VARARGS, nullptr},
    {"_options", cache_options, METH_NOARGS, nullptr},
    {"_change", cache_change, METH_VARARGS, nullptr},
    {"_transact", cache_transact, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMethodDef step_methods[] = {
    {"get", step_get, METH_VARARGS, "get(key, default=None)"},
    {"set", as_function(step_set), METH_VARARGS | METH_KEYWORDS, "set(key, value, expire=None, tags=None)"},
    {"add", as_function(step_add), METH_VARARGS | METH_KEYWORDS, "add(key, value, expire=None, tags=None) -> bool"},
    {"delete", step_delete, METH_O, "delete(key) -> whether it was there"},
    {nullptr, nullptr, 0, nullptr},
};

template <typename F>
void* slot(F function) {
  return reinterpret_cast<void*>(function);
}

PyType_Slot cache_slots[] = {
    {Py_tp_new, slot(cache_new)},
    {Py_tp_dealloc, slot(cache_dealloc)},
    {Py_tp_methods, cache_methods},
    {Py_mp_subscript, slot(cache_item)},
    {Py_mp_ass_subscript, slot(cache_set_item)},
    {Py_mp_length, slot(cache_length)},
    {Py_sq_contains, slot(cache_contains)},
    {Py_tp_doc, const_cast<char*>("The quick half of larder.Cache.")},
    {0, nullptr},
};
PyType_Slot step_slots[] = {
    {Py_tp_dealloc, slot(step_dealloc)},
    {Py_tp_methods, step_methods},
    {Py_sq_contains, slot(step_contains)},
    {Py_tp_doc, const_cast<char*>("What happens in Cache.transact(): all of it or nothing.")},
    {0, nullptr},
};
PyType_Slot view_slots[] = {{Py_tp_dealloc, slot(view_dealloc)}, {Py_bf_getbuffer, slot(view_buffer)}, {0, nullptr}};
PyType_Slot view_slots_before_39[] = {{Py_tp_dealloc, slot(view_dealloc)}, {0, nullptr}};

PyType_Spec cache_spec = {"larder._larder.Cache", sizeof(Object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                          cache_slots};
PyType_Spec step_spec = {"larder._larder.Transaction", sizeof(Step), 0, Py_TPFLAGS_DEFAULT, step_slots};
PyType_Spec view_spec = {"larder._larder.View", sizeof(View), 0, Py_TPFLAGS_DEFAULT, view_slots};

bool add(PyObject* module, const char* name, PyObject* object) {
  return object != nullptr && PyModule_AddObject(module, name, Ref::to(object).release()) == 0;
}

}  // namespace

PyObject* raise(const Error& error) {
  const int code = static_cast<int>(error.code);
  const Ref number(PyLong_FromLong(code));
  PyObject* kind = error_classes == nullptr || !number ? nullptr : PyDict_GetItem(error_classes, number.get());
  if (kind == nullptr) kind = PyExc_RuntimeError;
  const Ref message(text(error.message));
  if (message) PyErr_SetObject(kind, message.get());
  return nullptr;
}

PyObject* set_errors(PyObject* classes) {
  error_classes = Ref::to(classes).release();
  return none();
}

bool add_types(PyObject* module) {
  const std::string_view version = Py_GetVersion();
  views_have_buffers = version.substr(0, 4) != "3.8.";
  if (!views_have_buffers) view_spec.slots = view_slots_before_39;
  view_type = PyType_FromSpec(&view_spec);
  transaction_type = PyType_FromSpec(&step_spec);
  const Ref cache_type(PyType_FromSpec(&cache_spec));
  return view_type != nullptr && add(module, "Cache", cache_type.get()) && add(module, "Transaction", transaction_type);
}

}  // namespace larder::python
