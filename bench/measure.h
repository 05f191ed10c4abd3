// Runs a workload's operations on one system, in processes of their own, and says what they took.
//
// Every run forks: the system is opened by the new processes alone, so nothing of one run (heap, caches, threads, file
// locks) is left for the next. Workers wait for one another, run the same number of operations each, and the clock runs
// from the first start to the last end. Throughput and latency are different runs: reading the clock around each
// operation costs as much as a fast one takes.
#pragma once

#include <cstdint>
#include <vector>

#include "system.h"
#include "workload.h"

namespace bench {

enum class Mode {
  kFill,     // store the operations' keys once, by one worker, and settle
  kTime,     // throughput
  kLatency,  // each operation by itself
};

struct Limits {
  double run_seconds = 1.5;   // a run ends early when it takes longer; its figure is for what it did
  double warm_seconds = 0.7;  // reads before the clock runs, so that pages are mapped and caches are filled
  std::uint64_t warm_ops = 300'000;
  std::uint64_t latency_ops = 100'000;
};

struct Figures {
  std::uint64_t ops = 0;
  std::uint64_t gets = 0;
  std::uint64_t hits = 0;
  double wall_ns = 0;                          // an operation, all workers together
  double cpu_ns = 0;                           // an operation: this system's processes, threads and server
  double p50_ns = 0, p99_ns = 0, p999_ns = 0;  // kLatency
  double get_p50_ns = 0, get_p999_ns = 0;      // of the gets alone
  std::uint64_t bytes = 0;                     // kFill: what the store takes
};

// Dies when a value is wrong, or a key is missing that the system has no right to have lost.
Figures run(const System& system, const Place& place, const Server* server, const Workload& workload,
            const std::vector<Op>& ops, Mode mode, const Limits& limits);

}  // namespace bench
