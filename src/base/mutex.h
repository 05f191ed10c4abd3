// std::mutex and friends, annotated so that clang's -Wthread-safety checks who may touch what.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define LARDER_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define LARDER_THREAD_ATTRIBUTE(x)
#endif
#define LARDER_CAPABILITY(x) LARDER_THREAD_ATTRIBUTE(capability(x))
#define LARDER_SCOPED_CAPABILITY LARDER_THREAD_ATTRIBUTE(scoped_lockable)
#define LARDER_GUARDED_BY(x) LARDER_THREAD_ATTRIBUTE(guarded_by(x))
#define LARDER_REQUIRES(...) LARDER_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define LARDER_ACQUIRE(...) LARDER_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define LARDER_RELEASE(...) LARDER_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define LARDER_ASSERT_CAPABILITY(...) LARDER_THREAD_ATTRIBUTE(assert_capability(__VA_ARGS__))
#define LARDER_RETURN_CAPABILITY(x) LARDER_THREAD_ATTRIBUTE(lock_returned(x))
#define LARDER_EXCLUDES(...) LARDER_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define LARDER_NO_THREAD_SAFETY_ANALYSIS LARDER_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace larder {

// Threads of one process. Between processes the engine has a lock of its own (engine/shard_lock.h).
class LARDER_CAPABILITY("mutex") Mutex {
 public:
  void lock() LARDER_ACQUIRE() { mutex_.lock(); }
  void unlock() LARDER_RELEASE() { mutex_.unlock(); }
  // For Condition only.
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

class LARDER_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LARDER_ACQUIRE(mutex) : lock_(mutex.native()) {}
  ~MutexLock() LARDER_RELEASE() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  std::unique_lock<std::mutex>& native() { return lock_; }

 private:
  std::unique_lock<std::mutex> lock_;
};

using Condition = std::condition_variable;  // wait(lock.native(), ...)

}  // namespace larder
