// Operations on one key are seen by all threads and processes in one order: histories of several processes with several
// threads each, on few keys, are recorded with the times of call and answer, and searched for such an order.
#include "linear.h"

#include <gtest/gtest.h>
#include <larder/cache.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <thread>

#include "base/check.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_process.h"

namespace larder {
namespace {

// --- The checker itself ----------------------------------------------------------------------------------------------

Event event(Call call, std::int64_t argument, Value answer, std::int64_t from, std::int64_t to) {
  return {.call = call, .argument = argument, .expected = {}, .answer = answer, .invoked_ns = from, .responded_ns = to};
}
bool linear(const std::vector<Event>& history) { return why_not_linear(history).empty(); }
constexpr Value kAbsent;

TEST(LinearTest, OneAfterAnother) {
  EXPECT_TRUE(linear({}));
  EXPECT_TRUE(
      linear({event(Call::kSet, 7, 1, 1, 2), event(Call::kGet, 0, 7, 3, 4), event(Call::kDel, 0, 1, 5, 6),
              event(Call::kGet, 0, kAbsent, 7, 8), event(Call::kAdd, 8, 1, 9, 10), event(Call::kIncr, 2, 10, 11, 12),
              event(Call::kPop, 0, 10, 13, 14), event(Call::kReplace, 5, 0, 15, 16)}));
}
TEST(LinearTest, SideBySideInAnyOrder) {
  EXPECT_TRUE(
      linear({event(Call::kSet, 7, 1, 1, 9), event(Call::kGet, 0, kAbsent, 2, 3), event(Call::kGet, 0, 7, 4, 5)}));
  EXPECT_TRUE(linear({event(Call::kIncr, 1, 2, 1, 9), event(Call::kIncr, 1, 1, 2, 8)}));
}
TEST(LinearTest, AReadOfWhatWasOverwrittenIsNot) {
  EXPECT_FALSE(linear({event(Call::kSet, 7, 1, 1, 2), event(Call::kSet, 8, 1, 3, 4), event(Call::kGet, 0, 7, 5, 6)}));
}
TEST(LinearTest, ReadsThatGoBackAreNot) {
  EXPECT_FALSE(
      linear({event(Call::kSet, 7, 1, 1, 9), event(Call::kGet, 0, 7, 2, 3), event(Call::kGet, 0, kAbsent, 4, 5)}));
}
TEST(LinearTest, ALostIncrementIsNot) {
  EXPECT_FALSE(linear({event(Call::kIncr, 1, 1, 1, 9), event(Call::kIncr, 1, 1, 2, 8)}));
}
TEST(LinearTest, TwoWhoAddAreNot) {
  EXPECT_FALSE(linear({event(Call::kAdd, 1, 1, 1, 9), event(Call::kAdd, 2, 1, 2, 8)}));
}
TEST(LinearTest, TwoWhoSwapTheSameAreNot) {
  Event first = event(Call::kCas, 1, 1, 1, 9);
  Event second = event(Call::kCas, 2, 1, 2, 8);
  EXPECT_FALSE(linear({first, second}));
  second.expected = 1;
  EXPECT_TRUE(linear({first, second}));
}
TEST(LinearTest, WhatADeadOneBeganMayHaveHappenedOrNot) {
  const Event began = event(Call::kSet, 7, {}, 1, 0);
  EXPECT_TRUE(linear({began, event(Call::kGet, 0, kAbsent, 2, 3), event(Call::kGet, 0, 7, 4, 5)}));
  EXPECT_TRUE(linear({began, event(Call::kGet, 0, kAbsent, 2, 3)}));
  EXPECT_FALSE(linear({began, event(Call::kGet, 0, 7, 2, 3), event(Call::kGet, 0, kAbsent, 4, 5)}));
}

// --- Histories of the engine -----------------------------------------------------------------------------------------

constexpr int kProcesses = 3;
constexpr int kThreads = 2;
constexpr int kKeys = 6;  // the last two are counters
constexpr int kCounters = 2;
constexpr int kCalls = 5000;

struct Recorded {
  int key = 0;
  Event event;
};
// In memory that all processes share.
struct Journal {
  std::atomic<bool> go{false};
  std::atomic<std::int64_t> next{1};
  std::atomic<int> torn{0};
  std::atomic<int> counts[kProcesses * kThreads];
  Recorded calls[kProcesses * kThreads][kCalls];
};

std::int64_t now_ns() {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
}

// Large enough that segments are used again and again.
std::string value_of(std::int64_t number) {
  std::string value = std::to_string(number) + ":";
  value.resize(value.size() + static_cast<std::size_t>(number * 7919 % 9000), static_cast<char>('a' + number % 26));
  return value;
}

// Steps aside now and then in the middle of a change, so that others come between.
thread_local std::mt19937_64 chance;
void step_aside(engine::Step) {
  if (chance() % 16 == 0) ::sched_yield();
}
thread_local long steps_left = -1;
void step_aside_or_die(engine::Step at) {
  if (steps_left > 0 && --steps_left == 0) ::kill(::getpid(), SIGKILL);
  step_aside(at);
}

class Caller {
 public:
  Caller(Journal& journal, Cache& cache, int number, std::uint64_t seed)
      : journal_(journal), cache_(cache), number_(number), random_(seed) {}

  void run() {
    while (!journal_.go) ::sched_yield();
    for (int i = 0; i < kCalls; ++i) {
      Recorded& call = journal_.calls[number_][i];
      call.key = static_cast<int>(random_() % kKeys);
      choose(call);
      call.event.invoked_ns = now_ns();
      journal_.counts[number_].store(i + 1);
      const Value answer = make(call);
      const std::int64_t responded_ns = now_ns();
      call.event.answer = answer;
      std::atomic_thread_fence(std::memory_order_release);
      call.event.responded_ns = responded_ns;
    }
  }

 private:
  static std::string name(int key) { return "key " + std::to_string(key); }

  void choose(Recorded& call) {
    Event& event = call.event;
    const std::uint64_t what = random_() % 16;
    if (call.key >= kKeys - kCounters) {
      event.call = what < 10 ? Call::kIncr : what < 15 ? Call::kGet : Call::kDel;
      event.argument = 1;
      return;
    }
    event.argument = journal_.next++;
    event.call = what < 6    ? Call::kGet
                 : what < 9  ? Call::kSet
                 : what < 11 ? Call::kAdd
                 : what < 13 ? Call::kDel
                             : Call::kGet;
    choose_more(cache_, call, what);
  }
  // Calls that not every version of the cache has.
  template <typename SomeCache>
  void choose_more(SomeCache& cache, Recorded& call, std::uint64_t what) {
    if constexpr (requires { cache.compare_and_set("", std::uint64_t{}, ""); }) {
      if (what == 13) call.event.call = Call::kReplace;
      if (what == 14) call.event.call = Call::kPop;
      if (what == 15) {
        call.event.call = Call::kCas;
        call.event.expected = seen_[call.key].first;
      }
    }
  }
  template <typename SomeCache>
  Value make_more(SomeCache& cache, const Recorded& call, const std::string& key) {
    if constexpr (requires { cache.compare_and_set("", std::uint64_t{}, ""); }) {
      const Event& event = call.event;
      if (event.call == Call::kReplace) return cache.replace(key, value_of(event.argument)).value() ? 1 : 0;
      if (event.call == Call::kCas)
        return cache.compare_and_set(key, seen_[call.key].second, value_of(event.argument)).value() ? 1 : 0;
      if (event.call == Call::kPop) {
        const auto taken = cache.pop(key).value();
        return taken ? number_in(taken->value) : Value();
      }
    }
    return {};
  }
  Value number_in(std::string_view bytes) {
    std::int64_t number = 0;
    std::from_chars(bytes.data(), bytes.data() + bytes.size(), number);
    if (bytes != value_of(number) && bytes != std::to_string(number)) ++journal_.torn;
    return number;
  }
  Value make(const Recorded& call) {
    const Event& event = call.event;
    const std::string key = name(call.key);
    switch (event.call) {
      case Call::kGet: {
        if (random_() % 2 == 0) {
          std::string value;
          return cache_.get(key, value) ? number_in(value) : Value();
        }
        const std::optional<Pin> pin = cache_.get(key);
        const Value value = pin ? number_in(pin->bytes()) : Value();
        seen_[call.key] = {value, pin ? pin->info().sequence : 0};
        return value;
      }
      case Call::kSet:
        cache_.set(key, value_of(event.argument)).value();
        return 1;
      case Call::kAdd:
        return cache_.add(key, value_of(event.argument)).value() ? 1 : 0;
      case Call::kDel:
        return cache_.del(key).value() ? 1 : 0;
      case Call::kIncr:
        return cache_.incr(key, event.argument).value();
      default:
        return make_more(cache_, call, key);
    }
  }

  Journal& journal_;
  Cache& cache_;
  const int number_;
  std::mt19937_64 random_;
  std::array<std::pair<Value, std::uint64_t>, kKeys> seen_{};  // what this caller saw last, and its sequence
};

class HistoriesTest : public ::testing::TestWithParam<int> {};

TEST_P(HistoriesTest, HaveAnOrder) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  std::mt19937_64 random(seed);
  const bool one_dies = seed % 2 == 0;
  const engine::TestDirectory directory;
  const Options options{.size_limit_bytes = 16 << 20, .durability = Durability::kNone};
  Cache cache = Cache::open(directory.path(), options).value();
  void* shared = ::mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Journal& journal = *new (shared) Journal;

  std::vector<pid_t> processes;
  for (int process = 0; process < kProcesses; ++process) {
    const std::uint64_t its_seed = random();
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      {
        std::optional<Cache> own;
        if (process != 1) own.emplace(Cache::open(directory.path(), options).value());
        Cache& mine = own ? *own : cache;  // one uses what it inherited
        const bool dies = one_dies && process == 0;
        engine::step_hook.store(dies ? step_aside_or_die : step_aside);
        std::vector<std::thread> threads;
        for (int thread = 0; thread < kThreads; ++thread) {
          threads.emplace_back([&, thread] {
            chance.seed(its_seed + static_cast<std::uint64_t>(thread));
            if (dies && thread == 0) steps_left = 2000 + static_cast<long>(its_seed % 3000);
            Caller(journal, mine, process * kThreads + thread, its_seed * 3 + static_cast<std::uint64_t>(thread)).run();
          });
        }
        for (std::thread& thread : threads) thread.join();
        engine::step_hook.store(nullptr);
      }
      engine::leave(0);
    }
    processes.push_back(pid);
  }
  journal.go = true;
  for (std::size_t i = 0; i < processes.size(); ++i) {
    int status = 0;
    ASSERT_EQ(::waitpid(processes[i], &status, 0), processes[i]);
    if (one_dies && i == 0) {
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    } else {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
  }
  EXPECT_EQ(journal.torn, 0);
  std::vector<Event> histories[kKeys];
  for (int caller = 0; caller < kProcesses * kThreads; ++caller) {
    for (int i = 0; i < journal.counts[caller]; ++i) {
      const Recorded& call = journal.calls[caller][i];
      if (call.event.invoked_ns != 0) histories[call.key].push_back(call.event);
    }
  }
  for (int key = 0; key < kKeys; ++key) {
    // The last word: what is there now.
    Event last{
        .call = Call::kGet, .argument = 0, .expected = {}, .answer = {}, .invoked_ns = now_ns(), .responded_ns = 0};
    std::string value;
    if (cache.get("key " + std::to_string(key), value)) last.answer = std::stoll(value);
    last.responded_ns = now_ns();
    histories[key].push_back(last);
    EXPECT_EQ(why_not_linear(histories[key]), "") << "key " << key << ", " << histories[key].size() << " calls";
  }
  EXPECT_TRUE(cache.check().value().findings.empty());
  ::munmap(shared, sizeof(Journal));
}
INSTANTIATE_TEST_SUITE_P(Random, HistoriesTest, ::testing::Range(1, 7));

}  // namespace
}  // namespace larder
