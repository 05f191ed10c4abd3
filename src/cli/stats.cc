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

Status run(const Words& words) {
  const Cache cache = TRY(open_store(words.store, Access::kRead));
  const Stats stats = cache.stats();
  const std::vector<Row> rows = {
      {"entries", "entries", stats.entries},
      {"value_bytes", "in entries", stats.value_bytes, true},
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
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
