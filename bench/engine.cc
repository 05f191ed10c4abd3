// bench/engine: the cache engine beside what people use in its place, in one run, on the same work.
//
// For each workload every system is measured once, then all again, five times over; whatever else the machine does then
// falls on all alike, and medians are given. Prints one JSON object a line, one for each figure of Larder and each
// rival:
//
//   {"bench":"engine","workload":"get_hit","system":"larder","metric":"time","unit":"ns","value":180,
//    "rival":"absl","rival_value":270,"ratio":0.67,"spread":0.05}
//
// ratio is ours divided by the rival's, less is better. spread is half the distance from the smallest to the largest
// ratio of the single rounds, as a part of the ratio. bench/run.py makes a table of it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "measure.h"

namespace bench {
namespace {

struct Arguments {
  std::filesystem::path workloads;
  std::filesystem::path dir;
  std::vector<std::string> names;
  std::vector<std::string> systems;
  double scale = 1;
  bool list_systems = false;
  unsigned repeats = 5;
  bool latency = true;
  Limits limits;
};

// Removed with all that is in it, however this program ends, but for SIGKILL.
class Folder {
 public:
  explicit Folder(const std::filesystem::path& parent) {
    std::filesystem::create_directories(parent);
    std::string path = (std::filesystem::absolute(parent) / "engine-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) die("cannot make a directory in " + parent.string());
    path_ = path;
    std::atexit([] { std::filesystem::remove_all(path_); });
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
      // The runs are over at the next exit; a child that is told to end has nothing to remove.
      std::signal(number, [](int) { stopped_ = 1; });
    }
  }
  std::filesystem::path sub(const std::string& name) const {
    auto path = path_ / name;
    std::filesystem::create_directories(path);
    return path;
  }
  static void remove(const std::filesystem::path& path) { std::filesystem::remove_all(path); }
  static bool stopped() { return stopped_ != 0; }

 private:
  static inline std::filesystem::path path_;
  static inline volatile std::sig_atomic_t stopped_ = 0;
};

// A store that was filled once and is used by every workload of its shape.
struct Filled {
  Place place;
  std::unique_ptr<Server> server;
  std::uint64_t bytes = 0;
};

// All figures of one system in one workload, one value a round.
using Rounds = std::map<std::string, std::vector<double>>;

struct Metric {
  const char* name;
  const char* unit;
};
constexpr Metric kMetrics[] = {
    {"time", "ns"},  // an operation, all workers together
    {"cpu", "ns"},   // an operation, all processes of the system together
    {"p50", "ns"},         {"p99", "ns"},          {"p99.9", "ns"},
    {"max", "ns"},         {"hit_ratio", "share"},  // of gets, where the store evicts
    {"overhead", "bytes"},                          // an entry, beyond its key and value
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

class Bench {
 public:
  Bench(const Arguments& arguments, const Folder& folder) : arguments_(arguments), folder_(folder) {}

  void run(Workload workload) {
    workload.keys =
        std::max<std::uint64_t>(static_cast<std::uint64_t>(static_cast<double>(workload.keys) * arguments_.scale), 100);
    if (workload.limit_bytes > 0) {
      // Enough to go round in the limit three times, whatever was asked for: else nothing would be evicted.
      workload.keys = std::max(workload.keys, 3 * workload.limit_bytes / (workload.key_bytes + workload.value_bytes));
    }
    std::vector<const System*> chosen;
    for (const System& system : systems()) {
      if (takes_part(system, workload)) chosen.push_back(&system);
    }
    std::map<std::string_view, Rounds> rounds;
    for (unsigned round = 0; round < arguments_.repeats; ++round) {
      const std::vector<Op> ops = make_ops(workload, round + 1);
      for (std::size_t turn = 0; turn < chosen.size(); ++turn) {
        if (Folder::stopped()) die("stopped");
        const System& system = *chosen[(turn + round) % chosen.size()];
        tell(workload.name + ": " + std::string(system.name) + ", round " + std::to_string(round + 1));
        measure(system, workload, ops, rounds[system.name]);
      }
    }
    tell("");
    print(workload, rounds);
    for (auto& [metric, values] : rounds["larder"]) kept_[workload.name][metric] = values;
    if (workload.workers() > 1) print_scaling(workload);
    const auto& kept = kept_[workload.name];
    if (workload.limit_bytes > 0 && kept.contains("p50")) {
      row(workload.name, "larder", {"p99.9", "ns"}, kept.at("p99.9"), "its median", kept.at("p50"));
      if (kept.contains("get_p50"))
        row(workload.name, "larder", {"get_p99.9", "ns"}, kept.at("get_p99.9"), "its median", kept.at("get_p50"));
    }
    if (workload.recently_used && kept_.contains("get_zipf") && kept.contains("cpu")) {
      row(workload.name, "larder", {"cpu", "ns"}, kept.at("cpu"), "get_zipf", kept_["get_zipf"]["cpu"]);
    }
  }

 private:
  // What goes on, on a line that the next one takes back; for people only.
  static void tell(const std::string& what) {
    if (isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K%s", what.c_str());
  }

  bool takes_part(const System& system, const Workload& workload) const {
    const auto& wanted = arguments_.systems;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), system.name) == wanted.end()) return false;
    if (workload.processes > 1 && !system.processes) return false;
    if (workload.processes > 1 && !system.shared) return false;
    return workload.limit_bytes == 0 || system.evicts;
  }

  Place make_place(const System& system, const Workload& workload) {
    const auto name = std::string(system.name) + "-" + std::to_string(++places_);
    return {folder_.sub(name),    workload.keys,        workload.key_bytes,
            workload.value_bytes, workload.limit_bytes, workload.recently_used};
  }

  Filled& filled(const System& system, const Workload& workload) {
    const auto shape = std::to_string(workload.keys) + " " + std::to_string(workload.key_bytes) + " " +
                       std::to_string(workload.value_bytes) + " " + std::to_string(workload.limit_bytes) +
                       (workload.recently_used && system.name == "larder" ? " lru" : "");
    const auto [at, added] = filled_.try_emplace({std::string(system.name), shape});
    Filled& store = at->second;
    if (!added) return store;
    store.place = make_place(system, workload);
    if (system.serve != nullptr) store.server = system.serve(store.place);
    Workload fill = workload;
    fill.distribution = Distribution::kOnce;
    fill.set_percent = 100;
    fill.fresh = true;
    const Figures figures =
        bench::run(system, store.place, store.server.get(), fill, make_ops(fill, 0), Mode::kFill, arguments_.limits);
    store.bytes = figures.bytes;
    return store;
  }

  void measure(const System& system, const Workload& workload, const std::vector<Op>& ops, Rounds& rounds) {
    const auto one = [&](Mode mode) {
      if (!workload.fresh) {
        const Filled& store = filled(system, workload);
        return bench::run(system, store.place, store.server.get(), workload, ops, mode, arguments_.limits);
      }
      const Place place = make_place(system, workload);
      std::unique_ptr<Server> server = system.serve != nullptr ? system.serve(place) : nullptr;
      const Figures figures = bench::run(system, place, server.get(), workload, ops, mode, arguments_.limits);
      server.reset();
      Folder::remove(place.dir);
      return figures;
    };
    const Figures time = one(Mode::kTime);
    rounds["time"].push_back(time.wall_ns);
    rounds["cpu"].push_back(time.cpu_ns);
    ops_ = time.ops;
    if (workload.limit_bytes > 0 && time.gets > 0) {
      rounds["hit_ratio"].push_back(static_cast<double>(time.hits) / static_cast<double>(time.gets));
    }
    if (workload.fresh && workload.limit_bytes == 0) {
      // What an entry costs in space is asked where entries are made.
      const Filled& store = filled(system, workload);
      rounds["overhead"].push_back((static_cast<double>(store.bytes) - static_cast<double>(store.place.data_bytes())) /
                                   static_cast<double>(workload.keys));
    }
    if (!arguments_.latency) return;
    const Figures latency = one(Mode::kLatency);
    rounds["p50"].push_back(latency.p50_ns);
    rounds["p99"].push_back(latency.p99_ns);
    rounds["p99.9"].push_back(latency.p999_ns);
    if (workload.limit_bytes > 0 && latency.get_p50_ns > 0) {
      rounds["get_p50"].push_back(latency.get_p50_ns);
      rounds["get_p99.9"].push_back(latency.get_p999_ns);
    }
  }

  void print(const Workload& workload, const std::map<std::string_view, Rounds>& rounds) {
    // Without Larder (it was not chosen) each system speaks for itself.
    const auto larder = rounds.find("larder");
    for (const Metric& metric : kMetrics) {
      for (const auto& system : systems()) {
        const auto rival = rounds.find(system.name);
        if (rival == rounds.end() || !rival->second.contains(metric.name)) continue;
        const auto& theirs = rival->second.at(metric.name);
        if (larder == rounds.end()) {
          row(workload.name, system.name, metric, theirs, "", {});
        } else if (rival == larder && rounds.size() == 1) {
          row(workload.name, "larder", metric, theirs, "", {});
        } else if (rival != larder) {
          row(workload.name, "larder", metric, larder->second.at(metric.name), system.name, theirs);
        }
      }
    }
  }

  // What a second process or thread adds: the time an operation takes with one, beside the time it takes with two.
  void print_scaling(const Workload& workload) {
    const std::map<std::string, std::string> alone = {
        {"get_hit_2p", "get_hit"}, {"set_2p", "overwrite"}, {"get_hit_2t", "get_hit"}, {"set_2t", "overwrite"}};
    const auto one = alone.find(workload.name);
    if (one == alone.end() || !kept_.contains(one->second) || !kept_[workload.name].contains("time")) return;
    for (const char* metric : {"time", "cpu"}) {
      row(workload.name, "larder", {metric, "ns"}, kept_[workload.name][metric], "one alone",
          kept_[one->second][metric]);
    }
  }

  void row(const std::string& workload, std::string_view system, const Metric& metric, const std::vector<double>& ours,
           std::string_view rival, const std::vector<double>& theirs) const {
    const auto rounded = [](double value) { return std::round(value * 1000) / 1000; };
    nlohmann::ordered_json line;
    line["bench"] = "engine";
    line["workload"] = workload;
    line["system"] = system;
    line["metric"] = metric.name;
    line["unit"] = metric.unit;
    line["value"] = rounded(median(ours));
    if (theirs.empty() || median(theirs) == 0) {
      line["rival"] = rival.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(rival);
      line["rival_value"] = theirs.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(0);
      line["ratio"] = nullptr;
      line["spread"] = nullptr;
    } else {
      const double ratio = median(ours) / median(theirs);
      double least = 0, most = 0;
      for (std::size_t at = 0; at < std::min(ours.size(), theirs.size()); ++at) {
        const double single = ours[at] / theirs[at];
        least = at == 0 ? single : std::min(least, single);
        most = at == 0 ? single : std::max(most, single);
      }
      line["rival"] = rival;
      line["rival_value"] = rounded(median(theirs));
      line["ratio"] = rounded(ratio);
      line["spread"] = rounded((most - least) / 2 / ratio);
    }
    line["ops"] = ops_;  // of the last run, for who counts something else about it
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  }

  const Arguments& arguments_;
  const Folder& folder_;
  unsigned places_ = 0;
  std::uint64_t ops_ = 0;
  std::map<std::pair<std::string, std::string>, Filled> filled_;  // by system and shape
  std::map<std::string, Rounds> kept_;                            // Larder's own, by workload
};

int run_all(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"The cache engine beside its rivals"};
  app.add_option("workload", arguments.names, "names of workloads; default: all");
  app.add_option("--workloads", arguments.workloads, "folder of the workloads' YAML files")->required();
  app.add_option("--dir", arguments.dir, "where stores are made; emptied at the end")->required();
  app.add_option("--systems", arguments.systems, "only these, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--scale", arguments.scale, "times the keys of each workload");
  app.add_flag("--list-systems", arguments.list_systems, "print the systems' names and stop");
  app.add_option("--repeats", arguments.repeats, "rounds; figures are medians")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", arguments.limits.run_seconds, "a single run ends after so long");
  app.add_option("--warm-seconds", arguments.limits.warm_seconds, "reads before the clock runs, at most so long");
  app.add_flag("!--no-latency", arguments.latency, "leave the quantiles out");
  CLI11_PARSE(app, argc, argv);

  if (arguments.list_systems) {
    for (const System& system : systems()) std::printf("%s\n", std::string(system.name).c_str());
    return 0;
  }
  const std::vector<Workload> workloads = read_workloads(arguments.workloads);
  std::set<std::string> unknown(arguments.names.begin(), arguments.names.end());
  for (const Workload& workload : workloads) unknown.erase(workload.name);
  if (!unknown.empty()) die("there is no workload '" + *unknown.begin() + "' in " + arguments.workloads.string());

  const Folder folder(arguments.dir);
  Bench bench(arguments, folder);
  for (const Workload& workload : workloads) {
    const auto& names = arguments.names;
    if (names.empty() || std::find(names.begin(), names.end(), workload.name) != names.end()) bench.run(workload);
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run_all(argc, argv); }
