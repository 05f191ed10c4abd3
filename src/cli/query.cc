// Asks a question as the server would: the same configuration, the same store, the same query cache. What the server
// answered is a hit here, and the other way round, whether it is running or not.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "arrow/render.h"
#include "base/clock.h"
#include "base/nearest.h"
#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/output.h"
#include "query/query_cache.h"
#include "server/config.h"
#include "server/open_sources.h"

namespace larder::cli {
namespace {

struct Words {
  std::string config = "larder.yaml";
  std::string store;
  std::string source;
  std::string format;
  std::vector<std::string> params;
  std::string max_age;
  std::string sql;
  std::size_t rows = 40;
  bool json = false;
  bool quiet = false;
};

// A parameter as it is typed: null, true, false, a number or a "string" in JSON's words; everything else is text as it
// stands.
sources::Param param_of(const std::string& word) {
  const nlohmann::json value = nlohmann::json::parse(word, nullptr, false);
  if (value.is_null()) return std::monostate{};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return word;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float() && word.find_first_of(".eE") != std::string::npos) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  return word;
}

// "12 rows · hit · 0.4 ms (cost 830 ms) · age 3 s"
std::string summary(const query::Reply& reply, double took_ms) {
  std::string line = std::to_string(reply.rows) + (reply.rows == 1 ? " row" : " rows");
  line += reply.outcome == query::Outcome::kHit ? " · hit" : " · miss";
  if (!reply.not_stored.empty()) line += ", not stored: " + reply.not_stored;
  line += " · " + format_duration(took_ms);
  if (reply.outcome == query::Outcome::kHit) {
    line += " (cost " + format_duration(reply.cost_ms) + ")";
    line += " · age " + format_duration(static_cast<double>(reply.age_ms));
  }
  return line;
}

Status write(const query::Reply& reply, const std::string& format, std::size_t rows) {
  if (format == "arrow") {
    put(reply.arrow());
    return {};
  }
  std::string out;
  if (format == "json") {
    TRY(arrow::write_json(reply.arrow(), out));
    out += '\n';
  } else if (format == "csv") {
    TRY(arrow::write_csv(reply.arrow(), out));
  } else {
    TRY(arrow::write_table(reply.arrow(), {.rows_max = rows}, out));
  }
  put(out);
  return {};
}

// Made when it is not there. Who may not write to it gets what is kept, and is answered all the same.
Result<Cache> open_for_answers(const std::filesystem::path& store, std::uint64_t size_bytes) {
  Options options;
  options.size_limit_bytes = size_bytes;
  Result<Cache> cache = Cache::open(store, options);
  if (cache.ok() || cache.error().code != Code::kDenied) return cache;
  options.read_only = true;
  return Cache::open(store, options);
}

Status run(const Words& words) {
  static constexpr std::array<std::string_view, 4> kFormats = {"table", "json", "csv", "arrow"};
  std::string format = words.format;
  if (format.empty()) format = look_of_stdout(words.json).json ? "json" : "table";
  if (std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end())
    return Error{Code::kInvalid, "--format is one of table, json, csv and arrow, not '" + printable(format) + "'" +
                                     did_you_mean(format, kFormats)};
  if (format == "arrow" && isatty(STDOUT_FILENO) == 1)
    return Error{Code::kInvalid, "Arrow is no text for a terminal; send it to a file or a program"};

  query::Ask ask;
  ask.question.source = words.source;
  ask.question.sql = words.sql;
  for (const std::string& word : words.params) ask.question.params.push_back(param_of(word));
  if (!words.max_age.empty()) {
    Result<std::int64_t> max_age_ms = parse_duration_ms(words.max_age);
    if (!max_age_ms.ok()) return std::move(max_age_ms).error().in("--max-age");
    ask.max_age_ms = *max_age_ms;
  }

  const server::Config config = TRY(server::read_config(words.config));
  const std::filesystem::path store = words.store.empty() ? config.store.path : std::filesystem::path(words.store);
  Cache cache = TRY(open_for_answers(store, config.store.size_bytes));
  const std::unique_ptr<sources::FilesSource> source = TRY(server::open_sources(config));
  query::QueryCache queries(cache, *source, {});

  const sources::Limits limits = {
      .rows_max = config.query.rows_max, .bytes_max = config.query.bytes_max, .timeout_ms = config.query.timeout_ms};
  const std::int64_t start_ns = system_clock().steady_ns();
  const query::Reply reply = TRY(queries.fetch(ask, limits, Cancel()));
  const double took_ms = static_cast<double>(system_clock().steady_ns() - start_ns) / 1e6;
  TRY(write(reply, format, words.rows));
  TRY(flush_output());
  if (!words.quiet) tell(summary(reply, took_ms));
  return {};
}

}  // namespace

Run declare_query(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("sql", words->sql, "The question; $1, $2, ... stand for its parameters")->required();
  add_words_option(app, "--param", words->params,
                   "A parameter, in order: null, true, 15, 2.5, \"text\" as JSON; else text")
      ->type_name("VALUE");
  app.add_option("--source", words->source, "The only source that may be read")->type_name("NAME");
  app.add_option("--max-age", words->max_age, "An older answer will not do: 30s, 5min; 0s asks anew")
      ->type_name("DURATION");
  app.add_option("--format", words->format, "table, json, csv or arrow; default a table at a terminal, else json")
      ->type_name("FORMAT");
  app.add_flag("--json", words->json, "The same as --format json");
  app.add_option("--rows", words->rows, "Rows that a table shows; 0: all")
      ->type_name("COUNT")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--config", words->config, "Where the store and the sources are named")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_option("--store", words->store, "Directory of the cache, in place of the configuration's")->type_name("DIR");
  app.add_flag("-q,--quiet", words->quiet, "No line about hit or miss on standard error");
  return [words] { return run(*words); };
}

}  // namespace larder::cli
