// What is kept in the directory beside the entries. A row of kSettings is a setting: its name, how it is read and how
// it is shown; what has no way to be read was decided when the cache was made.
#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

struct Words {
  std::string store;
  std::vector<std::string> changes;
  bool json = false;
};

constexpr std::array<std::string_view, 5> kPolicies = {"s3-fifo", "least-recently-stored", "least-recently-used",
                                                       "least-frequently-used", "none"};
constexpr std::array<std::string_view, 3> kDurabilities = {"none", "timed", "each"};

// The number of a name in its list, which is that of the enum.
template <typename Enum, std::size_t size>
Result<Enum> named(std::string_view text, const std::array<std::string_view, size>& names) {
  for (std::size_t i = 0; i < size; ++i)
    if (names[i] == text) return static_cast<Enum>(i);
  std::string all;
  for (std::size_t i = 0; i < size; ++i) all.append(i == 0 ? "" : i + 1 == size ? " or " : ", ").append(names[i]);
  return Error{Code::kInvalid,
               "'" + printable(text) + "' is none of " + all + did_you_mean(text, {names.begin(), names.end()})};
}

Result<std::uint64_t> whole(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size())
    return Error{Code::kInvalid, "'" + printable(text) + "' is no whole number"};
  return number;
}

Status read_size(std::string_view text, SettingsChange& change) {
  change.size_limit_bytes = TRY(parse_bytes(text));
  return {};
}
Status read_entries(std::string_view text, SettingsChange& change) {
  change.entry_limit = TRY(whole(text));
  return {};
}
Status read_policy(std::string_view text, SettingsChange& change) {
  change.policy = TRY(named<Policy>(text, kPolicies));
  return {};
}
Status read_durability(std::string_view text, SettingsChange& change) {
  change.durability = TRY(named<Durability>(text, kDurabilities));
  return {};
}
Status read_flush_every(std::string_view text, SettingsChange& change) {
  const std::int64_t ms = TRY(parse_duration_ms(text));
  if (ms < 1 || ms > 3'600'000) return Error{Code::kInvalid, "'" + printable(text) + "' is not between 1ms and 1h"};
  change.flush_every_ms = static_cast<std::uint32_t>(ms);
  return {};
}

struct Setting {
  std::string_view name;  // on the command line
  const char* json;
  Status (*read)(std::string_view text, SettingsChange& change);  // null: as it was made
  Json (*value)(const Options& now);
  std::string (*shown)(const Options& now);
};

std::string bytes_shown(std::uint64_t bytes) { return format_bytes(bytes); }

constexpr Setting kSettings[] = {
    {"size", "size_limit_bytes", read_size, [](const Options& now) { return Json(now.size_limit_bytes); },
     [](const Options& now) { return bytes_shown(now.size_limit_bytes); }},
    {"entries", "entry_limit", read_entries, [](const Options& now) { return Json(now.entry_limit); },
     [](const Options& now) { return now.entry_limit == 0 ? "as many as fit" : std::to_string(now.entry_limit); }},
    {"policy", "policy", read_policy,
     [](const Options& now) { return Json(kPolicies.at(static_cast<std::size_t>(now.policy))); },
     [](const Options& now) { return std::string(kPolicies.at(static_cast<std::size_t>(now.policy))); }},
    {"durability", "durability", read_durability,
     [](const Options& now) { return Json(kDurabilities.at(static_cast<std::size_t>(now.durability))); },
     [](const Options& now) { return std::string(kDurabilities.at(static_cast<std::size_t>(now.durability))); }},
    {"flush_every", "flush_every_ms", read_flush_every, [](const Options& now) { return Json(now.flush_every_ms); },
     [](const Options& now) { return format_duration(now.flush_every_ms); }},
    {"capacity", "capacity_bytes", nullptr, [](const Options& now) { return Json(now.capacity_bytes); },
     [](const Options& now) { return bytes_shown(now.capacity_bytes) + ", which size may be raised to"; }},
    {"shards", "shards", nullptr, [](const Options& now) { return Json(now.shards); },
     [](const Options& now) { return std::to_string(now.shards); }},
};

// KEY=VALUE, into `change`.
Status read_change(const std::string& word, SettingsChange& change) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos)
    return Error{Code::kInvalid, "'" + printable(word) + "' changes nothing; write it as KEY=VALUE"};
  const std::string_view name = std::string_view(word).substr(0, equals);
  std::vector<std::string_view> known;
  for (const Setting& setting : kSettings) {
    if (setting.read == nullptr) {
      if (setting.name == name)
        return Error{Code::kInvalid, std::string(name) + " is decided when a cache is made, and stays"};
      continue;
    }
    known.push_back(setting.name);
    if (setting.name != name) continue;
    if (Status read = setting.read(std::string_view(word).substr(equals + 1), change); !read.ok())
      return std::move(read).error().in(name);
    return {};
  }
  return Error{Code::kInvalid, "no setting '" + printable(name) + "'" + did_you_mean(name, known)};
}

Status run(const Words& words) {
  SettingsChange change;
  for (const std::string& word : words.changes) TRY(read_change(word, change));
  Cache cache = TRY(open_store(words.store, words.changes.empty() ? Access::kRead : Access::kWrite));
  if (!words.changes.empty()) TRY(cache.change(change));
  const Options now = cache.options();
  const Look look = look_of_stdout(words.json);
  if (look.json) {
    Json line;
    for (const Setting& setting : kSettings) line[setting.json] = setting.value(now);
    put(line_of(line));
    return {};
  }
  put(bold(printable(words.store), look) + "\n");
  for (const Setting& setting : kSettings) {
    std::string title = "  " + std::string(setting.name);
    title.resize(15, ' ');
    put(title + setting.shown(now) + "\n");
  }
  return {};
}

}  // namespace

Run declare_settings(CLI::App& app) {
  auto words = std::make_shared<Words>();
  add_words_option(app, "setting", words->changes, "KEY=VALUE, of size, entries, policy, durability and flush_every")
      ->expected(0, -1)
      ->allow_extra_args();
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
