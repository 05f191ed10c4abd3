#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

struct Words {
  std::string store;
  std::string by;
  bool json = false;
};

// One row per number: the JSON name and how people read it.
struct Row {
  const char* name;
  const char* title;
  std::uint64_t value;
  bool bytes = false;
};

std::string percent(double part, double whole) {
  if (whole == 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, " (%.1f %%)", 100 * part / whole);
  return text;
}

void show_tags(const Cache& cache, const Look& look) {
  using Align = Table::Align;
  Table table({{"TAG"}, {"ENTRIES", Align::kRight}, {"BYTES", Align::kRight}});
  const std::vector<TagStats> tags = cache.tag_stats();
  for (const TagStats& tag : tags) {
    if (look.json) {
      Json line;
      put_key(line, tag.tag, "tag");
      line["entries"] = tag.entries;
      line["bytes"] = tag.bytes;
      put(line_of(line));
    } else {
      table.add({printable(tag.tag), std::to_string(tag.entries), format_bytes(tag.bytes)});
    }
  }
  if (!look.json) put(tags.empty() ? "no tags\n" : table.text(look));
}

void show_shards(const Cache& cache, const Look& look) {
  using Align = Table::Align;
  Table table({{"SHARD", Align::kRight},
               {"ENTRIES", Align::kRight},
               {"BYTES", Align::kRight},
               {"SETS", Align::kRight},
               {"DELETES", Align::kRight},
               {"EVICTED", Align::kRight},
               {"EXPIRED", Align::kRight},
               {"REPAIRS", Align::kRight}});
  const std::vector<Stats> shards = cache.shard_stats();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const Stats& shard = shards[i];
    if (look.json) {
      put(line_of({{"shard", i},
                   {"entries", shard.entries},
                   {"value_bytes", shard.value_bytes},
                   {"pinned_bytes", shard.pinned_bytes},
                   {"sets", shard.sets},
                   {"deletes", shard.deletes},
                   {"evictions", shard.evictions},
                   {"expirations", shard.expirations},
                   {"repairs", shard.repairs}}));
    } else {
      table.add({std::to_string(i), std::to_string(shard.entries), format_bytes(shard.value_bytes),
                 std::to_string(shard.sets), std::to_string(shard.deletes), std::to_string(shard.evictions),
                 std::to_string(shard.expirations), std::to_string(shard.repairs)});
    }
  }
  if (!look.json) put(table.text(look));
}

Status run(const Words& words) {
  if (!words.by.empty() && words.by != "tag" && words.by != "shard")
    return Error{Code::kInvalid, "--by is tag or shard, not '" + printable(words.by) + "'"};
  const Cache cache = TRY(open_store(words.store, Access::kRead));
  if (words.by == "tag") show_tags(cache, look_of_stdout(words.json));
  if (words.by == "shard") show_shards(cache, look_of_stdout(words.json));
  if (!words.by.empty()) return {};
  const Stats stats = cache.stats();
  const std::vector<Row> rows = {
      {"entries", "entries", stats.entries},
      {"value_bytes", "in entries", stats.value_bytes, true},
      {"pinned_bytes", "pinned", stats.pinned_bytes, true},
      {"blob_bytes", "in files", stats.blob_bytes, true},
      {"disk_bytes", "on disk", stats.disk_bytes, true},
      {"size_limit_bytes", "limit", stats.size_limit_bytes, true},
      {"hits", "hits", stats.hits},
      {"misses", "misses", stats.misses},
      {"sets", "sets", stats.sets},
      {"deletes", "deletes", stats.deletes},
      {"evictions", "evicted", stats.evictions},
      {"expirations", "expired", stats.expirations},
      {"repairs", "repairs", stats.repairs},
      {"shards", "shards", stats.shards},
      {"processes", "processes", stats.processes},
  };
  const Look look = look_of_stdout(words.json);
  if (look.json) {
    Json line;
    line["path"] = words.store;
    for (const Row& row : rows) line[row.name] = row.value;
    put(line_of(line));
    return {};
  }
  put(bold(printable(words.store), look) + "\n");
  for (const Row& row : rows) {
    std::string value = row.bytes ? format_bytes(row.value) : std::to_string(row.value);
    if (row.name == std::string_view("hits"))
      value += percent(static_cast<double>(stats.hits), static_cast<double>(stats.hits + stats.misses));
    if (row.name == std::string_view("disk_bytes"))
      value += percent(static_cast<double>(stats.disk_bytes), static_cast<double>(stats.size_limit_bytes));
    std::string title = std::string("  ") + row.title;
    title.resize(14, ' ');
    put(title + value + "\n");
  }
  return {};
}

}  // namespace

Run declare_stats(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("--by", words->by, "For each tag, or for each shard")->type_name("tag|shard");
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
