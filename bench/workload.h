// A workload: a small YAML file in bench/workloads that says what is asked of a system.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data.h"

namespace bench {

enum class Distribution {
  kUniform,  // any key that was stored
  kZipf,     // a few far more often than most
  kOnce,     // each key once, in no order
  kAbsent,   // keys that were never stored
};

struct Workload {
  std::string name;
  std::string about;
  std::uint64_t keys = 0;
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;
  unsigned threads = 1;
  unsigned processes = 1;
  Distribution distribution = Distribution::kUniform;
  double skew = 0;                // of kZipf
  unsigned set_percent = 0;       // the rest are gets
  bool fresh = false;             // begins with an empty store
  bool recently_used = false;     // what was not read for longest goes first, where a system has the choice
  std::uint64_t limit_bytes = 0;  // the store must evict to stay within; 0: it keeps everything

  unsigned workers() const { return threads * processes; }
};

// Reads every *.yaml in `folder`, in the order of tables (their `order`). Dies with file and line on a mistake.
std::vector<Workload> read_workloads(const std::filesystem::path& folder);

// As many operations as the workload has keys, for all workers together.
std::vector<Op> make_ops(const Workload& workload, std::uint64_t seed);

}  // namespace bench
