// Entries in the order in which they were stored, a page of the cache at a time, so that a cache of millions costs no
// more memory than its table on the screen; JSON lines go out as they are found.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"
#include "query/query_cache.h"

namespace larder::cli {
namespace {

constexpr std::size_t kPage = 1000;

struct Words {
  std::string store;
  Filter filter;
  bool reverse = false;
  std::size_t limit = 1000;
  bool json = false;
};

struct Entry {
  Item item;
  std::optional<query::EntryMeta> meta;  // of an answer of the query cache
};

Json json_of(const Entry& entry) {
  Json line;
  put_key(line, entry.item.key);
  line["sequence"] = entry.item.info.sequence;
  line["kind"] = entry.meta ? "query" : "value";
  line["bytes"] = entry.item.info.value_bytes;
  line["stored_ms"] = entry.item.info.stored_ms;
  line["expires_ms"] = entry.item.info.expires_ms;
  line["tags"] = entry.item.tags;
  line["pinned"] = entry.item.info.pinned;
  if (entry.meta) {
    line["sql"] = entry.meta->sql;
    line["params"] = entry.meta->params_json;
    line["source"] = entry.meta->source;
    line["reads"] = entry.meta->reads;
    line["rows"] = entry.meta->rows;
    line["cost_ms"] = entry.meta->cost_ms;
    line["created_ms"] = entry.meta->created_ms;
    line["version"] = entry.meta->version;
  }
  return line;
}

// SQL on one line, as layout says nothing in a table.
std::string one_line(std::string_view sql) {
  std::string text;
  for (char c : sql) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank)
      text += c;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

std::vector<std::string> cells_of(const Entry& entry, std::int64_t now_ms) {
  constexpr std::size_t kKeyShown = 40, kQueryKeyShown = 15;  // "query:" and eight digits tell answers apart
  const EntryInfo& info = entry.item.info;
  const auto age = [&](std::int64_t ms) { return format_duration(static_cast<double>(std::max<std::int64_t>(0, ms))); };
  return {shortened(printable(entry.item.key), entry.meta ? kQueryKeyShown : kKeyShown),
          entry.meta ? "query" : "value",
          format_bytes(info.value_bytes),
          age(now_ms - info.stored_ms),
          info.expires_ms == 0 ? "" : "in " + age(info.expires_ms - now_ms),
          entry.meta ? std::to_string(entry.meta->rows) : "",
          entry.meta ? format_duration(entry.meta->cost_ms) : "",
          shortened(printable(joined(entry.item.tags)), kKeyShown),
          entry.meta ? printable(one_line(entry.meta->sql)) : ""};
}

Status run(const Words& words) {
  const Cache cache = TRY(open_store(words.store, Access::kRead));
  const Look look = look_of_stdout(words.json);
  const std::int64_t now_ms = system_clock().now_ms();
  using Align = Table::Align;
  Table table({{"KEY"},
               {"KIND"},
               {"SIZE", Align::kRight},
               {"AGE", Align::kRight},
               {"EXPIRES"},
               {"ROWS", Align::kRight},
               {"COST", Align::kRight},
               {"TAGS"},
               {"SQL"}});
  std::size_t shown = 0;
  bool more = false;
  std::uint64_t last = 0;  // seen
  for (;;) {
    const std::vector<Item> page =
        words.reverse ? cache.list_back(last, kPage, words.filter) : cache.list(last, kPage, words.filter);
    if (page.empty() || more) break;
    for (const Item& item : page) {
      last = item.info.place;
      if (words.limit != 0 && shown == words.limit) {
        more = true;
        break;
      }
      Entry entry{item, std::nullopt};
      if (const std::optional<Pin> pin = cache.peek(item.key)) entry.meta = query::describe(item.key, pin->bytes());
      if (look.json)
        put(line_of(json_of(entry)));
      else
        table.add(cells_of(entry, now_ms));
      ++shown;
    }
  }
  if (!look.json) put(shown == 0 ? "no entries\n" : table.text(look));
  if (more) tell("larder: there are more; --limit 0 shows all");
  return {};
}

}  // namespace

Run declare_ls(CLI::App& app) {
  auto words = std::make_shared<Words>();
  add_filter_options(app, words->filter);
  app.add_flag("--reverse", words->reverse, "The latest stored first, in place of the longest stored");
  app.add_option("--limit", words->limit, "At most so many; 0: all")
      ->type_name("COUNT")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
