#include "net/workers.h"

#include <utility>

namespace larder::net {

Workers::Workers(unsigned threads, std::size_t queue_max) : queue_max_(queue_max) {
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Workers::~Workers() { stop(); }

bool Workers::submit(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopped_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

void Workers::stop() {
  std::deque<std::function<void()>> dropped;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_all();
  dropped.clear();  // without the lock, and before the wait: who asked for these may be told at once
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::work() {
  for (;;) {
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      while (!stopped_ && queue_.empty()) wake_.wait(lock.native());
      if (stopped_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace larder::net
