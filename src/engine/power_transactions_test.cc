// Transactions and power loss: of each there is all or nothing, whatever the disk had of it (test_disk.h); all of it,
// once it was flushed; and nothing that rests on one that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/transaction.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "base/clock.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_disk.h"
#include "engine/test_process.h"

namespace larder {
namespace {

using engine::Disk;
using engine::number_in;
using engine::Step;
using engine::value_of;
using ::testing::IsEmpty;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 2;
#else
constexpr int kRounds = 4;
#endif

class PowerTransactionsTest : public ::testing::TestWithParam<std::tuple<Durability, int>> {
 protected:
  void SetUp() override {
    now = this;
    // Where the keys lie is by chance. LARDER_TEST_SEED makes it what it was when a test failed.
    const char* wanted = ::getenv("LARDER_TEST_SEED");
    seed_ = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device()() + std::uint64_t{1};
    engine::test_seed.store(seed_);
  }
  void TearDown() override {
    engine::step_hook.store(nullptr);
    engine::test_seed.store(0);
    if (HasFailure()) std::cerr << "again: LARDER_TEST_SEED=" << seed_ << "\n";
  }

  Durability durability() const { return std::get<0>(GetParam()); }
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  void open() {
    cache_.emplace(Cache::open(directory_.path(), {.size_limit_bytes = 16 << 20,
                                                   .shards = 4,
                                                   .durability = durability(),
                                                   .flush_every_ms = 3'600'000,
                                                   .clock = &clock_})
                       .value());
  }
  // From here on the kernel writes back, and the power may go, in the middle of changes.
  void endanger() {
    steps_left_ = pick(2) == 0 ? 200 + pick(20'000) : 100'000'000;
    if (pick(2) == 0) disk_.cut_off_after(1 + static_cast<int>(pick(durability() == Durability::kEach ? 60 : 10)));
    engine::step_hook.store([](Step step) { now->stepped(step); });
  }
  void lose_power() {
    engine::step_hook.store(nullptr);
    disk_.cut_off();
    cache_.reset();
    disk_.restart();
    clock_.advance_ms(1 + static_cast<std::int64_t>(pick(100)));
    open();
    ASSERT_THAT(cache_->check().value().findings, IsEmpty());
  }
  // What nobody asks for, so that segments fill and are emptied.
  void fill() {
    const std::string key = "fill " + std::to_string(pick(300));
    cache_->set(key, value_of(key, 1, pick(3000))).value();
  }

  inline static PowerTransactionsTest* now = nullptr;
  engine::TestDirectory directory_;
  ManualClock clock_;
  std::mt19937_64 random_{static_cast<std::uint64_t>(std::get<1>(GetParam()))};
  Disk disk_{directory_.path(), random_()};
  std::optional<Cache> cache_;

 private:
  void stepped(Step step) {
    if (std::this_thread::get_id() != self_) return;
    if (steps_left_-- == 0) disk_.cut_off();
    const bool rare = step >= Step::kTransactionNoted && step <= Step::kHorizonNoted;
    if (rare && random_() % 400 == 0) disk_.write_some_back();
  }

  const std::thread::id self_ = std::this_thread::get_id();
  std::uint64_t seed_ = 0;
  std::uint64_t steps_left_ = 0;
};

// --- All or nothing --------------------------------------------------------------------------------------------------

class AllOrNothingTest : public PowerTransactionsTest {
 protected:
  // What a key was given, in order: by which transaction, and the number; 0: it was deleted.
  struct Given {
    std::uint64_t transaction = 0;
    std::uint64_t number = 0;
  };
  void transact() {
    const std::uint64_t number = ++last_;
    const std::uint64_t first = pick(40);
    std::map<std::string, std::uint64_t> writes;
    for (std::uint64_t i = 1 + pick(5); i > 0; --i)
      writes["key " + std::to_string((first + pick(8)) % 40)] = pick(6) == 0 ? 0 : number;
    // What is not there is not deleted, and nothing is said of it.
    for (auto at = writes.begin(); at != writes.end();)
      at = at->second == 0 && !cache_->contains(at->first) ? writes.erase(at) : std::next(at);
    const Status done = cache_->transact([&](Transaction& t) -> Status {
      for (const auto& [key, value] : writes) {
        if (value == 0) {
          if (Result<bool> gone = t.del(key); !gone.ok()) return gone.error();
        } else if (Status set = t.set(key, value_of(key, value, pick(pick(10) == 0 ? 9000 : 400))); !set.ok()) {
          return set;
        }
      }
      return {};
    });
    ASSERT_TRUE(done.ok()) << done.error().message;
    for (const auto& [key, value] : writes) pasts_[key].push_back({number, value});
    if (durability() == Durability::kEach && disk_.on()) sure_ = number;
  }
  void flush() {
    cache_->flush().value();
    if (disk_.on()) sure_ = last_;
  }
  void compare() {
    // What there is says of each transaction whether it happened. Where the same is there for several, nothing.
    std::map<std::uint64_t, std::string> happened;
    std::map<std::uint64_t, std::string> not_happened;
    for (auto& [key, past] : pasts_) {
      std::string value;
      const bool hit = cache_->get(key, value);
      const std::uint64_t number = hit ? number_in(key, value) : 0;
      ASSERT_TRUE(!hit || number != 0) << key << ": torn or foreign";
      std::vector<std::size_t> places;
      for (std::size_t i = 0; i < past.size(); ++i) {
        if (past[i].number == number) places.push_back(i);
      }
      if (number == 0) places.insert(places.begin(), 0);
      ASSERT_THAT(places, ::testing::Not(IsEmpty())) << key << ": is " << number;
      if (places.size() == 1 && past[places[0]].number == number) happened[past[places[0]].transaction] = key;
      // A miss is of any time where nothing waits for the disk.
      if (number == 0 && durability() == Durability::kNone) continue;
      for (std::size_t i = places.back() + 1; i < past.size(); ++i) not_happened[past[i].transaction] = key;
    }
    for (const auto& [transaction, key] : not_happened) {
      EXPECT_EQ(happened.count(transaction), 0u)
          << "half of transaction " << transaction << ": " << happened[transaction] << ", but not " << key;
      if (durability() != Durability::kNone) {
        EXPECT_GT(transaction, sure_) << "was flushed, is not in " << key;
      }
    }
    if (durability() == Durability::kNone) return;
    // Nothing rests on what did not happen.
    for (auto& [key, past] : pasts_) {
      for (std::size_t i = 0; i < past.size(); ++i) {
        for (std::size_t j = i + 1; j < past.size() && not_happened.count(past[i].transaction) != 0; ++j)
          EXPECT_EQ(happened.count(past[j].transaction), 0u)
              << past[j].transaction << " is there without " << past[i].transaction << ", which had " << key;
      }
    }
  }
  // What is there now is what there was.
  void begin_again() {
    for (auto& [key, past] : pasts_) {
      std::string value;
      const std::uint64_t number = cache_->get(key, value) ? number_in(key, value) : 0;
      const auto kept = std::find_if(past.begin(), past.end(), [&](const Given& g) { return g.number == number; });
      if (durability() == Durability::kNone) continue;
      past = {{0, kept == past.end() ? 0 : number}};
    }
    if (durability() != Durability::kNone) flush();
  }

  std::map<std::string, std::vector<Given>> pasts_;
  std::uint64_t last_ = 0;
  std::uint64_t sure_ = 0;
};

TEST_P(AllOrNothingTest, WhateverTheDiskHas) {
  open();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    endanger();
    const std::uint64_t calls = durability() == Durability::kEach ? 100 : 50 + pick(1500);
    for (std::uint64_t i = 0; i < calls && disk_.on() && !HasFatalFailure(); ++i) {
      transact();
      fill();
      if (durability() != Durability::kNone && pick(150) == 0) flush();
      if (pick(100) == 0) disk_.write_some_back();
    }
    lose_power();
    if (HasFatalFailure()) break;
    compare();
    begin_again();
  }
}
INSTANTIATE_TEST_SUITE_P(Random, AllOrNothingTest,
                         ::testing::Combine(::testing::Values(Durability::kNone, Durability::kTimed, Durability::kEach),
                                            ::testing::Range(0, 3)));

// --- What `ctl` says
// ----------------------------------------------------------------------------------------------------

class RebuiltTest : public ::testing::Test {
 protected:
  static constexpr int kKeys = 20;

  Cache open(const std::filesystem::path& path) {
    return Cache::open(path, {.size_limit_bytes = 16 << 20, .shards = 4, .flush_every_ms = 3'600'000, .clock = &clock_})
        .value();
  }
  static Status fill(Cache& cache) {
    return cache.transact([](Transaction& t) -> Status {
      for (int i = 0; i < kKeys; ++i) {
        if (Status set = t.set("key " + std::to_string(i), "value"); !set.ok()) return set;
      }
      return {};
    });
  }

  engine::TestDirectory directory_;
  ManualClock clock_;
};

// What was lost has left no record that says how far the numbers were.
TEST_F(RebuiltTest, NumbersAreNotGivenOutAgain) {
  Disk disk(directory_.path(), 1);
  const auto next = [&] {
    Cache cache = open(directory_.path());
    cache.set("a", "1").value();
    const std::uint64_t sequence = cache.info("a")->sequence;
    disk.cut_off([](const std::string&, off_t) { return false; });
    return sequence;
  };
  std::uint64_t before = next();
  for (int i = 0; i < 3; ++i) {
    disk.restart();
    const std::uint64_t now = next();
    EXPECT_GT(now, before);
    before = now;
  }
}

// Should one be given out again, it was not decided because the one before was.
TEST_F(RebuiltTest, NumbersWereNotDecidedBeforeAPowerLoss) {
  { open(directory_.path()).set("a", "1").value(); }
  engine::lose_power(directory_.path());
  const engine::Geometry g{engine::Geometry::kCapacityTimes * (16 << 20), 4,
                           engine::Geometry::default_segment_shift(16 << 20, 4)};
  const auto committed = [&](std::uint32_t slot) {
    return g.processes_at() + slot * sizeof(engine::ProcessSlot) + offsetof(engine::ProcessSlot, committed);
  };
  const engine::TestDirectory twin;
  std::filesystem::copy(directory_.path(), twin.path());
  {
    Cache cache = open(twin.path());
    ASSERT_TRUE(fill(cache).ok());
  }
  const std::string number = engine::read_bytes(twin.path() / "ctl", committed(0), 8);
  ASSERT_NE(number, std::string(8, '\0'));
  engine::write_bytes(directory_.path() / "ctl", committed(1), number);

  Cache cache = open(directory_.path());
  EXPECT_EQ(engine::in_child([&] {
              engine::step_hook.store([](Step step) {
                if (step == Step::kTransactionWritten) ::kill(::getpid(), SIGKILL);
              });
              return fill(cache).ok() ? 0 : 1;
            }),
            -SIGKILL);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());  // which takes every lock, so all is repaired
  for (int i = 0; i < kKeys; ++i) EXPECT_FALSE(cache.contains("key " + std::to_string(i))) << i;
}

// --- Values in files of their own ------------------------------------------------------------------------------------

// Without any order on the disk, the file may be missing that a record speaks of.
TEST_F(RebuiltTest, ATransactionWhoseLargeValueIsLostIsLostWithIt) {
  const Options options{.size_limit_bytes = 16 << 20, .shards = 4, .durability = Durability::kNone};
  constexpr std::uintmax_t kLarge = 300'000;
  {
    Cache cache = Cache::open(directory_.path(), options).value();
    for (const std::string name : {"a", "b"}) {
      const Status done = cache.transact([&](Transaction& t) -> Status {
        if (Status set = t.set("large " + name, std::string(kLarge + (name == "b" ? 1 : 0), 'x')); !set.ok())
          return set;
        for (int i = 0; i < kKeys; ++i) {
          if (Status set = t.set(name + std::to_string(i), "value"); !set.ok()) return set;
        }
        return {};
      });
      ASSERT_TRUE(done.ok());
    }
  }
  for (const auto& file : std::filesystem::directory_iterator(directory_.path() / "blobs")) {
    if (file.file_size() == kLarge + 1) std::filesystem::remove(file.path());
  }
  engine::lose_power(directory_.path());
  Cache cache = Cache::open(directory_.path(), options).value();
  EXPECT_TRUE(cache.contains("large a"));
  EXPECT_FALSE(cache.contains("large b"));
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_TRUE(cache.contains("a" + std::to_string(i))) << i;
    EXPECT_FALSE(cache.contains("b" + std::to_string(i))) << i;
  }
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

// --- Restored --------------------------------------------------------------------------------------------------------

// From a cache whose process has died, in this boot: nothing was lost, and parts that time has taken are not missed.
TEST_F(RebuiltTest, OfACacheThatIsRestoredTransactionsCountAsTheyWere) {
  constexpr int kOften = 12'000;
  EXPECT_EQ(engine::in_child([&] {
              Cache cache = Cache::open(directory_.path(), {.size_limit_bytes = 16 << 20,
                                                            .shards = 4,
                                                            .durability = Durability::kNone,
                                                            .policy = Policy::kNone})
                                .value();
              if (!fill(cache).ok()) return 1;
              for (int i = 0; i < kOften; ++i) {  // until what the transaction wrote there has gone from the log
                if (!cache.set("key " + std::to_string(i % (kKeys / 2)), std::string(3000, 'x')).ok()) return 2;
              }
              engine::step_hook.store([](Step step) {
                if (step == Step::kTransactionWritten) ::kill(::getpid(), SIGKILL);
              });
              (void)cache.transact([](Transaction& t) -> Status {
                for (int i = 0; i < kKeys; ++i) {
                  if (Status set = t.set("undecided " + std::to_string(i), "value"); !set.ok()) return set;
                }
                return {};
              });
              return 3;
            }),
            -SIGKILL);
  const engine::TestDirectory other;
  const std::filesystem::path to = other.path() / "restored";
  ASSERT_TRUE(Cache::restore(directory_.path(), to).ok());
  Cache cache = Cache::open(to).value();
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_TRUE(cache.contains("key " + std::to_string(i))) << i;
    EXPECT_FALSE(cache.contains("undecided " + std::to_string(i))) << i;
  }
}

// --- Amounts that are moved ------------------------------------------------------------------------------------------

class MovesTest : public PowerTransactionsTest {
 protected:
  static constexpr std::int64_t kAccounts = 12;
  static constexpr std::int64_t kEach = 1000;
  static constexpr int kMarks = 4;

  static std::string account(std::uint64_t i) { return "account " + std::to_string(i % kAccounts); }
  static std::string mark(int i) { return "mark " + std::to_string(i); }
  static Result<std::int64_t> amount(Transaction& t, const std::string& key) {
    Result<std::optional<std::string>> value = t.get(key);
    if (!value.ok()) return value.error();
    return value->has_value() ? std::stoll(**value) : 0;
  }
  void begin() {
    open();
    ASSERT_TRUE(cache_
                    ->transact([](Transaction& t) -> Status {
                      for (std::uint64_t i = 0; i < kAccounts; ++i) {
                        if (Status set = t.set(account(i), std::to_string(kEach)); !set.ok()) return set;
                      }
                      for (int i = 0; i < kMarks; ++i) {
                        if (Status set = t.set(mark(i), "0"); !set.ok()) return set;
                      }
                      return t.set("left", "");
                    })
                    .ok());
    flush();
  }
  // Between two accounts; of left and right there is always one.
  static Status move(Cache& cache, std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    return cache.transact(
        [&](Transaction& t) -> Status {
          for (const auto& [key, more] : {std::pair{account(from), -1}, {account(to), 1}}) {
            Result<std::int64_t> now = amount(t, key);
            if (!now.ok()) return now.error();
            if (Status set = t.set(key, std::to_string(*now + more) + ":" + std::string(size, '.')); !set.ok())
              return set;
          }
          Result<bool> left = t.del("left");
          if (!left.ok()) return left.error();
          if (*left) {
            if (Status set = t.set("right", ""); !set.ok()) return set;
          } else {
            if (Result<bool> right = t.del("right"); !right.ok()) return right.error();
            if (Status set = t.set("left", ""); !set.ok()) return set;
          }
          for (int i = 0; i < kMarks; ++i) {
            if (Result<std::int64_t> r = t.incr(mark(i)); !r.ok()) return r.error();
          }
          return {};
        },
        60'000);
  }
  void flush() {
    const std::int64_t done = done_;
    cache_->flush().value();
    if (disk_.on()) sure_ = std::max(sure_, done);
  }
  void compare() {
    std::int64_t sum = 0;
    std::string value;
    for (std::uint64_t i = 0; i < kAccounts; ++i) sum += cache_->get(account(i), value) ? std::stoll(value) : 0;
    EXPECT_EQ(sum, kAccounts * kEach);
    EXPECT_NE(cache_->contains("left"), cache_->contains("right"));
    const auto marked = [&](int i) { return cache_->get(mark(i), value) ? std::stoll(value) : -1; };
    const std::int64_t moves = marked(0);
    for (int i = 1; i < kMarks; ++i) EXPECT_EQ(marked(i), moves);
    EXPECT_GE(moves, sure_);
    sure_ = 0;
    done_ = moves;
  }

  std::int64_t done_ = 0;  // moves
  std::int64_t sure_ = 0;
};

TEST_P(MovesTest, KeepTheirSum) {
  begin();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    endanger();
    const std::uint64_t calls = durability() == Durability::kEach ? 100 : 50 + pick(1500);
    for (std::uint64_t i = 0; i < calls && disk_.on(); ++i) {
      ASSERT_TRUE(move(*cache_, pick(kAccounts), pick(kAccounts), pick(600)).ok());
      ++done_;
      if (durability() == Durability::kEach && disk_.on()) sure_ = done_;
      if (pick(4) == 0) fill();
      if (pick(150) == 0) flush();
      if (pick(100) == 0) disk_.write_some_back();
    }
    lose_power();
    compare();
  }
}

// Whoever comes after a process that died goes on as if what it had not decided had never been.
TEST_P(MovesTest, KeepTheirSumWhenProcessesDieBefore) {
  begin();
  for (int round = 0; round < 4 * kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    static Step last;
    static int left;
    last = pick(2) == 0 ? Step::kTransactionWritten : static_cast<Step>(pick(static_cast<std::uint64_t>(Step::kCount)));
    left = static_cast<int>(pick(20));
    const std::uint64_t from = pick(kAccounts);
    flush();
    (void)engine::in_child([&] {
      // What it syncs the disk here would not see.
      engine::sync_hook.store([](const char*, bool) { ::kill(::getpid(), SIGKILL); });
      engine::step_hook.store([](Step step) {
        if (step == last && left-- == 0) ::kill(::getpid(), SIGKILL);
      });
      for (int i = 0; i < 30; ++i) {
        if (!move(*cache_, from + static_cast<std::uint64_t>(i), from + 3, 100).ok()) return 1;
      }
      return 0;
    });
    if (pick(2) == 0) disk_.write_some_back();
    if (pick(4) != 0) disk_.cut_off_after(1 + static_cast<int>(pick(5)));
    for (std::uint64_t i = pick(30); i > 0 && disk_.on(); --i) {
      ASSERT_TRUE(move(*cache_, pick(kAccounts), pick(kAccounts), pick(600)).ok());
      if (pick(5) == 0) disk_.write_some_back();
    }
    lose_power();
    compare();
  }
}

TEST_P(MovesTest, KeepTheirSumAmongThreads) {
  begin();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    disk_.cut_off_after(2 + static_cast<int>(pick(durability() == Durability::kEach ? 60 : 10)));
    std::atomic<std::int64_t> moves{0};
    std::vector<std::thread> threads;
    for (std::uint64_t seed : {random_(), random_()}) {
      threads.emplace_back([&, seed] {
        std::mt19937_64 random(seed);
        for (int i = 0; i < 300 && disk_.on(); ++i) {
          if (!move(*cache_, random(), random(), random() % 600).ok()) return;
          const std::int64_t so_far = ++moves;
          if (durability() == Durability::kTimed && random() % 100 != 0) continue;
          cache_->flush().value();
          static std::mutex mutex;
          const std::lock_guard lock(mutex);
          if (disk_.on()) sure_ = std::max(sure_, done_ + so_far);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    lose_power();
    compare();
  }
}

INSTANTIATE_TEST_SUITE_P(Random, MovesTest,
                         ::testing::Combine(::testing::Values(Durability::kTimed, Durability::kEach),
                                            ::testing::Range(0, 3)));

}  // namespace
}  // namespace larder
