// One caller's wish to stop, seen by whoever works for it.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/mutex.h"

namespace larder {

// Copies share one state. Any thread may cancel, ask or listen.
class Cancel {
 public:
  Cancel() : state_(std::make_shared<State>()) {}

  // Runs every listener once, on this thread; later calls do nothing.
  void cancel() {
    MutexLock lock(state_->mutex);
    if (state_->cancelled) return;
    state_->cancelled = true;
    for (auto& [id, listener] : state_->listeners) listener();
  }

  bool cancelled() const {
    MutexLock lock(state_->mutex);
    return state_->cancelled;
  }

  // Calls a function when cancelled (at once, if it was already), for as long as the Listener lives. The function must
  // be quick and must not touch this Cancel. Once ~Listener has returned the function does not run any more.
  class Listener;

 private:
  struct State {
    Mutex mutex;
    bool cancelled LARDER_GUARDED_BY(mutex) = false;
    int next_id LARDER_GUARDED_BY(mutex) = 0;
    std::map<int, std::function<void()>> listeners LARDER_GUARDED_BY(mutex);
  };
  std::shared_ptr<State> state_;
};

class Cancel::Listener {
 public:
  Listener(const Cancel& cancel, std::function<void()> listener) : state_(cancel.state_) {
    MutexLock lock(state_->mutex);
    if (state_->cancelled) listener();
    id_ = state_->next_id++;
    state_->listeners.emplace(id_, std::move(listener));
  }
  ~Listener() {
    MutexLock lock(state_->mutex);
    state_->listeners.erase(id_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  const std::shared_ptr<State> state_;
  int id_ = 0;
};

}  // namespace larder
