// What a cache does on this machine, beside what the machine's memory does: a large value can be no faster than memcpy.
//
// Every row is a loop by the clock, in five parts of which the middle one counts, taken in turn with memcpy's: what
// else the machine does for a moment falls on both. The keys are random, the values all alike. Comparisons with other
// caches and quantiles are the business of bench/; here a user sees whether a machine does what it should.
#include <larder/cache.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::uint64_t kLimitBytes = 512 << 20;

struct Words {
  std::string directory;
  std::string each = "500ms";
  unsigned threads = 0;
  bool json = false;
};

// How much is stored of each size: beyond the processor's caches, below the limit, so that nothing is evicted.
struct Load {
  std::size_t value_bytes;
  std::size_t entries;
  std::size_t batch;  // operations between two looks at the clock
};
constexpr Load kLoads[] = {{100, 400'000, 256}, {10 << 10, 12'000, 32}, {1 << 20, 100, 1}};
constexpr int kParts = 5;
constexpr std::size_t kLargeBytes = 10 << 10;  // from here on memory is what bounds

struct Row {
  std::string operation;
  std::size_t value_bytes = 0;
  unsigned threads = 1;
  double per_s = 0;     // operations, of all threads together
  double bytes_s = 0;   // copied, of all threads together; 0: nothing is
  double memory_s = 0;  // bytes that memcpy moves with as many threads; 0: not measured
};

std::atomic<bool> interrupted{false};
void interrupt(int) { interrupted.store(true); }

// A folder of our own, gone with its object. What else lies in `parent` is left alone.
class Folder {
 public:
  static Result<std::unique_ptr<Folder>> make(const std::filesystem::path& parent) {
    std::string name = (parent / "larder-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      const Code code = errno == ENOENT || errno == ENOTDIR                   ? Code::kNotFound
                        : errno == EACCES || errno == EPERM || errno == EROFS ? Code::kDenied
                        : errno == ENOSPC                                     ? Code::kNoSpace
                                                                              : Code::kIo;
      return Error{code, parent.string() + ": cannot make a directory there: " + std::strerror(errno)};
    }
    return std::unique_ptr<Folder>(new Folder(name));
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  bool in_memory() const {
    struct statfs about {};
    return ::statfs(path_.c_str(), &about) == 0 && about.f_type == 0x01021994;  // tmpfs
  }

 private:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// One line at the foot of a terminal, until the next.
class Progress {
 public:
  explicit Progress(std::size_t steps) : steps_(steps), shown_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() { clear(); }
  void step(const std::string& what) {
    ++step_;
    if (!shown_) return;
    clear();
    const std::string line = std::to_string(step_) + " of " + std::to_string(steps_) + ": " + what;
    (void)!::write(STDERR_FILENO, line.data(), line.size());
  }

 private:
  void clear() const {
    constexpr std::string_view kClear = "\r\x1b[K";
    if (shown_) (void)!::write(STDERR_FILENO, kClear.data(), kClear.size());
  }

  const std::size_t steps_;
  const bool shown_;
  std::size_t step_ = 0;
};

// xorshift64*: cheap enough to disappear beside what is measured.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  std::size_t below(std::size_t limit) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::size_t>((state_ * 0x2545f4914f6cdd1d >> 33) % limit);
  }

 private:
  std::uint64_t state_;
};

// Operations a second of `threads` threads, each calling `work` (which does `batch` operations) until `each` is over.
template <typename Work>
Result<double> rate(unsigned threads, std::size_t batch, std::chrono::microseconds each, Work&& work) {
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  Mutex mutex;
  double sum = 0;
  Status failed;
  std::vector<std::thread> all;
  for (unsigned i = 0; i < threads; ++i) {
    all.emplace_back([&, i] {
      Dice dice(i + 1);
      auto mine = work(i);
      ready.fetch_add(1);
      while (!go.load()) std::this_thread::yield();
      const auto begin = SteadyClock::now();
      auto now = begin;
      std::uint64_t done = 0;
      Status status;
      while (status.ok() && now - begin < each && !interrupted.load(std::memory_order_relaxed)) {
        for (std::size_t turn = 0; turn < batch && status.ok(); ++turn) status = mine(dice);
        done += batch;
        now = SteadyClock::now();
      }
      const double seconds = std::chrono::duration<double>(now - begin).count();
      MutexLock lock(mutex);
      if (seconds > 0) sum += static_cast<double>(done) / seconds;
      if (!status.ok()) failed = std::move(status);
    });
  }
  while (ready.load() < threads) std::this_thread::yield();
  go.store(true);
  for (std::thread& thread : all) thread.join();
  TRY(std::move(failed));
  if (interrupted.load()) return Error{Code::kCancelled, "stopped; nothing was left behind"};
  return sum;
}

// As much memory as the cache holds, touched once.
class Memory {
 public:
  explicit Memory(const Load& load) : load_(load), bytes_(load.entries * load.value_bytes, 'm') {}

  // Bytes a second that memcpy moves between one buffer and random places, each thread's own: the same work as a get
  // (out of the places) or a set (into them) without all that makes it a cache.
  Result<double> rate(bool out, unsigned threads, std::chrono::microseconds each) {
    const std::size_t places = std::max<std::size_t>(1, load_.entries / threads);
    const std::size_t bytes = load_.value_bytes;
    const auto work = [&](unsigned thread) {
      char* const mine = bytes_.data() + thread * places % load_.entries * bytes;
      return [=, one = std::vector<char>(bytes, 'b')](Dice& dice) mutable -> Status {
        char* const place = mine + dice.below(places) * bytes;
        std::memcpy(out ? one.data() : place, out ? place : one.data(), bytes);
        asm volatile("" : : "r"(one.data()) : "memory");  // NOLINT(hicpp-no-assembler): else nobody reads it
        return {};
      };
    };
    return TRY(cli::rate(threads, load_.batch, each, work)) * static_cast<double>(bytes);
  }

 private:
  const Load load_;
  std::vector<char> bytes_;
};

std::string name_of(std::size_t number) {
  std::string key = std::to_string(number);
  return "bench:" + key.insert(0, 14 - std::min<std::size_t>(14, key.size()), '0');
}

// The three operations on one size of value.
class Bench {
 public:
  static Result<std::unique_ptr<Bench>> open(const std::filesystem::path& directory, const Load& load) {
    Options options;
    options.size_limit_bytes = kLimitBytes;
    std::unique_ptr<Bench> bench(new Bench(TRY(Cache::open(directory, options)), load));
    for (const std::string& key : bench->keys_) {
      TRY(bench->cache_.set(key, bench->value_));
      if (interrupted.load()) break;
    }
    return bench;
  }

  Result<double> run(std::string_view operation, unsigned threads, std::chrono::microseconds each) {
    const auto key = [this](Dice& dice) -> const std::string& { return keys_[dice.below(keys_.size())]; };
    const Error lost{Code::kInternal, "an entry that was stored is not there"};
    if (operation == "set")
      return rate(threads, load_.batch, each,
                  [&](unsigned) { return [&](Dice& dice) { return cache_.set(key(dice), value_); }; });
    if (operation == "get")
      return rate(threads, load_.batch, each, [&](unsigned) {
        return [&, copy = std::string()](Dice& dice) mutable -> Status {
          if (!cache_.get(key(dice), copy)) return lost;
          return {};
        };
      });
    return rate(threads, load_.batch, each, [&](unsigned) {
      return [&](Dice& dice) -> Status {
        const std::optional<Pin> pin = cache_.get(key(dice));
        if (!pin || static_cast<const volatile char&>(pin->bytes().front()) != 'v') return lost;
        return {};
      };
    });
  }

 private:
  Bench(Cache cache, const Load& load) : cache_(std::move(cache)), load_(load), value_(load.value_bytes, 'v') {
    for (std::size_t i = 0; i < load.entries; ++i) keys_.push_back(name_of(i));
  }

  Cache cache_;
  const Load load_;
  const std::string value_;
  std::vector<std::string> keys_;
};

double middle(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

std::string rounded(double number, const char* unit) {
  char text[48];
  const int digits = number < 10 ? 2 : number < 100 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f %s", digits, number, unit);
  return text;
}

std::string rate_text(double per_s) {
  return per_s >= 1e6 ? rounded(per_s / 1e6, "M") : per_s >= 1e3 ? rounded(per_s / 1e3, "k") : rounded(per_s, "");
}

std::string time_text(double ns) {
  return ns < 1e3 ? rounded(ns, "ns") : ns < 1e6 ? rounded(ns / 1e3, "µs") : rounded(ns / 1e6, "ms");
}

double ns_each(const Row& row) { return 1e9 * row.threads / row.per_s; }

void show(const std::vector<Row>& rows, const Look& look) {
  if (look.json) {
    for (const Row& row : rows) {
      Json line{{"operation", row.operation},
                {"value_bytes", row.value_bytes},
                {"threads", row.threads},
                {"operations_per_s", row.per_s},
                {"ns_per_operation", ns_each(row)}};
      if (row.bytes_s > 0) line["bytes_per_s"] = row.bytes_s;
      if (row.memory_s > 0) {
        line["memcpy_bytes_per_s"] = row.memory_s;
        line["of_memcpy"] = row.bytes_s / row.memory_s;
      }
      put(line_of(line));
    }
    return;
  }
  using Align = Table::Align;
  Table table({{"OPERATION"},
               {"VALUE", Align::kRight},
               {"THREADS", Align::kRight},
               {"A SECOND", Align::kRight},
               {"EACH", Align::kRight},
               {"BYTES/S", Align::kRight},
               {"MEMCPY", Align::kRight},
               {"SHARE", Align::kRight}});
  for (const Row& row : rows) {
    char share[16] = "";
    if (row.memory_s > 0) std::snprintf(share, sizeof share, "%.0f %%", 100 * row.bytes_s / row.memory_s);
    const auto bytes = [](double number) { return number > 0 ? format_bytes(static_cast<std::uint64_t>(number)) : ""; };
    table.add({row.operation, format_bytes(row.value_bytes), std::to_string(row.threads), rate_text(row.per_s),
               time_text(ns_each(row)), bytes(row.bytes_s), bytes(row.memory_s), share});
  }
  put(table.text(look));
}

Status run(const Words& words) {
  const std::int64_t each_ms = TRY([&]() -> Result<std::int64_t> {
    Result<std::int64_t> parsed = parse_duration_ms(words.each);
    if (!parsed.ok()) return std::move(parsed).error().in("--each");
    if (*parsed < 1 || *parsed > 60'000) return Error{Code::kInvalid, "--each: must be 1ms to 1min"};
    return parsed;
  }());
  const std::chrono::microseconds each(each_ms * 1000);
  std::error_code problem;
  const std::filesystem::path parent =
      words.directory.empty() ? std::filesystem::temp_directory_path(problem) : std::filesystem::path(words.directory);
  if (problem) return Error{Code::kNotFound, "no directory for temporary files: " + problem.message()};
  std::vector<unsigned> counts{1};
  const unsigned most = words.threads != 0 ? words.threads : std::max(1u, std::thread::hardware_concurrency());
  if (most > 1) counts.push_back(most);

  const std::unique_ptr<Folder> folder = TRY(Folder::make(parent));
  struct sigaction action {};
  action.sa_handler = interrupt;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);

  std::vector<Row> rows;
  {
    const auto large = [](const Load& load) { return load.value_bytes >= kLargeBytes; };
    Progress progress(counts.size() * 3 * std::size(kLoads) + std::size(kLoads));
    const auto threads_text = [](unsigned threads) {
      return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
    };
    for (const Load& load : kLoads) {
      const std::string size = format_bytes(load.value_bytes);
      const std::filesystem::path directory = folder->path() / std::to_string(load.value_bytes);
      progress.step("filling a cache with values of " + size);
      const std::unique_ptr<Bench> bench = TRY(Bench::open(directory, load));
      std::optional<Memory> memory;
      if (large(load)) memory.emplace(load);
      for (const char* operation : {"set", "get", "view"}) {
        const bool copies = std::strcmp(operation, "view") != 0;
        for (const unsigned threads : counts) {
          const std::string of = std::string(operation) + " of " + size + ", " + threads_text(threads);
          progress.step(of);
          std::vector<double> ours;
          std::vector<double> memcpys;
          for (int i = 0; i < kParts; ++i) {
            ours.push_back(TRY(bench->run(operation, threads, each / kParts)));
            if (copies && memory)
              memcpys.push_back(TRY(memory->rate(std::strcmp(operation, "get") == 0, threads, each / kParts)));
          }
          Row row{operation, load.value_bytes, threads, middle(ours), 0, 0};
          if (copies) row.bytes_s = row.per_s * static_cast<double>(load.value_bytes);
          if (!memcpys.empty()) row.memory_s = middle(memcpys);
          rows.push_back(row);
        }
      }
      std::filesystem::remove_all(directory, problem);
    }
  }
  const Look look = look_of_stdout(words.json);
  show(rows, look);
  if (!look.json)
    put(faint("In " + printable(parent.string()) + (folder->in_memory() ? ", which is memory" : ", which is a disk") +
                  "; flushed every second, as caches are unless told otherwise. A view is a value without a copy.\n"
                  "MEMCPY: as many bytes between one buffer and random places of as much memory.",
              look) +
        "\n");
  return {};
}

}  // namespace

Run declare_bench(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("directory", words->directory,
                 "Where to work; without, where temporary files go. Nothing is left there");
  app.add_option("--threads", words->threads, "How many threads beside one; 0: as many as the machine has")
      ->type_name("COUNT")
      ->check(CLI::Range(0, 256).description(""))
      ->capture_default_str();
  app.add_option("--each", words->each, "How long each row is measured")->type_name("DURATION")->capture_default_str();
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
