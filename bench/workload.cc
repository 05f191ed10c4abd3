#include "workload.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <random>
#include <set>

#include "system.h"

namespace bench {
namespace {

const std::set<std::string> kWords = {"name",        "about",     "order", "keys",      "key_bytes",
                                      "value_bytes", "threads",   "mix",   "processes", "distribution",
                                      "fresh",       "limit_mib", "policy"};

Workload parse(const std::filesystem::path& path, int& order) {
  const YAML::Node root = YAML::LoadFile(path.string());
  for (const auto& pair : root) {
    const auto word = pair.first.as<std::string>();
    if (!kWords.contains(word)) {
      die(path.string() + ":" + std::to_string(pair.first.Mark().line + 1) + ": unknown word '" + word + "'");
    }
  }
  Workload workload;
  order = root["order"].as<int>();
  workload.name = root["name"].as<std::string>();
  workload.about = root["about"].as<std::string>();
  workload.keys = root["keys"].as<std::uint64_t>();
  workload.key_bytes = root["key_bytes"].as<std::uint64_t>();
  workload.value_bytes = root["value_bytes"].as<std::uint64_t>();
  workload.threads = root["threads"].as<unsigned>(1);
  workload.processes = root["processes"].as<unsigned>(1);
  workload.fresh = root["fresh"].as<bool>(false);
  workload.limit_bytes = root["limit_mib"].as<std::uint64_t>(0) << 20;
  workload.set_percent = root["mix"]["set"].as<unsigned>(0);
  const auto policy = root["policy"].as<std::string>("");
  if (!policy.empty() && policy != "least-recently-used")
    die(path.string() + ": policy is least-recently-used or not given, not '" + policy + "'");
  workload.recently_used = !policy.empty();

  const auto distribution = root["distribution"].as<std::string>();
  if (distribution == "uniform") {
    workload.distribution = Distribution::kUniform;
  } else if (distribution == "once") {
    workload.distribution = Distribution::kOnce;
  } else if (distribution == "absent") {
    workload.distribution = Distribution::kAbsent;
  } else if (distribution.rfind("zipf ", 0) == 0) {
    workload.distribution = Distribution::kZipf;
    workload.skew = std::stod(distribution.substr(5));
  } else {
    die(path.string() + ": distribution is uniform, zipf S, once or absent, not '" + distribution + "'");
  }
  const unsigned get_percent = root["mix"]["get"].as<unsigned>(0);
  if (get_percent + workload.set_percent != 100) die(path.string() + ": the mix of get and set must come to 100");
  if (workload.key_bytes < 8 || workload.key_bytes > kKeyBytesMax) die(path.string() + ": key_bytes is 8 to 24");
  if (workload.value_bytes < 8) die(path.string() + ": value_bytes is at least 8");
  return workload;
}

}  // namespace

std::vector<Workload> read_workloads(const std::filesystem::path& folder) {
  std::vector<std::pair<int, Workload>> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    try {
      int order = 0;
      Workload workload = parse(entry.path(), order);
      found.emplace_back(order, std::move(workload));
    } catch (const std::exception& error) {
      die(entry.path().string() + ": " + error.what());
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Workload> workloads;
  workloads.reserve(found.size());
  for (auto& [order, workload] : found) workloads.push_back(std::move(workload));
  return workloads;
}

std::vector<Op> make_ops(const Workload& workload, std::uint64_t seed) {
  const auto keys = static_cast<std::uint32_t>(workload.keys);
  std::mt19937_64 chance(seed);
  std::vector<Op> ops;
  ops.reserve(keys);
  const auto add = [&](std::uint64_t id) {
    ops.push_back(make_op(static_cast<std::uint32_t>(id), chance() % 100 < workload.set_percent, workload.key_bytes));
  };
  switch (workload.distribution) {
    case Distribution::kUniform:
      while (ops.size() < keys) add(chance() % keys);
      break;
    case Distribution::kAbsent:
      while (ops.size() < keys) add(keys + chance() % keys);
      break;
    case Distribution::kOnce:
      for (std::uint32_t id = 0; id < keys; ++id) add(id);
      break;
    case Distribution::kZipf: {
      const Zipf zipf(keys, workload.skew);
      std::uniform_real_distribution<double> uniform(0, 1);
      // The popular keys are spread over the order of inserts.
      while (ops.size() < keys) add(mixed(zipf.rank(uniform(chance))) % keys);
      break;
    }
  }
  return ops;
}

}  // namespace bench
