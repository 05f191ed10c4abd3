// Making room: what stays, and what it takes of the disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <chrono>
#include <thread>

#include "engine/layout.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_files.h"

namespace larder::engine {
namespace {

class RoomTest : public ::testing::Test {
 protected:
  void TearDown() override { step_hook.store(nullptr); }

  Cache open(const std::string& name, std::uint64_t limit_bytes, Durability durability) {
    return Cache::open(directory_.path() / name, {.size_limit_bytes = limit_bytes, .durability = durability}).value();
  }
  static std::string key(int number) { return "key " + std::to_string(number); }

  TestDirectory directory_;
};

TEST_F(RoomTest, ASlowDiskEvictsNoMoreThanAFastOne) {
  const auto left = [&](const std::string& name, Durability durability) {
    Cache cache = open(name, 16 << 20, durability);
    const std::string value(1000, 'v');
    std::uint64_t least = ~std::uint64_t{0};
    for (int i = 0; i < 40'000; ++i) {
      cache.set(key(i), value).value();
      if (i > 20'000 && i % 100 == 0) least = std::min(least, cache.stats().entries);
    }
    return least;
  };
  const std::uint64_t fast = left("fast", Durability::kNone);
  step_hook.store([](Step at) {
    if (at == Step::kFlushed) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  EXPECT_GT(left("slow", Durability::kTimed), fast * 9 / 10);
}

TEST_F(RoomTest, EvictingLeavesNothingInThePlaceOfWhatWasNeverOverwritten) {
  const std::string value(20, 'v');
  std::string found;
  const auto left = [&](Policy policy) {
    Cache cache = Cache::open(directory_.path() / std::to_string(static_cast<int>(policy)),
                              {.size_limit_bytes = 16 << 20, .durability = Durability::kNone, .policy = policy})
                      .value();
    for (int i = 0; i < 1'000'000; ++i) {
      cache.set(key(i), value).value();
      cache.get(key(i / 4 % 1000), found);  // so that some stay, in segments older than what comes later
    }
    return cache.stats().entries;
  };
  // The second has no older segments, and never needs to leave anything.
  EXPECT_GT(left(Policy::kS3Fifo), left(Policy::kLeastRecentlyStored) * 19 / 20);
}

TEST_F(RoomTest, OverwritingLargeValuesUsesSpaceAgain) {
  Cache cache = open("big", 256 << 20, Durability::kNone);
  const std::string value(64 << 10, 'v');
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 100; ++i) cache.set(key(i), value).value();
  }
  EXPECT_EQ(cache.stats().entries, 100u);
  EXPECT_LT(cache.stats().disk_bytes, 30u << 20);  // of 190 MiB written
  EXPECT_THAT(cache.check().value().findings, ::testing::IsEmpty());
}

TEST_F(RoomTest, NewPagesAreNeverWrittenOverRecords) {
  const TestDirectory disk("/tmp");  // where pages are brought in by writing
  const std::filesystem::path path = disk.path() / "damaged";
  const auto open = [&] {
    return Cache::open(path, {.size_limit_bytes = 16 << 20, .durability = Durability::kNone}).value();
  };
  const std::string value(1000, 'v');
  {
    Cache cache = open();
    for (int i = 0; i < 100; ++i) cache.set(key(i), value).value();
  }
  // The account of the space says that there is none yet.
  const Geometry geometry{Geometry::kCapacityTimes * (16 << 20), 1, Geometry::default_segment_shift(16 << 20, 1)};
  for (std::uint32_t i = 0; i < geometry.segments(); ++i)
    write_bytes(path / "ctl", geometry.segments_at() + sizeof(SegmentState) * i + offsetof(SegmentState, allocated),
                std::string(4, '\0'));
  Cache cache = open();
  cache.set("another", value).value();
  for (int i = 0; i < 100; ++i) {
    std::string found;
    ASSERT_TRUE(cache.get(key(i), found)) << i;
    EXPECT_EQ(found, value) << i;
  }
}

// --- Policies --------------------------------------------------------------------------------------------------------

class PolicyTest : public RoomTest {
 protected:
  static constexpr int kFits = 12'000;  // entries of 1000 bytes in 16 MiB, about

  Cache open(Policy policy) {
    return Cache::open(directory_.path() / "cache",
                       {.size_limit_bytes = 16 << 20, .durability = Durability::kNone, .policy = policy})
        .value();
  }
  const std::string value_ = std::string(1000, 'v');
};

TEST_F(PolicyTest, TheLeastRecentlyStoredGoesFirstReadOrNot) {
  Cache cache = open(Policy::kLeastRecentlyStored);
  std::string found;
  for (int i = 0; i < 3 * kFits; ++i) {
    cache.set(key(i), value_).value();
    for (int first = 0; first < 3; ++first) cache.get(key(first), found);
  }
  // What is left are the last ones, without a hole.
  int oldest = 0;
  while (!cache.contains(key(oldest))) ++oldest;
  EXPECT_GT(oldest, kFits);
  EXPECT_LT(oldest, 3 * kFits - kFits / 2);
  for (int i = oldest; i < 3 * kFits; ++i) ASSERT_TRUE(cache.contains(key(i))) << i;
}

TEST_F(PolicyTest, WhatIsUsedStays) {
  for (const Policy policy : {Policy::kLeastRecentlyUsed, Policy::kLeastFrequentlyUsed, Policy::kS3Fifo}) {
    std::filesystem::remove_all(directory_.path() / "cache");
    Cache cache = open(policy);
    std::string found;
    for (int i = 0; i < 500; ++i) cache.set(key(i), value_).value();
    for (int i = 500; i < 4 * kFits; ++i) {
      cache.set(key(i), value_).value();
      if (i % 10 == 0) cache.get(key(i / 10 % 500), found);
    }
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(cache.contains(key(i))) << i << " " << static_cast<int>(policy);
  }
}

TEST_F(PolicyTest, FormerlyPopularEntriesGoWhenTheyAreNotUsedAnyMore) {
  Cache cache = open(Policy::kLeastRecentlyUsed);
  std::string found;
  for (int i = 0; i < 500; ++i) cache.set(key(i), value_).value();
  for (int read = 0; read < 50; ++read) {
    for (int i = 0; i < 500; ++i) cache.get(key(i), found);
  }
  for (int i = 500; i < 3 * kFits; ++i) cache.set(key(i), value_).value();
  for (int i = 0; i < 500; ++i) ASSERT_FALSE(cache.contains(key(i))) << i;
}

TEST_F(PolicyTest, TheFrequentlyUsedOutlastTheRecentlyUsed) {
  Cache cache = open(Policy::kLeastFrequentlyUsed);
  std::string found;
  for (int i = 0; i < 1000; ++i) cache.set(key(i), value_).value();
  for (int read = 0; read < 100; ++read) {
    for (int i = 0; i < 1000; i += 2) cache.get(key(i), found);  // often
  }
  for (int i = 1; i < 1000; i += 2) cache.get(key(i), found);  // last, and once
  for (int i = 1000; i < 3 * kFits; ++i) {                     // once too
    cache.set(key(i), value_).value();
    cache.get(key(i), found);
  }
  int often = 0;
  int last = 0;
  for (int i = 0; i < 1000; ++i) (i % 2 == 0 ? often : last) += cache.contains(key(i)) ? 1 : 0;
  EXPECT_GT(often, 490);
  EXPECT_LT(last, 10);
}

TEST_F(PolicyTest, WhatWasReadOnceOutlastsWhatNeverWas) {
  Cache cache = open(Policy::kLeastFrequentlyUsed);
  std::string found;
  for (int i = 0; i < 1000; ++i) cache.set(key(i), value_).value();
  for (int i = 0; i < 1000; ++i) cache.get(key(i), found);
  for (int i = 1000; i < 4 * kFits; ++i) cache.set(key(i), value_).value();
  int stayed = 0;
  for (int i = 0; i < 1000; ++i) stayed += cache.contains(key(i)) ? 1 : 0;
  EXPECT_GT(stayed, 900);  // of a second segment in a row that is worth keeping a sixteenth goes
}

TEST_F(PolicyTest, NoneEvictsNothingAndSaysSo) {
  Cache cache = open(Policy::kNone);
  int written = 0;
  Status status;
  for (; written < 3 * kFits && status.ok(); ++written) status = cache.set(key(written), value_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kNoSpace);
  EXPECT_GT(--written, kFits);
  for (int i = 0; i < written; ++i) ASSERT_TRUE(cache.contains(key(i))) << i;
  EXPECT_EQ(cache.stats().evictions, 0u);
  // Deleting makes room again.
  for (int i = 0; i < written; i += 2) cache.del(key(i)).value();
  for (int i = 0; i < written / 4; ++i) cache.set("again " + key(i), value_).value();
  EXPECT_THAT(cache.check().value().findings, ::testing::IsEmpty());
}

TEST_F(PolicyTest, DearEntriesStayLonger) {
  for (const Policy policy : {Policy::kS3Fifo, Policy::kLeastRecentlyUsed, Policy::kLeastFrequentlyUsed}) {
    std::filesystem::remove_all(directory_.path() / "cache");
    Cache cache = open(policy);
    for (int i = 0; i < 3 * kFits; ++i) cache.set(key(i), value_, {.cost = i % 10 == 0 ? 1000u : 10u}).value();
    int dear = 0;
    int cheap = 0;
    for (int i = 0; i < 2 * kFits; ++i) (i % 10 == 0 ? dear : cheap) += cache.contains(key(i)) ? 1 : 0;
    EXPECT_GT(dear, 2 * kFits / 10 / 2) << static_cast<int>(policy);
    EXPECT_LT(cheap, 2 * kFits / 10) << static_cast<int>(policy);
    EXPECT_THAT(cache.check().value().findings, ::testing::IsEmpty());
  }
}

}  // namespace
}  // namespace larder::engine
