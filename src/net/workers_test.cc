#include "net/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>

namespace larder::net {
namespace {

// A task that waits until it is let go.
struct Gate {
  std::promise<void> entered, open;
  std::function<void()> task() {
    return [this] {
      entered.set_value();
      open.get_future().wait();
    };
  }
};

TEST(Workers, RunsWhatItTakes) {
  std::atomic<int> sum = 0;
  {
    Workers workers(3, 1000);
    std::promise<void> last;
    std::atomic<int> left = 100;
    for (int i = 1; i <= 100; ++i)
      ASSERT_TRUE(workers.submit([&, i] {
        sum += i;
        if (--left == 0) last.set_value();
      }));
    last.get_future().wait();
  }
  EXPECT_EQ(sum, 5050);
}

TEST(Workers, RefusesWhatTheQueueHasNoRoomFor) {
  Gate gate;
  Workers workers(1, 2);
  ASSERT_TRUE(workers.submit(gate.task()));
  gate.entered.get_future().wait();  // the one thread is busy
  EXPECT_TRUE(workers.submit([] {}));
  EXPECT_TRUE(workers.submit([] {}));
  EXPECT_FALSE(workers.submit([] {}));
  gate.open.set_value();
}

TEST(Workers, StopEndsWhatRunsAndDropsWhatWaits) {
  Gate gate;
  std::atomic<bool> ran = false;
  auto held = std::make_shared<int>(1);
  Workers workers(1, 2);
  ASSERT_TRUE(workers.submit(gate.task()));
  gate.entered.get_future().wait();
  ASSERT_TRUE(workers.submit([&ran, held] { ran = true; }));
  std::thread stopper([&] { workers.stop(); });
  while (held.use_count() > 1) std::this_thread::yield();  // until what waits was dropped
  gate.open.set_value();
  stopper.join();
  EXPECT_FALSE(ran);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(workers.submit([] {}));
}

}  // namespace
}  // namespace larder::net
