// The look into a bucket beside a slow one.
#include "engine/index.h"

#include <gtest/gtest.h>

#include <random>

namespace larder::engine {
namespace {

TEST(SlotsTest, FindsTagsAndFreeSlotsWhereverTheyAre) {
  std::mt19937_64 random(1);
  Bucket bucket;
  bucket.meta.store(0);
  for (int round = 0; round < 20'000; ++round) {
    const std::uint64_t tag = random() % 4 == 0 ? 0 : random() >> 39;
    unsigned expected = 0;
    unsigned free = 0;
    for (int i = 0; i < Bucket::kSlots; ++i) {
      std::uint64_t word = random();
      if (random() % 3 == 0) word = tag << Slot::kTagShift | (word & (Slot::kOffsetMask | Slot::kFrequencyMask));
      if (random() % 4 == 0) word = 0;
      bucket.slots[i].store(word);
      if (Slot::tag_of(word) == tag) expected |= 2u << i;
      if (word == 0) free |= 2u << i;
    }
    // What else is in the line is no slot.
    bucket.meta.store(random() % 2 == 0 ? 0 : tag << Slot::kTagShift);
    const Slots slots(&bucket);
    EXPECT_EQ(slots.with(tag), expected);
    EXPECT_EQ(slots.free() & free, free);
    EXPECT_EQ(slots.free() & 1, 0u);
  }
}

TEST(SlotsTest, AreTakenInTheirOrder) {
  unsigned found = 0b1001'0010;
  EXPECT_EQ(Slots::take(found), 0);
  EXPECT_EQ(Slots::take(found), 3);
  EXPECT_EQ(Slots::take(found), 6);
  EXPECT_EQ(found, 0u);
}

}  // namespace
}  // namespace larder::engine
