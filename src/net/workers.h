// Threads for work that blocks, behind a queue with an end: what cannot be begun soon is refused at once, so that a
// crowd gets an error it can act on instead of a wait that only grows.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace larder::net {

class Workers {
 public:
  Workers(unsigned threads, std::size_t queue_max);
  // As stop().
  ~Workers();

  // Runs it on one of the threads; false: the queue is full, or the workers stopped, and it will not run. Any thread.
  [[nodiscard]] bool submit(std::function<void()> task);

  // Ends what runs, drops what waits, joins. Later calls do nothing. Not from a task.
  void stop();

 private:
  void work();

  const std::size_t queue_max_;
  Mutex mutex_;
  Condition wake_;
  std::deque<std::function<void()>> queue_ LARDER_GUARDED_BY(mutex_);
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // set at construction, joined by stop()
};

}  // namespace larder::net
