// bench/eviction: how often a full cache misses, beside policies that decide entry by entry.
//
// Larder frees whole segments, which is a coarser choice than a list of entries allows. This program says what that
// costs: it plays traces to a real Cache that is far too small for them (a get; after a miss a set), and the same
// traces to simulations of item-level S3-FIFO, LRU, FIFO and LFU.
//
// The budgets are the same bytes. A simulation may fill the whole limit, and each of its entries is charged what it
// takes in Larder's files at best: its record, and a quarter of a bucket of the index. So what Larder loses to
// segments that are half empty or wait for the disk, to its accounts and to full buckets counts against it, and the
// simulations' lists and ghosts cost them nothing. The first third of a trace fills the cache and is not counted.
//
// The other policies are played beside the simulation of what they stand for: least-recently-used beside LRU,
// least-frequently-used beside LFU, least-recently-stored beside FIFO.
//
// Prints rows like bench/engine: metric `misses` in % of the requests, `entries` how many are there at the end.
#include <larder/cache.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <functional>
#include <list>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "data.h"
#include "system.h"

namespace bench {
namespace {

constexpr std::size_t kKeyBytes = 20;
constexpr std::size_t kValueBytes = 100;
constexpr std::uint64_t kEntryBytes = 24 + kKeyBytes + kValueBytes + 64 / 4;

// --- Traces ----------------------------------------------------------------------------------------------------------

using Trace = std::vector<std::uint32_t>;  // keys' numbers

struct Shape {
  const char* name;
  double skew;
  unsigned wonders_percent;  // requests for a key that is never asked for again
  bool scans;                // now and then half a cache of other keys, in their order
  bool drifts;               // what is popular changes: once round all keys in the trace
};
constexpr Shape kShapes[] = {
    {"zipf_08", 0.8, 0, false, false}, {"zipf_099", 0.99, 0, false, false}, {"wonders", 0.99, 40, false, false},
    {"scans", 0.99, 0, true, false},   {"scans_08", 0.8, 0, true, false},   {"wonders_08", 0.8, 40, false, false},
    {"drift", 0.99, 0, false, true},
};

Trace make_trace(const Shape& shape, std::uint64_t keys, std::uint64_t fit, std::uint64_t requests) {
  std::mt19937_64 chance(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  const Zipf zipf(keys, shape.skew);
  std::uint64_t fresh = keys;  // the next key that nobody has asked for
  const std::uint64_t table = 4 * fit;
  std::uint64_t scanned = 0;
  if (shape.scans) fresh += table;
  Trace trace;
  while (trace.size() < requests) {
    if (shape.scans && trace.size() % (3 * fit / 2) >= fit) {  // a third of the requests
      trace.push_back(static_cast<std::uint32_t>(keys + scanned++ % table));
    } else if (chance() % 100 < shape.wonders_percent) {
      trace.push_back(static_cast<std::uint32_t>(fresh++));
    } else {
      const std::uint64_t moved = shape.drifts ? keys * trace.size() / requests : 0;
      trace.push_back(static_cast<std::uint32_t>((zipf.rank(uniform(chance)) + moved) % keys));
    }
  }
  return trace;
}

// --- Policies --------------------------------------------------------------------------------------------------------

// Whether the entry was there; afterwards it is.
using Ask = std::function<bool(std::uint32_t)>;

Ask lru(std::size_t fit) {
  struct State {
    std::list<std::uint32_t> order;  // the last read in front
    std::vector<std::list<std::uint32_t>::iterator> at;
    std::vector<bool> here;
  };
  return [fit, state = std::make_shared<State>()](std::uint32_t id) {
    State& s = *state;
    if (id >= s.here.size()) {
      s.here.resize(id + id / 2 + 1);
      s.at.resize(s.here.size());
    }
    if (s.here[id]) {
      s.order.splice(s.order.begin(), s.order, s.at[id]);
      return true;
    }
    if (s.order.size() == fit) {
      s.here[s.order.back()] = false;
      s.order.pop_back();
    }
    s.order.push_front(id);
    s.at[id] = s.order.begin();
    s.here[id] = true;
    return false;
  };
}

Ask fifo(std::size_t fit) {
  struct State {
    std::deque<std::uint32_t> order;
    std::vector<bool> here;
  };
  return [fit, state = std::make_shared<State>()](std::uint32_t id) {
    State& s = *state;
    if (id >= s.here.size()) s.here.resize(id + id / 2 + 1);
    if (s.here[id]) return true;
    if (s.order.size() == fit) {
      s.here[s.order.front()] = false;
      s.order.pop_front();
    }
    s.order.push_back(id);
    s.here[id] = true;
    return false;
  };
}

// The fewest reads since it came, of these the longest unread. What was evicted is forgotten.
Ask lfu(std::size_t fit) {
  struct Seen {
    std::uint32_t reads = 0;  // 0: not here
    std::uint64_t last = 0;
  };
  struct State {
    std::set<std::tuple<std::uint32_t, std::uint64_t, std::uint32_t>> order;
    std::vector<Seen> seen;
    std::uint64_t now = 0;
  };
  return [fit, state = std::make_shared<State>()](std::uint32_t id) {
    State& s = *state;
    if (id >= s.seen.size()) s.seen.resize(id + id / 2 + 1);
    Seen& seen = s.seen[id];
    const bool hit = seen.reads > 0;
    if (hit) {
      s.order.erase({seen.reads, seen.last, id});
    } else if (s.order.size() == fit) {
      s.seen[std::get<2>(*s.order.begin())].reads = 0;
      s.order.erase(s.order.begin());
    }
    seen = {seen.reads + 1, ++s.now};
    s.order.insert({seen.reads, seen.last, id});
    return hit;
  };
}

// Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023: a tenth for the small queue, as many
// ghosts as fit the main one. `moves`: reads that an entry needs in the small queue to get to the main one; 2 in the
// paper.
Ask s3fifo(std::size_t fit, unsigned moves) {
  struct State {
    std::deque<std::uint32_t> small, main, ghosts;
    std::vector<std::uint8_t> where;  // 0: nowhere, 1: small, 2: main
    std::vector<std::uint8_t> reads;
    std::vector<std::uint32_t> ghost;  // how often it is in `ghosts`
  };
  return [fit, moves, state = std::make_shared<State>()](std::uint32_t id) {
    State& s = *state;
    if (id >= s.where.size()) {
      s.where.resize(id + id / 2 + 1);
      s.reads.resize(s.where.size());
      s.ghost.resize(s.where.size());
    }
    if (s.where[id] != 0) {
      s.reads[id] = static_cast<std::uint8_t>(std::min(s.reads[id] + 1, 3));
      return true;
    }
    const std::size_t small_most = fit / 10;
    while (s.small.size() + s.main.size() >= fit) {
      if (s.small.size() >= small_most && !s.small.empty()) {
        const std::uint32_t oldest = s.small.front();
        s.small.pop_front();
        if (s.reads[oldest] >= moves) {
          s.where[oldest] = 2;
          s.reads[oldest] = 0;
          s.main.push_back(oldest);
        } else {
          s.where[oldest] = 0;
          s.ghosts.push_back(oldest);
          ++s.ghost[oldest];
          if (s.ghosts.size() > fit - small_most) {
            --s.ghost[s.ghosts.front()];
            s.ghosts.pop_front();
          }
        }
      } else {
        const std::uint32_t oldest = s.main.front();
        s.main.pop_front();
        if (s.reads[oldest] > 0) {
          --s.reads[oldest];
          s.main.push_back(oldest);
        } else {
          s.where[oldest] = 0;
        }
      }
    }
    s.reads[id] = 0;
    s.where[id] = s.ghost[id] > 0 ? 2 : 1;
    (s.where[id] == 2 ? s.main : s.small).push_back(id);
    return false;
  };
}

struct Larder {
  Ask ask;
  std::function<double()> entries;
};

Larder larder_itself(const std::filesystem::path& folder, std::uint64_t limit, larder::Policy policy) {
  larder::Options options;
  options.size_limit_bytes = limit;
  options.policy = policy;
  auto opened = larder::Cache::open(folder, options);
  if (!opened) die(opened.error().message);
  struct State {
    larder::Cache cache;
    Values values{kValueBytes};
    std::string value;
  };
  const auto state = std::make_shared<State>(State{std::move(opened).value(), Values(kValueBytes), {}});
  const Ask ask = [state](std::uint32_t id) {
    State& s = *state;
    const Op op = make_op(id, false, kKeyBytes);
    if (s.cache.get(op.key(kKeyBytes), s.value)) {
      if (!s.values.right(id, s.value, true)) die("a wrong value");
      return true;
    }
    if (auto set = s.cache.set(op.key(kKeyBytes), s.values.of(id)); !set) die(set.error().message);
    return false;
  };
  return {ask, [state] { return static_cast<double>(state->cache.stats().entries); }};
}

void print(const char* trace, const char* system, const char* metric, const char* unit, double ours, const char* rival,
           double theirs) {
  const auto rounded = [](double value) { return std::round(value * 1000) / 1000; };
  nlohmann::ordered_json line;
  line["bench"] = "eviction";
  line["workload"] = trace;
  line["system"] = system;
  line["metric"] = metric;
  line["unit"] = unit;
  line["value"] = rounded(ours);
  line["rival"] = rival;
  line["rival_value"] = rounded(theirs);
  line["ratio"] = rounded(ours / theirs);
  line["spread"] = nullptr;  // a trace is always the same
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

struct Named {
  const char* system;
  larder::Policy policy;
  const char* same;  // the rival that decides alike
};
constexpr Named kPolicies[] = {
    {"larder least-recently-used", larder::Policy::kLeastRecentlyUsed, "lru"},
    {"larder least-recently-stored", larder::Policy::kLeastRecentlyStored, "fifo"},
    {"larder least-frequently-used", larder::Policy::kLeastFrequentlyUsed, "lfu"},
};

double misses_percent(const Trace& trace, const Ask& ask) {
  std::size_t misses = 0;
  const std::size_t counted = trace.size() / 3;
  for (std::size_t at = 0; at < trace.size(); ++at) {
    if (!ask(trace[at]) && at >= counted) ++misses;
  }
  return 100.0 * static_cast<double>(misses) / static_cast<double>(trace.size() - counted);
}

int run_all(int argc, char** argv) {
  std::vector<std::string> names;
  std::filesystem::path dir;
  std::uint64_t limit_mib = 64;
  double scale = 1;
  bool policies = false;
  CLI::App app{"Misses of a full cache, beside policies that decide entry by entry"};
  app.add_option("trace", names, "names of traces; default: all");
  app.add_option("--dir", dir, "where caches are made; emptied at the end")->required();
  app.add_option("--limit-mib", limit_mib, "the size limit of all")->check(CLI::Range(16, 1024));
  app.add_option("--scale", scale, "times the requests of each trace");
  app.add_flag("--policies", policies, "the other policies too");
  CLI11_PARSE(app, argc, argv);

  const std::uint64_t limit = limit_mib << 20;
  const std::uint64_t fit = limit / kEntryBytes;
  const std::uint64_t keys = 10 * fit;
  const auto requests = static_cast<std::uint64_t>(scale * 30.0 * static_cast<double>(fit));
  std::filesystem::create_directories(dir);
  for (const std::string& name : names) {
    if (std::none_of(std::begin(kShapes), std::end(kShapes), [&](const Shape& at) { return at.name == name; }))
      die("there is no trace '" + name + "'");
  }
  for (const Shape& shape : kShapes) {
    if (!names.empty() && std::find(names.begin(), names.end(), shape.name) == names.end()) continue;
    const Trace trace = make_trace(shape, keys, fit, requests);
    const std::filesystem::path folder = dir / (std::string("eviction-") + shape.name);
    const auto play = [&](const char* system, larder::Policy policy) {
      std::filesystem::remove_all(folder);
      double misses = 0;
      {
        const Larder larder = larder_itself(folder, limit, policy);
        misses = misses_percent(trace, larder.ask);
        print(shape.name, system, "entries", "entries", larder.entries(), "s3fifo", static_cast<double>(fit));
      }
      std::filesystem::remove_all(folder);
      return misses;
    };
    const double ours = play("larder", larder::Policy::kS3Fifo);
    const std::pair<const char*, Ask> rivals[] = {{"s3fifo", s3fifo(fit, 2)},
                                                  {"s3fifo-1", s3fifo(fit, 1)},
                                                  {"lru", lru(fit)},
                                                  {"fifo", fifo(fit)},
                                                  {"lfu", lfu(fit)}};
    for (const auto& [rival, ask] : rivals) {
      const double theirs = misses_percent(trace, ask);
      print(shape.name, "larder", "misses", "%", ours, rival, theirs);
      for (const auto& [system, policy, same] : kPolicies) {
        if (policies && std::string_view(same) == rival)
          print(shape.name, system, "misses", "%", play(system, policy), rival, theirs);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run_all(argc, argv); }
