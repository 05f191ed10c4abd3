#include "engine/shard_lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace larder::engine {

namespace {

// Holders need about half a microsecond; beyond this a waiter sleeps.
constexpr int kSpins = 100;
// A waiter looks again whether the owner lives at least this often.
constexpr long kLookAgainNs = 2'000'000;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

bool ShardLock::lock_slow() {
  const std::uint32_t mine = membership_.self().word();
  for (int i = 0; i < kSpins; ++i) {
    std::uint32_t free = 0;
    if (word_.load(std::memory_order_relaxed) == 0 &&
        word_.compare_exchange_weak(free, mine, std::memory_order_acquire, std::memory_order_relaxed))
      return false;
    pause_cpu();
  }
  // From here on the word is taken with the waiters' bit: there may be others asleep behind us.
  for (;;) {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    if (seen == 0 || !membership_.alive(seen)) {
      // `seen` names one life of one slot, so a word that is the same again has the same dead owner.
      if (word_.compare_exchange_strong(seen, mine | kWaiters, std::memory_order_acquire, std::memory_order_relaxed))
        return seen != 0;
      continue;
    }
    if ((seen & kWaiters) == 0 &&
        !word_.compare_exchange_strong(seen, seen | kWaiters, std::memory_order_relaxed, std::memory_order_relaxed))
      continue;
    const timespec timeout{0, kLookAgainNs};
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word_), FUTEX_WAIT, seen | kWaiters, &timeout, nullptr, 0);
  }
}

void ShardLock::wake() {
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word_), FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace larder::engine
