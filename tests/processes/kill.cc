// Processes that share a cache and die in the middle of it, thousands of times.
//
// Writers are forked; one of them is killed with SIGKILL at a named step of a change (engine/steps.h), or at a random
// moment, or while it repairs what the one before left. Before each call a writer notes in shared memory what it is
// about to do, after it that it was answered. When everybody has stopped, the cache must have no fault, and each key
// must have the last answered value, or the one that was on its way when its writer died. Where room is made it may be
// missing; it may never be older, or of another key, or torn. A reader watches all the time.
//
// Writers also move amounts between accounts that lie in different shards, by transactions that write the same number
// under several keys besides: the sum of the accounts never changes, and a reader who has seen a number under one key
// never sees a lower one under another.
//
//   larder_kill [--kills N] [--seed N] [--only STEP] [--verbose]
#include <larder/transaction.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_process.h"

namespace larder {
namespace {

using engine::Step;

constexpr auto kStepNames = std::to_array<const char*>({
    "locked",           "record_half",       "record_whole",        "redo_half",          "redo_noted",
    "used_moved",       "accounts_moved",    "slot_stored",         "redo_done",          "split_marked",
    "split_copied",     "split_published",   "split_cleaned",       "overflow_taken",     "segment_taken",
    "segment_headed",   "segment_active",    "victim_chosen",       "victim_step",        "victim_moved",
    "victim_empty",     "generation_raised", "victim_draining",     "segment_freed",      "clear_noted",
    "clear_half",       "transaction_noted", "transaction_written", "transaction_hidden", "transaction_decided",
    "transaction_step", "transaction_done",  "blob_made",           "blob_written",       "blob_dropped",
    "flushed",          "horizon_noted",     "backup_held",         "backup_next",        "backup_copied",
    "backup_whole",
});
static_assert(kStepNames.size() == static_cast<std::size_t>(Step::kCount));

// --- What the dead leave behind --------------------------------------------------------------------------------------

constexpr int kWriters = 3;
constexpr int kKeys = 150;  // of each writer
constexpr int kAccounts = 8;
constexpr int kEach = 1000;  // on each account at first
constexpr int kMarks = 4;    // keys that always have the same number

// The value of a key is a number, 0 when it is absent; from it follow the bytes.
struct Noted {
  std::atomic<std::uint64_t> answered;
  std::atomic<std::uint64_t> on_its_way;
};
struct Journal {
  Noted keys[kWriters][kKeys];
  std::atomic<std::int64_t> counted;   // answered increments of the counter
  std::atomic<std::int64_t> counting;  // begun ones
  std::atomic<std::uint64_t> clearing;
  std::atomic<std::uint64_t> next;
  std::atomic<std::uint64_t> calls;
  std::atomic<bool> stop;
  std::atomic<bool> clears;  // in this round somebody clears
  std::atomic<bool> wrong;
  char what[400];
};

void fail(Journal& journal, const std::string& what) {
  if (!journal.wrong.exchange(true)) std::snprintf(journal.what, sizeof(journal.what), "%s", what.c_str());
}

std::string key_name(int writer, int key) { return "writer " + std::to_string(writer) + " key " + std::to_string(key); }

std::string account(std::uint64_t i) { return "account " + std::to_string(i % kAccounts); }
std::string mark(std::uint64_t i) { return "mark " + std::to_string(i % kMarks); }

std::string value_of(const std::string& key, std::uint64_t number, bool large) {
  const std::uint64_t size = number * 0x9e3779b97f4a7c15ULL >> 52;  // up to 4095
  std::string value = std::to_string(number) + ":" + key + ":";
  const bool own_file = number % 32 == 7;
  const std::size_t wanted = value.size() + (number % 4 == 0 ? size % 64
                                             : own_file      ? 65536 + size * 8
                                             : large         ? size * 8
                                                             : size);
  while (value.size() < wanted) value += static_cast<char>('a' + value.size() % 23);
  return value;
}

// The number in a value, when the value is whole and of this key.
std::optional<std::uint64_t> number_in(const std::string& key, std::string_view value, bool large) {
  std::uint64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  if (number == 0 || value != value_of(key, number, large)) return std::nullopt;
  return number;
}

// --- One process -----------------------------------------------------------------------------------------------------

// Where this process is to die: the `left`-th time at `at`, or at any step when `at` is kCount.
struct Doom {
  Step at = Step::kCount;
  long left = -1;  // less than zero: never
};
Step doom_at = Step::kCount;
std::atomic<long> doom_left{-1};  // the flusher takes steps, too

void die_at(Step at) {
  if (doom_left < 0 || (doom_at != Step::kCount && at != doom_at)) return;
  if (doom_left-- == 0) ::kill(::getpid(), SIGKILL);
}

struct World {
  std::filesystem::path directory;
  std::filesystem::path copies;  // where backups go
  Options options;
  bool evicts = false;
};

struct Task {
  int writer = 0;
  std::uint64_t seed = 0;
  Doom fate;
  bool grows = false;   // writes many small entries, so that the index grows
  bool clears = false;  // clears now and then; only when alone
  bool copies = false;  // makes a backup now and then
  long calls_most = 0;
};

Cache open(const World& world) {
  Result<Cache> cache = Cache::open(world.directory, world.options);
  if (!cache.ok()) {
    std::fprintf(stderr, "open: %s\n", cache.error().message.c_str());
    engine::leave(3);
  }
  return std::move(cache).value();
}

template <typename T>
T must(Journal& journal, Result<T> result) {
  if (!result.ok()) {
    fail(journal, "a call was refused: " + result.error().message);
    engine::leave(3);
  }
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

// Set, in time: the pins of a process that gets no processor may hold the whole cache for longer than a writer waits,
// but those of the dead may not.
void set_with_room(Journal& journal, Cache& cache, const std::string& key, const std::string& value) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  for (;;) {
    const Status set = cache.set(key, value);
    if (set.ok()) return;
    if (set.error().code != Code::kNoSpace || std::chrono::steady_clock::now() > until) must(journal, set);
  }
}

[[noreturn]] void write(Journal& journal, const World& world, const Task& task, Cache* inherited) {
  {
    doom_at = task.fate.at;
    doom_left = task.fate.left;
    if (task.fate.left >= 0) engine::step_hook.store(die_at);
    std::optional<Cache> own;
    if (inherited == nullptr) own.emplace(open(world));
    Cache& cache = inherited != nullptr ? *inherited : *own;
    std::mt19937_64 random(task.seed);
    // Whoever died before us may have left half a clear, which our first change completes.
    const bool may_miss = world.evicts || journal.clearing != 0;
    std::vector<Pin> pins;
    for (long call = 0; call < task.calls_most && !journal.stop && !journal.wrong; ++call) {
      const int number = static_cast<int>(random() % kKeys);
      Noted& noted = journal.keys[task.writer][number];
      // What a dead one had on its way may have happened or not: left alone until compare() has looked.
      if (noted.answered != noted.on_its_way) continue;
      const std::string key = key_name(task.writer, number);
      const std::uint64_t what = random() % 100;
      if (what >= 98 && !task.clears) {
        const std::uint64_t from = random();
        const std::uint64_t to = random();
        must(journal, cache.transact(
                          [&](Transaction& t) -> Status {
                            if (Result<std::int64_t> r = t.incr(account(from), -1); !r.ok()) return r.error();
                            if (Result<std::int64_t> r = t.incr(account(to), 1); !r.ok()) return r.error();
                            for (std::uint64_t i = 0; i < kMarks; ++i) {
                              if (Result<std::int64_t> r = t.incr(mark(i)); !r.ok()) return r.error();
                            }
                            return {};
                          },
                          60'000));
      } else if (task.clears && what == 0) {
        journal.clearing = 1;
        must(journal, cache.clear());
        for (auto& of_writer : journal.keys) {
          for (Noted& each : of_writer) each.answered = each.on_its_way = 0;
        }
        journal.counted = journal.counting = 0;
        journal.clearing = 0;
      } else if (task.grows && what < 70) {
        set_with_room(journal, cache, "grows " + std::to_string(journal.next++), "");
      } else if (what < 55) {
        const std::uint64_t next = ++journal.next;
        noted.on_its_way = next;
        set_with_room(journal, cache, key, value_of(key, next, world.evicts));
        noted.answered = next;
      } else if (what < 70) {
        noted.on_its_way = 0;
        const bool there = must(journal, cache.del(key));
        if (there != (noted.answered != 0) && !may_miss) fail(journal, key + ": del() did not know it");
        noted.answered = 0;
      } else if (what < 80) {
        ++journal.counting;
        must(journal, cache.incr("counter"));
        ++journal.counted;
      } else if (what < 85) {
        must(journal, cache.touch(key, what == 80 ? 0 : 3'600'000));
      } else if (what < 97) {
        std::optional<Pin> pin = cache.get(key);
        const std::uint64_t expected = noted.answered;
        if (pin && number_in(key, pin->bytes(), world.evicts) != expected)
          fail(journal, key + ": its own writer reads something else");
        if (!pin && expected != 0 && !may_miss) fail(journal, key + ": its own writer does not find it");
        // Some pins are held while this process dies.
        if (pin && what < 87) pins.push_back(std::move(*pin));
        if (pins.size() > 5) pins.clear();
      } else if (what == 97 && task.copies) {
        const std::filesystem::path copy = world.copies / std::to_string(call);
        // A process that gets no processor for a second may be refused; that is no loss.
        const Status copied = cache.backup(copy);
        if (!copied.ok() && copied.error().code != Code::kUnavailable) must(journal, copied);
        std::filesystem::remove_all(copy);
      } else if (what == 97) {
        must(journal, cache.flush());
      }
      ++journal.calls;
    }
    engine::step_hook.store(nullptr);
  }
  engine::leave(0);
}

void check_sum(Journal& journal, Cache& cache) {
  std::int64_t sum = 0;
  // Whatever the work sees must be right, even when it is run again.
  must(journal, cache.transact(
                    [&](Transaction& t) -> Status {
                      sum = 0;
                      for (std::uint64_t i = 0; i < kAccounts; ++i) {
                        Result<std::optional<std::string>> value = t.get(account(i));
                        if (!value.ok()) return value.error();
                        sum += value->has_value() ? std::stoll(**value) : 0;
                      }
                      if (sum != kAccounts * kEach)
                        fail(journal, "the accounts have " + std::to_string(sum) + " together");
                      return {};
                    },
                    60'000));
}

[[noreturn]] void watch(Journal& journal, const World& world, std::uint64_t seed) {
  {
    Cache cache = open(world);
    std::mt19937_64 random(seed);
    std::string value;
    const auto number = [&](const std::string& key) { return cache.get(key, value) ? std::stoll(value) : 0; };
    while (!journal.stop && !journal.wrong) {
      if (!journal.clears && random() % 4 == 0) {
        const std::uint64_t one = random();
        const std::uint64_t other = random();
        const long long before = number(mark(one));
        const long long after = number(mark(other));
        if (after < before)
          fail(journal,
               "a reader saw half of a transaction: " + std::to_string(before) + " and then " + std::to_string(after));
      }
      if (!journal.clears && random() % 16 == 0) check_sum(journal, cache);
      const std::string key = key_name(static_cast<int>(random() % kWriters), static_cast<int>(random() % kKeys));
      if (cache.get(key, value) && !number_in(key, value, world.evicts))
        fail(journal, key + ": a reader sees a torn or foreign value");
      if (std::optional<Pin> pin = cache.get(key)) {
        const std::string before(pin->bytes());
        if (!number_in(key, before, world.evicts)) fail(journal, key + ": a pin on a torn or foreign value");
        for (int i = 0; i < 20; ++i) {
          if (pin->bytes() != before) fail(journal, key + ": pinned bytes changed");
        }
      }
    }
  }
  engine::leave(0);
}

// --- The parent ------------------------------------------------------------------------------------------------------

class Test {
 public:
  explicit Test(std::uint64_t seed) : random_(seed) {
    void* shared = ::mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LARDER_CHECK(shared != MAP_FAILED);
    journal_ = new (shared) Journal{};
    new_world();
  }
  ~Test() { ::munmap(journal_, sizeof(Journal)); }
  Test(const Test&) = delete;
  Test& operator=(const Test&) = delete;

  // One round; where somebody is to die. False: something is wrong.
  bool round(Step at, bool at_random_time, bool verbose) {
    if (++rounds_ % 40 == 0) new_world();
#if defined(__SANITIZE_THREAD__)
    // It knows no children of processes with threads: the flusher's, which a repair can begin, ends with its Cache.
    cache_.reset();
    cache_.emplace(open(world_));
#endif
    const bool clears = at == Step::kClearNoted || at == Step::kClearHalf;
    const bool splits = at >= Step::kSplitMarked && at <= Step::kOverflowTaken;
    const bool copies = at >= Step::kBackupHeld && at <= Step::kBackupWhole;
    journal_->stop = false;
    journal_->clears = clears;
    std::map<pid_t, Task> writers;
    const int count = clears ? 1 : kWriters;
    pid_t doomed = 0;
    for (int i = 0; i < count; ++i) {
      Task task{.writer = i, .seed = random_(), .grows = splits, .clears = clears, .calls_most = 1'000'000};
      if (i == 0) {
        task.copies = copies;
        task.calls_most = 30'000;
        if (!at_random_time) task.fate = {at, static_cast<long>(random_() % occurrences(at))};
      }
      // Half of them use the Cache that they inherit from us.
      Cache* inherited = random_() % 2 == 0 ? &*cache_ : nullptr;
      const pid_t pid = fork_into([&] { write(*journal_, world_, task, inherited); });
      if (i == 0) doomed = pid;
      writers.emplace(pid, task);
    }
    const std::uint64_t seed = random_();
    const pid_t watcher = fork_into([&] { watch(*journal_, world_, seed); });
    if (at_random_time) {
      std::this_thread::sleep_for(std::chrono::microseconds(random_() % 5000));
      ::kill(doomed, SIGKILL);
    }
    const bool died = wait_for(doomed);
    (died ? kills_ : escapes_) += 1;
    if (died) ++killed_at_[at_random_time ? "random time" : kStepNames[static_cast<std::size_t>(at)]];
    // Those who are left work on for a moment with what the dead one left.
    const std::uint64_t calls = journal_->calls;
    while (count > 1 && journal_->calls < calls + 50 && !journal_->wrong) std::this_thread::yield();
    journal_->stop = true;
    for (const auto& [pid, task] : writers) {
      if (pid != doomed) wait_for(pid);
    }
    wait_for(watcher);
    // Now and then somebody dies while repairing, too.
    for (int i = 0; random_() % 3 == 0 && i < 4; ++i) {
      journal_->stop = false;
      Task task{
          .writer = 0, .seed = random_(), .fate = {Step::kCount, static_cast<long>(random_() % 40)}, .calls_most = 50};
      const pid_t pid = fork_into([&] { write(*journal_, world_, task, nullptr); });
      if (wait_for(pid)) {
        ++kills_;
        ++killed_at_["any step, right after another"];
      }
    }
    const bool right = compare();
    if (verbose)
      std::printf("round %d: %s %s, %llu calls so far\n", rounds_, kStepNames[static_cast<std::size_t>(at)],
                  died ? "killed" : "got away", static_cast<unsigned long long>(journal_->calls.load()));
    if (clears || splits) forget_everything();
    return right;
  }

  int kills() const { return kills_; }
  void report() const {
    for (const auto& [where, count] : killed_at_) std::printf("  %6d killed at %s\n", count, where.c_str());
    std::printf("%d kills in %d rounds, %llu calls answered, %llu repairs, %d got away; nothing lost, nothing torn\n",
                kills_, rounds_, static_cast<unsigned long long>(journal_->calls.load()),
                static_cast<unsigned long long>(repairs_) + cache_->stats().repairs, escapes_);
  }
  const char* what() const { return journal_->what; }

 private:
  template <typename Work>
  pid_t fork_into(Work&& work) {
    const pid_t pid = ::fork();
    LARDER_CHECK(pid >= 0);
    if (pid == 0) work();
    return pid;
  }

  // True: it was killed.
  bool wait_for(pid_t pid) {
    int status = 0;
    LARDER_CHECK(::waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
      fail(*journal_, "a process ended with status " + std::to_string(status));
    return false;
  }

  // How many times a step is passed before the one that kills: rare ones soon, frequent ones anywhere.
  static long occurrences(Step at) {
    switch (at) {
      case Step::kClearNoted:
      case Step::kClearHalf:
      case Step::kBackupHeld:
      case Step::kBackupNext:
      case Step::kBackupCopied:
      case Step::kBackupWhole:
        return 2;
      case Step::kSegmentTaken:
      case Step::kSegmentHeaded:
      case Step::kSegmentActive:
      case Step::kVictimChosen:
      case Step::kVictimMoved:
      case Step::kVictimEmpty:
      case Step::kGenerationRaised:
      case Step::kVictimDraining:
      case Step::kSegmentFreed:
        return 4;
      case Step::kFlushed:
      case Step::kHorizonNoted:
      case Step::kOverflowTaken:
        return 10;
      case Step::kTransactionNoted:
      case Step::kTransactionWritten:
      case Step::kTransactionHidden:
      case Step::kTransactionDecided:
      case Step::kTransactionStep:
      case Step::kTransactionDone:
      case Step::kBlobMade:
      case Step::kBlobWritten:
      case Step::kBlobDropped:
        return 40;
      default:
        return 400;
    }
  }

  void new_world() {
    if (cache_) repairs_ += cache_->stats().repairs;
    cache_.reset();
    directory_.emplace();
    ++worlds_;
    world_ = {};
    world_.directory = directory_->path() / "cache";
    world_.copies = directory_->path();
    world_.evicts = worlds_ % 3 == 0;
    world_.options.size_limit_bytes = 16 << 20;
    world_.options.shards = worlds_ % 2 == 0 ? 4 : 1;
    world_.options.durability = worlds_ % 4 < 2 ? Durability::kNone : Durability::kTimed;
    world_.options.flush_every_ms = 3;
    cache_.emplace(open(world_));
    open_accounts();
    forget();
  }

  // Pinned, so that they stay where room is made; their successors are too.
  void open_accounts() {
    for (std::uint64_t i = 0; i < kAccounts; ++i)
      must(*journal_, cache_->set(account(i), std::to_string(kEach), {.pinned = true}));
    for (std::uint64_t i = 0; i < kMarks; ++i) must(*journal_, cache_->set(mark(i), "0", {.pinned = true}));
  }
  void forget() {
    for (auto& of_writer : journal_->keys) {
      for (Noted& each : of_writer) each.answered = each.on_its_way = 0;
    }
    journal_->counted = journal_->counting = 0;
    journal_->clearing = 0;
  }
  void forget_everything() {
    must(*journal_, cache_->clear());
    open_accounts();
    forget();
  }

  bool compare() {
    const CheckReport report = must(*journal_, cache_->check());
    if (!report.findings.empty())
      fail(*journal_, std::to_string(report.findings.size()) + " faults, the first: " + report.findings[0]);
    const bool may_miss = world_.evicts || journal_->clearing != 0;
    std::string value;
    for (int writer = 0; writer < kWriters; ++writer) {
      for (int i = 0; i < kKeys; ++i) {
        Noted& noted = journal_->keys[writer][i];
        const std::string key = key_name(writer, i);
        std::uint64_t now = 0;
        if (cache_->get(key, value)) {
          const std::optional<std::uint64_t> number = number_in(key, value, world_.evicts);
          if (!number) fail(*journal_, key + ": torn or foreign: " + value.substr(0, 60));
          now = number.value_or(0);
        }
        if (now != noted.answered && now != noted.on_its_way && !(now == 0 && may_miss))
          fail(*journal_, key + ": is " + std::to_string(now) + ", answered was " +
                              std::to_string(noted.answered.load()) + ", on its way was " +
                              std::to_string(noted.on_its_way.load()));
        noted.answered = noted.on_its_way = now;
      }
    }
    std::int64_t counter = 0;
    if (cache_->get("counter", value)) counter = std::stoll(value);
    if (!may_miss && (counter < journal_->counted || counter > journal_->counting))
      fail(*journal_, "the counter is " + std::to_string(counter) + ", answered were " +
                          std::to_string(journal_->counted.load()) + ", begun " +
                          std::to_string(journal_->counting.load()));
    journal_->counted = journal_->counting = counter;
    journal_->clearing = 0;
    if (!journal_->clears) {
      check_sum(*journal_, *cache_);
      std::string first;
      cache_->get(mark(0), first);
      for (std::uint64_t i = 1; i < kMarks; ++i) {
        cache_->get(mark(i), value);
        if (value != first) fail(*journal_, "half of a transaction is there: " + first + " and " + value);
      }
    }
    return !journal_->wrong;
  }

  std::mt19937_64 random_;
  Journal* journal_ = nullptr;
  std::optional<engine::TestDirectory> directory_;
  World world_;
  std::optional<Cache> cache_;
  int worlds_ = 0;
  int rounds_ = 0;
  int kills_ = 0;
  int escapes_ = 0;
  std::uint64_t repairs_ = 0;
  std::map<std::string, int> killed_at_;
};

volatile std::sig_atomic_t interrupted = 0;  // ends with the report of what was done

int run(int argc, char** argv) {
  int kills = 300;
  std::uint64_t seed = 1;
  std::string only;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* next = i + 1 < argc ? argv[i + 1] : nullptr;
    if (word == "--kills" && next != nullptr) {
      kills = std::atoi(argv[++i]);
    } else if (word == "--seed" && next != nullptr) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--only" && next != nullptr) {
      only = argv[++i];
    } else if (word == "--verbose") {
      verbose = true;
    } else {
      std::fprintf(stderr, "usage: larder_kill [--kills N] [--seed N] [--only STEP] [--verbose]\n");
      return 2;
    }
  }
  for (const int signal : {SIGINT, SIGTERM}) ::signal(signal, [](int) { interrupted = 1; });
  Test test(seed);
  int told = 0;
  for (int turn = 0; test.kills() < kills && interrupted == 0; ++turn) {
    constexpr int kTellEach = 1000;
    if (test.kills() / kTellEach > told) {
      told = test.kills() / kTellEach;
      std::fprintf(stderr, "%d kills so far, nothing lost\n", test.kills());
    }
    constexpr int kSteps = static_cast<int>(Step::kCount);
    // Every named step in turn, and some random times.
    const int which = turn % (kSteps + 4);
    const bool random_time = which >= kSteps;
    const Step at = random_time ? Step::kLocked : static_cast<Step>(which);
    if (!only.empty() && only != (random_time ? "random" : kStepNames[static_cast<std::size_t>(at)])) continue;
    if (!test.round(at, random_time, verbose)) {
      std::fprintf(stderr, "after %d kills, seed %llu, at %s: %s\n", test.kills(),
                   static_cast<unsigned long long>(seed),
                   random_time ? "a random time" : kStepNames[static_cast<std::size_t>(at)], test.what());
      return 1;
    }
  }
  test.report();
  return 0;
}

}  // namespace
}  // namespace larder

int main(int argc, char** argv) { return larder::run(argc, argv); }
