// What the admin page reads and does: sources, numbers, entries. All of it may touch disks and runs on chores.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/nearest.h"
#include "server/http_call.h"
#include "wire/http.h"

namespace larder::server {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kEntriesDefault = 100;
constexpr std::uint64_t kEntriesMax = 1000;
constexpr std::size_t kScannedMax = 100'000;  // entries looked at for one list, however few have the prefix

// Bytes that are no UTF-8 become U+FFFD: names of files and columns come from strangers.
std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

bool is_utf8(std::string_view text) { return wire::json_string(text).find("\xEF\xBF\xBD") == std::string::npos; }

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

struct ListAsk {
  std::uint64_t after = 0;
  std::uint64_t limit = kEntriesDefault;
  std::string prefix;
};

Result<ListAsk> list_ask(std::string_view target) {
  constexpr std::string_view kNames[] = {"after", "limit", "prefix"};
  Result<wire::Target> parts = wire::parse_target(target);
  if (!parts.ok()) return parts.error();
  ListAsk ask;
  for (const auto& [name, value] : parts->query) {
    const auto read = [&, &text = value](std::uint64_t& number) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      return !text.empty() && error == std::errc() && end == text.data() + text.size();
    };
    if (name == "after") {
      if (!read(ask.after)) return Error{Code::kInvalid, "after: a sequence number is needed, as in \"next\""};
    } else if (name == "limit") {
      if (!read(ask.limit) || ask.limit < 1 || ask.limit > kEntriesMax)
        return Error{Code::kInvalid, "limit: a whole number from 1 to " + std::to_string(kEntriesMax) + " is needed"};
    } else if (name == "prefix") {
      ask.prefix = value;
    } else {
      return Error{Code::kInvalid,
                   "unknown parameter '" + name + "'" + did_you_mean(name, kNames) + "; known: after, limit, prefix"};
    }
  }
  return ask;
}

Json entry_of(const Item& item, const std::optional<Pin>& pin) {
  Json entry;
  entry["key"] = item.key;
  if (!is_utf8(item.key)) entry["key_base64"] = base64(item.key);
  entry["sequence"] = item.info.sequence;
  entry["kind"] = "value";
  entry["bytes"] = item.info.value_bytes;
  entry["stored_ms"] = item.info.stored_ms;
  entry["expires_ms"] = item.info.expires_ms == 0 ? Json(nullptr) : Json(item.info.expires_ms);
  const std::optional<query::EntryMeta> meta = pin ? query::describe(item.key, pin->bytes()) : std::nullopt;
  if (meta) {
    entry["kind"] = "query";
    entry["sql"] = meta->sql;
    entry["source"] = meta->source;
    entry["reads"] = meta->reads;
    entry["rows"] = meta->rows;
    entry["cost_ms"] = meta->cost_ms;
    entry["created_ms"] = meta->created_ms;
    entry["version"] = meta->version;
  }
  return entry;
}

}  // namespace

void HttpFront::list_sources(const CallPtr& call) {
  submit(parts_.chores, call, [this, call] {
    Json list = Json::array();
    for (const sources::Description& source : parts_.describe_sources()) {
      Json columns = Json::array();
      for (const auto& column : source.columns) columns.push_back({{"name", column.name}, {"type", column.type}});
      Json item = {{"name", source.name},          {"kind", source.kind},   {"format", source.format},
                   {"files", source.files},        {"bytes", source.bytes}, {"version", source.version},
                   {"columns", std::move(columns)}};
      if (!source.error.empty()) item["error"] = source.error;
      list.push_back(std::move(item));
    }
    give_json(call, text_of({{"sources", std::move(list)}}));
  });
}

void HttpFront::stats(const CallPtr& call) {
  submit(parts_.chores, call, [this, call] {
    const Stats store = parts_.cache.stats();
    const query::QueryStats queries = parts_.queries.stats();
    Json history = Json::array();
    for (const HistoryPoint& point : parts_.history.points())
      history.push_back({{"t", point.t_ms},
                         {"hits", point.hits},
                         {"misses", point.misses},
                         {"entries", point.entries},
                         {"disk_bytes", point.disk_bytes},
                         {"saved_ms", point.saved_ms}});
    const Json all = {
        {"store",
         {{"path", parts_.cache.directory().string()},
          {"entries", store.entries},
          {"value_bytes", store.value_bytes},
          {"disk_bytes", store.disk_bytes},
          {"size_limit_bytes", store.size_limit_bytes},
          {"hits", store.hits},
          {"misses", store.misses},
          {"sets", store.sets},
          {"deletes", store.deletes},
          {"evictions", store.evictions},
          {"expirations", store.expirations},
          {"repairs", store.repairs},
          {"shards", store.shards},
          {"processes", store.processes}}},
        {"query",
         {{"hits", queries.hits},
          {"misses", queries.misses},
          {"shared", queries.shared},
          {"errors", queries.errors},
          {"running", queries.running},
          {"waiting", queries.waiting},
          {"saved_ms", queries.saved_ms}}},
        {"server",
         {{"version", LARDER_VERSION},
          {"started_ms", started_ms_},
          {"requests", requests_.load()},
          {"uptime_ms", static_cast<std::int64_t>(ms_since(started_ns_))}}},
        {"history", std::move(history)},
    };
    give_json(call, text_of(all));
  });
}

void HttpFront::list_entries(const CallPtr& call) {
  const Result<ListAsk> ask = list_ask(call->exchange->target());
  if (!ask.ok()) return fail(call, ask.error());
  submit(parts_.chores, call, [this, call, ask = *ask] {
    Json entries = Json::array();
    Json next = nullptr;
    std::uint64_t after = ask.after;
    // Each step reads the whole store's log, so it takes all it can need.
    const std::size_t step = ask.prefix.empty() ? ask.limit + 1 : kScannedMax / 10;
    for (std::size_t scanned = 0; next.is_null();) {
      const std::vector<Item> items = parts_.cache.list(after, step);
      if (items.empty()) break;
      for (const Item& item : items) {
        if (entries.size() == ask.limit) {  // there is one more at least
          next = after;
          break;
        }
        after = item.info.place;
        if (item.key.starts_with(ask.prefix)) entries.push_back(entry_of(item, parts_.cache.peek(item.key)));
      }
      scanned += items.size();
      if (scanned >= kScannedMax && next.is_null()) next = after;
      if (call->exchange->cancel().cancelled()) break;
    }
    give_json(call, text_of({{"entries", std::move(entries)}, {"next", std::move(next)}}));
  });
}

void HttpFront::evict_entry(const CallPtr& call) {
  const std::optional<std::string> key = wire::percent_decode(call->segment);
  if (!key) return fail(call, Error{Code::kInvalid, "the key in the path has a % without two hex digits"});
  submit(parts_.chores, call, [this, call, key = *key] {
    const Result<bool> gone = parts_.cache.del(key);
    if (!gone.ok()) return fail(call, gone.error());
    give_json(call, text_of({{"evicted", *gone ? 1 : 0}}));
  });
}

void HttpFront::evict_all(const CallPtr& call) {
  submit(parts_.chores, call, [this, call] {
    const Result<std::uint64_t> gone = parts_.cache.clear();
    if (!gone.ok()) return fail(call, gone.error());
    parts_.log.event(LogLevel::kInfo, "evicted all", {{"id", call->id}, {"entries", std::to_string(*gone)}});
    give_json(call, text_of({{"evicted", *gone}}));
  });
}

}  // namespace larder::server
