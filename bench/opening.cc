// bench/opening: how long it takes to open a cache that exists, and to make its index anew after a power loss.
//
// Fills a cache of 1 GiB with the entries of the other workloads, closes and opens it, and then makes it believe that
// the machine lost its power since. Prints rows like bench/engine: workload `open`, metric `time` (the median of 21;
// another has the cache open, as when a second process comes), and workload `rebuild`, metrics `time` and `rate` (bytes
// of records by the time that the open took; the pages are in memory).
#include <larder/cache.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "data.h"
#include "engine/test_files.h"
#include "system.h"

namespace bench {
namespace {

constexpr std::size_t kKeyBytes = 20;

template <typename T>
T must(larder::Result<T> result) {
  if (!result) die(result.error().message);
  return std::move(result).value();
}

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void print(const std::string& workload, const char* metric, const char* unit, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  nlohmann::ordered_json line;
  line["bench"] = "engine";
  line["workload"] = workload;
  line["system"] = "larder";
  line["metric"] = metric;
  line["unit"] = unit;
  line["value"] = std::round(values[values.size() / 2] * 1000) / 1000;
  for (const char* none : {"rival", "rival_value", "ratio", "spread"}) line[none] = nullptr;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void measure(const std::filesystem::path& dir, std::uint64_t entries, std::size_t value_bytes, unsigned repeats,
             const std::string& suffix) {
  larder::Options options;
  options.size_limit_bytes = 1 << 30;
  Values values(value_bytes);
  double bytes = 0;
  {
    larder::Cache cache = must(larder::Cache::open(dir, options));
    for (std::uint32_t id = 0; id < entries; ++id) {
      if (auto set = cache.set(make_op(id, true, kKeyBytes).key(kKeyBytes), values.of(id)); !set)
        die(set.error().message);
    }
    bytes = static_cast<double>(cache.stats().value_bytes);
    std::vector<double> opens;
    for (int i = 0; i < 21; ++i) opens.push_back(seconds([&] { must(larder::Cache::open(dir, options)); }) * 1e6);
    print("open" + suffix, "time", "us", opens);
  }
  std::vector<double> times;
  std::vector<double> rates;
  for (unsigned round = 0; round < repeats; ++round) {
    larder::engine::lose_power(dir);
    std::optional<larder::Cache> cache;
    const double took = seconds([&] { cache.emplace(must(larder::Cache::open(dir, options))); });
    if (cache->stats().entries != entries) die("entries were lost");
    times.push_back(took * 1e3);
    rates.push_back(bytes / took / 1e9);
  }
  print("rebuild" + suffix, "time", "ms", times);
  print("rebuild" + suffix, "rate", "GB/s", rates);
}

int run_all(int argc, char** argv) {
  std::filesystem::path dir;
  double scale = 1;
  unsigned repeats = 5;
  CLI::App app{"Opening a cache that exists, and after a power loss"};
  app.add_option("--dir", dir, "where the cache is made; removed at the end")->required();
  app.add_option("--scale", scale, "times the entries");
  app.add_option("--repeats", repeats, "rounds; figures are medians")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  const std::filesystem::path folder = dir / "opening";
  for (const auto& [entries, value_bytes, suffix] : {std::tuple{1e6, 100, ""}, {3e4, 10240, "_10k"}}) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    measure(folder, std::max<std::uint64_t>(static_cast<std::uint64_t>(scale * entries), 100),
            static_cast<std::size_t>(value_bytes), repeats, suffix);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run_all(argc, argv); }
