// What a hit of the query cache costs below HTTP, whole and in its parts:  build/release/bench/query_lookup
//
// The source is one that knows its version; what a real one adds (a stat a file) is measured with the real one's own
// files.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/check.h"
#include "digest/sha256.h"
#include "query/entry.h"
#include "query/fingerprint.h"
#include "query/query_cache.h"
#include "sources/files.h"

namespace {

using namespace larder;

// As long as a dashboard's questions are.
const std::string kSql =
    "SELECT (-60 + (10 * floor((\"delay\" - -60) / 10))) AS x1, count(*) AS y FROM \"flights\" AS source "
    "WHERE \"distance\" BETWEEN $1 AND $2 AND \"origin\" = $3 GROUP BY x1 ORDER BY x1";

class ConstantSource final : public sources::Source {
 public:
  Result<sources::Plan> plan(const sources::Question& question) override {
    return sources::Plan{question.sql, {"flights"}, true};
  }
  Result<std::string> version(const sources::Plan&) override { return std::string(64, 'v'); }
  Result<sources::Answer> run(const sources::Question&, const sources::Plan&, const sources::Limits&,
                              const Cancel&) override {
    return sources::Answer{std::string(4096, 'a'), 40, std::string(64, 'v')};
  }
};

query::Ask some_ask() {
  return {.question = {.source = "flights", .sql = kSql, .params = {std::int64_t{100}, 2500.5, std::string("OAK")}},
          .max_age_ms = {},
          .scope = {}};
}

class Directory {
 public:
  Directory() { LARDER_CHECK(mkdtemp(name_.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(name_); }
  const std::string& name() const { return name_; }

 private:
  std::string name_ = (std::filesystem::temp_directory_path() / "larder-lookup-XXXXXX").string();
};

void lookup_hit(benchmark::State& state) {
  static Directory* directory;
  static Cache* cache;
  static ConstantSource source;
  static query::QueryCache* queries;
  if (state.thread_index() == 0) {
    directory = new Directory();
    cache = new Cache(Cache::open(directory->name(), {.size_limit_bytes = 64 << 20}).value());
    queries = new query::QueryCache(*cache, source, {});
    LARDER_CHECK(queries->fetch(some_ask(), {}, {})->stored);
  }
  const query::Ask ask = some_ask();
  for (auto _ : state) {
    std::optional<query::Reply> reply = queries->lookup(ask).value();
    LARDER_CHECK(reply.has_value());
    benchmark::DoNotOptimize(reply->arrow().data());
  }
  if (state.thread_index() == 0) {
    delete queries;
    delete cache;
    delete directory;
  }
}
BENCHMARK(lookup_hit)->ThreadRange(1, 2)->UseRealTime();

void files_version(benchmark::State& state) {
  const Directory directory;
  const bool glob = state.range(0) > 0;  // else one file by its name
  for (int i = 0; i < std::max<int>(1, static_cast<int>(state.range(0))); ++i)
    std::ofstream(directory.name() + "/" + std::to_string(i) + ".csv") << "a,b\n1,2\n";
  sources::FilesSource::Options options;
  options.places = {{.name = "t", .path = directory.name() + (glob ? "/*.csv" : "/0.csv"), .format = {}}};
  const auto source = sources::FilesSource::open(options).value();
  const sources::Plan plan = source->plan({.source = {}, .sql = "SELECT sum(a) FROM t", .params = {}}).value();
  for (auto _ : state) benchmark::DoNotOptimize(source->version(plan).value());
}
BENCHMARK(files_version)->Arg(0)->Arg(1)->Arg(10)->Arg(100);

void fingerprint(benchmark::State& state) {
  const query::Ask ask = some_ask();
  const std::string version(64, 'v');
  for (auto _ : state) benchmark::DoNotOptimize(query::fingerprint(ask, kSql, version));
}
BENCHMARK(fingerprint);

void sha256_400_bytes(benchmark::State& state) {
  const std::string bytes(400, 'x');
  for (auto _ : state) benchmark::DoNotOptimize(sha256_hex(bytes));
}
BENCHMARK(sha256_400_bytes);

void read_entry(benchmark::State& state) {
  std::string value = query::entry_head(
      {.sql = kSql, .params_json = "[1]", .source = "flights", .reads = {"flights"}, .version = std::string(64, 'v')},
      9);
  value += "123456789";
  for (auto _ : state) benchmark::DoNotOptimize(query::read_entry(value));
}
BENCHMARK(read_entry);

}  // namespace

BENCHMARK_MAIN();
