#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/transaction.h>

#include <atomic>
#include <random>
#include <thread>

#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/testing.h"

namespace larder {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kEffort = 1;
#else
constexpr int kEffort = 5;
#endif

class TransactionTest : public ::testing::Test {
 protected:
  static constexpr int kAccounts = 12;
  static constexpr int kEach = 1000;
  static std::string account(int i) { return "account " + std::to_string(i); }
  void open_accounts() {
    for (int i = 0; i < kAccounts; ++i) cache_.set(account(i), std::to_string(kEach), {.pinned = true}).value();
  }
  static Status move(Transaction& t, int from, int to, int amount) {
    Result<std::int64_t> less = t.incr(account(from), -amount);
    if (!less.ok()) return less.error();
    Result<std::int64_t> more = t.incr(account(to), amount);
    return more.ok() ? Status{} : more.error();
  }
  static Result<std::int64_t> sum(Cache& cache) {
    std::int64_t all = 0;
    Status done = cache.transact([&](Transaction& t) -> Status {
      all = 0;
      for (int i = 0; i < kAccounts; ++i) {
        Result<std::optional<std::string>> value = t.get(account(i));
        if (!value.ok()) return value.error();
        all += value->has_value() ? std::stoll(**value) : 0;
      }
      // What the work sees belongs to one moment even before it is committed.
      EXPECT_EQ(all, kAccounts * kEach);
      return {};
    });
    if (!done.ok()) return done.error();
    return all;
  }
  std::string get(std::string_view key) {
    std::string value;
    return cache_.get(key, value) ? value : "(none)";
  }

  engine::TestDirectory directory_;
  Cache cache_ =
      Cache::open(directory_.path(), {.size_limit_bytes = 64 << 20, .shards = 4, .durability = Durability::kNone})
          .value();
};

TEST_F(TransactionTest, ReadsItsOwnWritesAndNobodyElseDoesBefore) {
  cache_.set("old", "1").value();
  cache_.set("of a format", "f", {.format = 7}).value();
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    EXPECT_TRUE(t.set("new", "a").ok());
    EXPECT_EQ(t.get("new").value(), "a");
    std::uint8_t format = 0;
    EXPECT_EQ(t.get("of a format", &format).value(), "f");
    EXPECT_EQ(format, 7);
    EXPECT_TRUE(t.set("of a format", "g", {.format = 9}).ok());
    EXPECT_EQ(t.get("of a format", &format).value(), "g");
    EXPECT_EQ(format, 9);
    EXPECT_TRUE(t.contains("new").value());
    EXPECT_FALSE(t.add("new", "b").value());
    EXPECT_TRUE(t.add("other", "c").value());
    EXPECT_TRUE(t.del("old").value());
    EXPECT_FALSE(t.del("old").value());
    EXPECT_EQ(t.get("old").value(), std::nullopt);
    EXPECT_EQ(t.incr("number", 5).value(), 5);
    EXPECT_EQ(t.incr("number", 5).value(), 10);
    EXPECT_EQ(get("new"), "(none)");
    EXPECT_EQ(get("old"), "1");
    return {};
  });
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(get("new"), "a");
  EXPECT_EQ(get("other"), "c");
  EXPECT_EQ(get("old"), "(none)");
  EXPECT_EQ(get("number"), "10");
  EXPECT_EQ(cache_.stats().entries, 4u);
  EXPECT_THAT(cache_.check().value().findings, IsEmpty());
}

TEST_F(TransactionTest, AnErrorTakesAllBack) {
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    EXPECT_TRUE(t.set("a", "1").ok());
    return Error{Code::kInvalid, "no"};
  });
  EXPECT_EQ(done.error().message, "no");
  EXPECT_EQ(get("a"), "(none)");
}

TEST_F(TransactionTest, AnInnerErrorTakesTheInnerPartBack) {
  cache_.set("kept", "0").value();
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    EXPECT_TRUE(t.set("a", "outer").ok());
    const Status inner = t.transact([&](Transaction& u) -> Status {
      EXPECT_TRUE(u.set("a", "inner").ok());
      EXPECT_TRUE(u.set("b", "inner").ok());
      EXPECT_TRUE(u.del("kept").value());
      EXPECT_TRUE(u.transact([](Transaction& v) { return v.set("c", "innermost"); }).ok());
      EXPECT_EQ(u.get("c").value(), "innermost");
      return Error{Code::kInvalid, "inner"};
    });
    EXPECT_EQ(inner.error().message, "inner");
    EXPECT_EQ(t.get("a").value(), "outer");
    EXPECT_EQ(t.get("c").value(), std::nullopt);
    EXPECT_TRUE(t.transact([](Transaction& u) { return u.set("d", "good"); }).ok());
    return {};
  });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(get("a"), "outer");
  EXPECT_EQ(get("b"), "(none)");
  EXPECT_EQ(get("c"), "(none)");
  EXPECT_EQ(get("d"), "good");
  EXPECT_EQ(get("kept"), "0");
}

TEST_F(TransactionTest, IsRunAgainWhenOthersChangeWhatItRead) {
  cache_.set("a", "1").value();
  int runs = 0;
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    const std::optional<std::string> a = t.get("a").value();
    if (++runs == 1) cache_.set("a", "2").value();
    return t.set("b", *a);
  });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get("b"), "2");
}

TEST_F(TransactionTest, AnAbsenceThatEndsIsAChangeToo) {
  int runs = 0;
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    const bool there = t.contains("a").value();
    if (++runs == 1) cache_.set("a", "2").value();
    return t.set("b", there ? "there" : "absent");
  });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(get("b"), "there");
}

TEST_F(TransactionTest, ReadsThatBelongToNoOneMomentAreRefused) {
  cache_.set("a", "1").value();
  cache_.set("b", "1").value();
  int runs = 0;
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    const std::string a = *t.get("a").value();
    if (++runs == 1) {
      cache_.set("a", "2").value();
      cache_.set("b", "2").value();
    }
    const Result<std::optional<std::string>> b = t.get("b");
    EXPECT_EQ(b.ok(), runs == 2);
    if (!b.ok()) {
      EXPECT_EQ(b.error().code, Code::kUnavailable);
      return b.error();
    }
    EXPECT_EQ(a, **b);
    return {};
  });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(runs, 2);
}

TEST_F(TransactionTest, GivesUpAtTheDeadline) {
  cache_.set("a", "1").value();
  const Status done = cache_.transact(
      [&](Transaction& t) -> Status {
        EXPECT_TRUE(t.get("a").ok());
        cache_.incr("a").value();
        return t.set("b", "never");
      },
      20);
  EXPECT_EQ(done.error().code, Code::kTimeout);
  EXPECT_THAT(done.error().message, HasSubstr("nothing was written"));
  EXPECT_EQ(get("b"), "(none)");
  EXPECT_EQ(cache_.transact([](Transaction&) { return Status{}; }, -1).error().code, Code::kInvalid);
}

TEST_F(TransactionTest, KeepsWhatAnEntryHas) {
  cache_.set("n", "1", {.ttl_ms = 1'000'000, .tags = {"t"}, .cost = 7, .format = 3, .pinned = true}).value();
  const EntryInfo before = *cache_.info("n");
  ASSERT_TRUE(cache_.transact([](Transaction& t) { return t.incr("n").ok() ? Status{} : Error{}; }).ok());
  const EntryInfo after = *cache_.info("n");
  EXPECT_EQ(get("n"), "2");
  EXPECT_EQ(after.expires_ms, before.expires_ms);
  EXPECT_EQ(after.cost, 7u);
  EXPECT_EQ(after.format, 3);
  EXPECT_TRUE(after.pinned);
  EXPECT_THAT(cache_.tags("n"), ::testing::ElementsAre("t"));
  EXPECT_EQ(cache_.evict({.tag = "t"}).value(), 1u);
  EXPECT_THAT(cache_.check().value().findings, IsEmpty());
}

TEST_F(TransactionTest, RefusesWhatASegmentDoesNotTake) {
  const std::string large(40'000, 'x');
  const Status done = cache_.transact([&](Transaction& t) -> Status {
    for (int i = 0; i < 200; ++i) {
      if (Status set = t.set("key " + std::to_string(i), large); !set.ok()) return set;
    }
    return {};
  });
  EXPECT_EQ(done.error().code, Code::kTooLarge);
  EXPECT_EQ(cache_.stats().entries, 0u);
}

TEST_F(TransactionTest, ManyNewKeysOfOneBucket) {
  // Far more than there are slots in the first buckets; and again over them.
  for (int turn = 0; turn < 2; ++turn) {
    const Status done = cache_.transact([&](Transaction& t) -> Status {
      for (int i = 0; i < 12'000; ++i) {
        if (Status set = t.set("key " + std::to_string(i), std::to_string(turn)); !set.ok()) return set;
      }
      return {};
    });
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(cache_.stats().entries, 12'000u);
    for (int i = 0; i < 12'000; ++i) ASSERT_EQ(get("key " + std::to_string(i)), std::to_string(turn));
  }
  EXPECT_THAT(cache_.check().value().findings, IsEmpty());
}

TEST_F(TransactionTest, SumsHoldUnderThreadsInAnyOrderOfKeys) {
  open_accounts();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      // Two with a Cache of their own, two that share one.
      Cache own = engine::share_mapping(cache_).value();
      Cache& cache = i == 0 ? own : cache_;
      std::mt19937 random(static_cast<unsigned>(i));
      for (int n = 0; n < 400 * kEffort; ++n) {
        const int from = static_cast<int>(random() % kAccounts);
        const int to = static_cast<int>(random() % kAccounts);
        const Status done = cache.transact([&](Transaction& t) { return move(t, from, to, 1); }, 60'000);
        EXPECT_TRUE(done.ok()) << done.error().message;
      }
    });
  }
  std::thread reader([&] {
    Cache cache = engine::share_mapping(cache_).value();
    while (!stop) EXPECT_EQ(sum(cache).value(), kAccounts * kEach);
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  reader.join();
  EXPECT_EQ(sum(cache_).value(), kAccounts * kEach);
  EXPECT_THAT(cache_.check().value().findings, IsEmpty());
}

// Readers that know of no transaction.
TEST_F(TransactionTest, WhoSeesOneWriteSeesAll) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 1; i <= 4000 * kEffort; ++i) {
      const std::string number = std::to_string(i);
      const Status done = cache_.transact([&](Transaction& t) -> Status {
        for (int k = 0; k < 6; ++k) {
          if (Status set = t.set("key " + std::to_string(k), number); !set.ok()) return set;
        }
        return {};
      });
      EXPECT_TRUE(done.ok());
    }
    stop = true;
  });
  Cache other = engine::share_mapping(cache_).value();
  Cache reader = Cache::open(directory_.path(), {.read_only = true}).value();
  const auto number = [](Cache& cache, int key) {
    std::string value;
    return cache.get("key " + std::to_string(key), value) ? std::stoi(value) : 0;
  };
  std::mt19937 random(1);
  while (!stop) {
    Cache& cache = random() % 2 == 0 ? other : reader;
    const int first = static_cast<int>(random() % 6);
    const int second = static_cast<int>(random() % 6);
    const int before = number(cache, first);
    EXPECT_LE(before, number(cache, second));
  }
  writer.join();
}

// Without a place in the line this takes until the deadline.
TEST_F(TransactionTest, ALongOneIsNotStarvedByShortOnes) {
  open_accounts();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      Cache cache = engine::share_mapping(cache_).value();
      for (int n = 0; !stop; ++n)
        EXPECT_TRUE(cache.transact([&](Transaction& t) { return move(t, n % kAccounts, i, 1); }, 60'000).ok());
    });
  }
  int runs = 0;
  const Status done = cache_.transact(
      [&](Transaction& t) -> Status {
        ++runs;
        for (int i = 0; i < kAccounts; ++i) {
          if (Result<std::int64_t> value = t.incr(account(i), 0); !value.ok()) return value.error();
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return {};
      },
      60'000);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(done.ok());
  EXPECT_LE(runs, 12);
}

TEST_F(TransactionTest, ReadersOfTheDiskAloneAreRefused) {
  Cache reader = Cache::open(directory_.path(), {.read_only = true}).value();
  EXPECT_EQ(reader.transact([](Transaction&) { return Status{}; }).error().code, Code::kDenied);
}

TEST_F(TransactionTest, SurvivesARebuild) {
  open_accounts();
  ASSERT_TRUE(cache_.transact([](Transaction& t) { return move(t, 0, 1, 5); }).ok());
  ASSERT_TRUE(cache_.transact([](Transaction& t) { return t.del(account(2)).ok() ? Status{} : Error{}; }).ok());
  cache_ = Cache::open(engine::TestDirectory().path()).value();
  std::filesystem::remove(directory_.path() / "idx");
  cache_ = Cache::open(directory_.path()).value();
  EXPECT_EQ(get(account(0)), "995");
  EXPECT_EQ(get(account(1)), "1005");
  EXPECT_EQ(get(account(2)), "(none)");
}

}  // namespace
}  // namespace larder
