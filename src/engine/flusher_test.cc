// Which writes wait for the disk, and for how long. Flushes are counted at their step.
#include "engine/flusher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <thread>

#include "engine/steps.h"
#include "engine/test_directory.h"

namespace larder {
namespace {

using ::testing::IsEmpty;

std::atomic<int> flushes{0};

class FlusherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    flushes = 0;
    engine::step_hook.store([](engine::Step at) { flushes += at == engine::Step::kFlushed ? 1 : 0; });
  }
  void TearDown() override { engine::step_hook.store(nullptr); }
  Cache open(Durability durability, std::uint32_t every_ms = 3'600'000) {
    return Cache::open(directory_.path(),
                       {.size_limit_bytes = 16 << 20, .durability = durability, .flush_every_ms = every_ms})
        .value();
  }
  engine::TestDirectory directory_;
};

TEST_F(FlusherTest, EachWaitsForTheDiskEveryTime) {
  Cache cache = open(Durability::kEach);
  cache.set("a", "1").value();
  EXPECT_EQ(flushes, 1);
  cache.touch("a", 1000).value();
  cache.incr("n").value();
  cache.del("a").value();
  EXPECT_EQ(flushes, 4);
}

TEST_F(FlusherTest, WritersWhoWaitTogetherAreServedTogether) {
  Cache cache = open(Durability::kEach);
  constexpr int kThreads = 4;
  constexpr int kWrites = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kWrites; ++i) cache.set(std::to_string(t * kWrites + i), "1").value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(flushes, kWrites);
  EXPECT_LE(flushes, kThreads * kWrites);
  EXPECT_EQ(cache.stats().entries, static_cast<std::uint64_t>(kThreads * kWrites));
}

TEST_F(FlusherTest, TimedComesByItself) {
  Cache cache = open(Durability::kTimed, 1);
  cache.set("a", "1").value();
  while (flushes == 0) std::this_thread::yield();  // a test that fails here does not end
  EXPECT_EQ(cache.get("a")->bytes(), "1");
}

TEST_F(FlusherTest, TimedFlushesWhenItCloses) {
  {
    Cache cache = open(Durability::kTimed);
    cache.set("a", "1").value();
    EXPECT_EQ(flushes, 0);
  }
  EXPECT_EQ(flushes, 1);
}

TEST_F(FlusherTest, ReadersAndNoneNeverFlush) {
  {
    Cache cache = open(Durability::kNone);
    for (int i = 0; i < 60'000; ++i) cache.set(std::to_string(i), std::string(1000, 'v')).value();
  }
  EXPECT_EQ(flushes, 0);
  engine::TestDirectory elsewhere;
  { Cache cache = Cache::open(elsewhere.path(), {.durability = Durability::kTimed}).value(); }
  EXPECT_EQ(flushes, 0);
}

TEST_F(FlusherTest, FreedSegmentsAreWrittenAgainOnlyAfterAFlush) {
  Cache cache = open(Durability::kTimed);
  for (int i = 0; i < 60'000; ++i) cache.set(std::to_string(i), std::string(1000, 'v')).value();
  EXPECT_GT(cache.stats().evictions, 0u);
  EXPECT_GT(flushes, 10);  // four fifths of some 130 segments were written more than once
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

TEST_F(FlusherTest, FlushReturnsWhenAllIsOnTheDisk) {
  Cache cache = open(Durability::kNone);
  cache.set("a", "1").value();
  cache.flush().value();
  EXPECT_EQ(flushes, 1);
}

}  // namespace
}  // namespace larder
