// The lock of one shard, between threads and processes, that survives the death of its holder.
//
// The word holds who has it: waiters:1 incarnation:23 slot+1:8, or 0. A waiter that finds the owner dead takes the word
// over with one compare-and-swap and is told so: it must repair the shard before anything else. Holders are told in the
// same way while the repair is not done, since a repairer may die as well. A pthread robust mutex lost: it breaks
// mutual exclusion when two pid namespaces share a directory, and tells waiters of a death up to 3 ms late.
#pragma once

#include "base/mutex.h"
#include "engine/membership.h"

namespace larder::engine {

class LARDER_CAPABILITY("shard lock") ShardLock {
 public:
  ShardLock(Half& word, const Membership& membership) : word_(word), membership_(membership) {}

  // True: the last holder died inside.
  [[nodiscard]] bool lock() LARDER_ACQUIRE() {
    std::uint32_t free = 0;
    if (__builtin_expect(word_.compare_exchange_strong(free, membership_.self().word(), std::memory_order_acquire,
                                                       std::memory_order_relaxed),
                         1))
      return false;
    return lock_slow();
  }
  void unlock() LARDER_RELEASE() {
    if (__builtin_expect((word_.exchange(0, std::memory_order_release) & kWaiters) != 0, 0)) wake();
  }

  // Told the analysis where it cannot see it: in a lambda that is called by who holds it. Costs nothing.
  void is_held() const LARDER_ASSERT_CAPABILITY() {}

 private:
  static constexpr std::uint32_t kWaiters = 0x80000000;

  bool lock_slow();
  void wake();

  Half& word_;
  const Membership& membership_;
};

}  // namespace larder::engine
