#include "base/cancel.h"

#include <gtest/gtest.h>

namespace larder {
namespace {

TEST(Cancel, TellsListenersOnceAndLateOnesAtOnce) {
  Cancel cancel;
  int told = 0;
  Cancel::Listener early(cancel, [&] { ++told; });
  {
    Cancel::Listener gone(cancel, [&] { told += 100; });
  }
  EXPECT_FALSE(cancel.cancelled());
  Cancel(cancel).cancel();  // copies share one state
  cancel.cancel();
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(cancel.cancelled());
  Cancel::Listener late(cancel, [&] { ++told; });
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace larder
