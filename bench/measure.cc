#include "measure.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION (void)0
#define CALLGRIND_STOP_INSTRUMENTATION (void)0
#endif

namespace bench {
namespace {

constexpr std::size_t kBatch = 32;         // operations handed over at once; the depth of a pipeline
constexpr std::size_t kBetweenLooks = 32;  // batches between two looks at the clock
constexpr unsigned kWorkersMax = 64;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Counts of durations; 32 steps an octave, so a quantile is right within 3 %.
struct Histogram {
  static constexpr unsigned kSteps = 32;
  std::atomic<std::uint32_t> counts[64 * kSteps];

  static unsigned bucket(std::uint64_t ns) {
    if (ns < kSteps) return static_cast<unsigned>(ns);
    const unsigned octave = 63 - static_cast<unsigned>(std::countl_zero(ns));
    return (octave - 4) * kSteps + static_cast<unsigned>((ns >> (octave - 5)) & (kSteps - 1));
  }
  static double value(unsigned bucket) {
    if (bucket < kSteps) return bucket;
    const unsigned octave = bucket / kSteps + 4;
    return static_cast<double>((1ULL << octave) + ((static_cast<std::uint64_t>(bucket % kSteps)) << (octave - 5)));
  }

  void add(std::uint64_t ns) { counts[bucket(ns)].fetch_add(1, std::memory_order_relaxed); }
  double quantile(double share) const {
    std::uint64_t all = 0, seen = 0;
    for (const auto& count : counts) all += count;
    for (unsigned at = 0; at < 64 * kSteps; ++at) {
      seen += counts[at];
      if (static_cast<double>(seen) >= share * static_cast<double>(all)) return value(at);
    }
    return 0;
  }
};

// What the processes of one run share. Zero-filled by mmap, which is what every member begins with.
struct Shared {
  std::atomic<unsigned> warm, ready;
  std::atomic<std::uint64_t> ops, gets, hits, wrong, cpu_ns, bytes;
  std::uint64_t start_ns[kWorkersMax], end_ns[kWorkersMax];
  Histogram latency, gets_latency;
};

// Waits until all have come here.
void meet(std::atomic<unsigned>& here, unsigned all) {
  here.fetch_add(1);
  while (here.load() < all) std::this_thread::yield();
}

std::uint64_t own_cpu_ns() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto ns = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(t.tv_usec) * 1000U;
  };
  return ns(used.ru_utime) + ns(used.ru_stime);
}

// Of all threads of another process, as the scheduler counts it.
std::uint64_t cpu_ns_of(int pid) {
  std::uint64_t sum = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::uint64_t ns = 0;
    std::ifstream(task.path() / "schedstat") >> ns;
    sum += ns;
  }
  return sum;
}

struct Job {
  const System& system;
  const Place& place;
  const Workload& workload;
  const std::vector<Op>& ops;
  Mode mode;
  const Limits& limits;
  Shared& shared;
};

// The whole life of one worker, number `index` of all.
void work(const Job& job, Store& store, unsigned index, unsigned workers) {
  Shared& shared = job.shared;
  const std::size_t share = job.ops.size() / workers;
  const Op* first = job.ops.data() + index * share;
  const Op* last = first + share;
  Values values(job.workload.value_bytes);
  Tally tally{&values, job.workload.key_bytes};
  const auto worker = store.worker();

  if (job.mode != Mode::kFill && !job.workload.fresh) {
    std::vector<Op> reads(first, first + std::min<std::size_t>(share, job.limits.warm_ops));
    for (Op& op : reads) op.write = 0;
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(job.limits.warm_seconds * 1e9);
    for (std::size_t at = 0; at < reads.size() && now_ns() < end; at += kBatch) {
      worker->run(&reads[at], std::min(kBatch, reads.size() - at), tally);
    }
    tally.hits = 0;
  }
  meet(shared.warm, workers);

  // Process-wide CPU time is taken by the first thread of each process, between the two meetings.
  const bool counts_cpu = index % job.workload.threads == 0;
  const std::uint64_t cpu_before = counts_cpu ? own_cpu_ns() : 0;
  meet(shared.ready, workers);

  if (job.mode == Mode::kTime) CALLGRIND_START_INSTRUMENTATION;
  const std::uint64_t start = now_ns();
  const std::uint64_t end =
      job.mode == Mode::kFill ? ~0ULL : start + static_cast<std::uint64_t>(job.limits.run_seconds * 1e9);
  const Op* at = first;
  if (job.mode == Mode::kLatency) {
    last = std::min(last, first + job.limits.latency_ops);
    for (std::uint64_t before = now_ns(); at < last && before < end; before = now_ns(), ++at) {
      worker->run(at, 1, tally);
      const std::uint64_t took = now_ns() - before;
      shared.latency.add(took);
      if (at->write == 0) shared.gets_latency.add(took);
    }
  } else {
    while (at < last && now_ns() < end) {
      for (std::size_t batch = 0; batch < kBetweenLooks && at < last; ++batch) {
        const std::size_t count = std::min<std::size_t>(kBatch, static_cast<std::size_t>(last - at));
        worker->run(at, count, tally);
        at += count;
      }
    }
  }
  CALLGRIND_STOP_INSTRUMENTATION;
  shared.end_ns[index] = now_ns();
  shared.start_ns[index] = start;
  shared.ops += static_cast<std::uint64_t>(at - first);
  shared.gets += static_cast<std::uint64_t>(std::count_if(first, at, [](const Op& op) { return op.write == 0; }));
  shared.hits += tally.hits;
  shared.wrong += tally.wrong;
  if (counts_cpu) shared.cpu_ns += own_cpu_ns() - cpu_before;
}

// The whole life of one process.
void live(const Job& job, unsigned process, unsigned processes, unsigned threads) {
  const auto store = job.system.open(job.place);
  if (!job.system.shared && job.mode != Mode::kFill && !job.workload.fresh) {
    Values values(job.workload.value_bytes);
    Tally tally{&values, job.workload.key_bytes};
    const auto worker = store->worker();
    for (std::uint32_t id = 0; id < job.workload.keys; ++id) {
      const Op op = make_op(id, true, job.workload.key_bytes);
      worker->run(&op, 1, tally);
    }
  }
  std::vector<std::thread> others;
  for (unsigned thread = 1; thread < threads; ++thread) {
    others.emplace_back([&, thread] { work(job, *store, process * threads + thread, processes * threads); });
  }
  work(job, *store, process * threads, processes * threads);
  for (std::thread& other : others) other.join();
  if (job.mode == Mode::kFill) {
    store->settle();
    job.shared.bytes = store->bytes(job.place);
  }
}

}  // namespace

Figures run(const System& system, const Place& place, const Server* server, const Workload& workload,
            const std::vector<Op>& ops, Mode mode, const Limits& limits) {
  const unsigned processes = mode == Mode::kFill ? 1 : workload.processes;
  const unsigned threads = mode == Mode::kFill ? 1 : workload.threads;
  if (processes * threads > kWorkersMax) die("at most " + std::to_string(kWorkersMax) + " workers");
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("no memory for a run's figures");
  auto& shared = *static_cast<Shared*>(memory);
  const Job job{system, place, workload, ops, mode, limits, shared};

  const std::uint64_t server_cpu = server != nullptr ? cpu_ns_of(server->pid()) : 0;
  std::fflush(nullptr);
  std::vector<pid_t> children;
  const pid_t parent = getpid();
  for (unsigned process = 0; process < processes; ++process) {
    const pid_t child = fork();
    if (child < 0) die("fork failed");
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      live(job, process, processes, threads);
      std::fflush(nullptr);
      _exit(0);
    }
    children.push_back(child);
  }
  // When one fails, or the server ends, the others would wait for ever.
  for (std::size_t left = children.size(); left > 0; --left) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (status != 0 || std::find(children.begin(), children.end(), ended) == children.end()) {
      for (pid_t child : children) kill(child, SIGKILL);
      die(std::string(system.name) + " failed in workload " + workload.name);
    }
  }

  Figures figures;
  figures.ops = shared.ops;
  figures.gets = shared.gets;
  figures.hits = shared.hits;
  figures.bytes = shared.bytes;
  const auto done = static_cast<double>(std::max<std::uint64_t>(figures.ops, 1));
  const unsigned workers = processes * threads;
  const std::uint64_t start = *std::min_element(shared.start_ns, shared.start_ns + workers);
  const std::uint64_t end = *std::max_element(shared.end_ns, shared.end_ns + workers);
  figures.wall_ns = static_cast<double>(end - start) / done;
  figures.cpu_ns = static_cast<double>(shared.cpu_ns) / done;
  if (server != nullptr) figures.cpu_ns += static_cast<double>(cpu_ns_of(server->pid()) - server_cpu) / done;
  if (mode == Mode::kLatency) {
    figures.p50_ns = shared.latency.quantile(0.5);
    figures.p99_ns = shared.latency.quantile(0.99);
    figures.p999_ns = shared.latency.quantile(0.999);
    figures.get_p50_ns = shared.gets_latency.quantile(0.5);
    figures.get_p999_ns = shared.gets_latency.quantile(0.999);
  }
  const std::uint64_t wrong = shared.wrong;
  munmap(memory, sizeof(Shared));

  if (wrong > 0) die(std::string(system.name) + " gave " + std::to_string(wrong) + " wrong values in " + workload.name);
  const bool keeps_all = place.limit_bytes == 0 && mode != Mode::kFill && !workload.fresh;
  const std::uint64_t due = workload.distribution == Distribution::kAbsent ? 0 : figures.gets;
  if (keeps_all && figures.hits != due) {
    die(std::string(system.name) + " found " + std::to_string(figures.hits) + " of " + std::to_string(due) +
        " keys in " + workload.name);
  }
  return figures;
}

}  // namespace bench
