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

}  // namespace
}  // namespace larder::engine
