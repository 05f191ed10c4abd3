#include "base/hash.h"

#include <gtest/gtest.h>

namespace larder {
namespace {

TEST(Hash, SeedChangesHash64) {
  EXPECT_EQ(hash64("user:7", 1), hash64("user:7", 1));
  EXPECT_NE(hash64("user:7", 1), hash64("user:7", 2));
}

}  // namespace
}  // namespace larder
