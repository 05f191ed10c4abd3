#include "engine/flusher.h"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <system_error>

#include "base/try.h"
#include "engine/steps.h"

namespace larder::engine {

namespace {
void raise(Word& word, std::uint64_t to) {
  std::uint64_t now = word.load(std::memory_order_relaxed);
  while (now < to && !word.compare_exchange_weak(now, to, std::memory_order_release)) {
  }
}
}  // namespace

Flusher::Flusher(std::shared_ptr<Files> files, std::function<std::uint64_t()> written)
    : files_(std::move(files)), written_(std::move(written)), durability_(files_->globals().settings.durability) {}

Flusher::~Flusher() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stop_ = true;
    thread = std::move(thread_);
  }
  changed_.notify_all();
  if (thread.joinable()) thread.join();
  if (dirty_.load(std::memory_order_relaxed)) (void)flush();
}

Status Flusher::flush() {
  Globals& globals = files_->globals();
  const std::uint64_t mine = globals.flushes_started.fetch_add(1, std::memory_order_acq_rel) + 1;
  const std::uint64_t written = written_();
  TRY(files_->sync_log());
  step(Step::kFlushed);
  if (__builtin_expect(written != 0, 0)) TRY(note_transactions(written));
  raise(globals.flushes_done, mine);
  files_->release_blobs();
  return {};
}

// Those below `written` are on the disk. From here on a rebuild does not ask for them; who wants to write where one of
// them was waits for that to be on the disk too.
Status Flusher::note_transactions(std::uint64_t written) {
  Globals& globals = files_->globals();
  raise(globals.transactions_flushed, written);
  step(Step::kHorizonNoted);
  TRY(files_->sync_ctl());
  raise(globals.transactions_safe, written);
  return {};
}

Status Flusher::together() {
  MutexLock lock(mutex_);
  const std::uint64_t mine = ++asked_;
  while (served_ < mine) {
    if (flushing_) {
      changed_.wait(lock.native());
      continue;
    }
    flushing_ = true;
    const std::uint64_t all = asked_;
    lock.native().unlock();
    Status flushed = flush();
    lock.native().lock();
    flushing_ = false;
    if (flushed.ok()) served_ = std::max(served_, all);
    changed_.notify_all();
    if (!flushed.ok()) return flushed;
  }
  return {};
}

void Flusher::soon(bool at_once) {
  MutexLock lock(mutex_);
  dirty_.store(true, std::memory_order_relaxed);
  hurry_ = hurry_ || at_once;
  if (!thread_.joinable() && !stop_) {
    // Signals are the program's business.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      // No thread to be had: the next write tries again, and closing flushes.
      dirty_.store(false, std::memory_order_relaxed);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  changed_.notify_all();
}

void Flusher::run() {
  MutexLock lock(mutex_);
  while (!stop_) {
    if (!dirty_.load(std::memory_order_relaxed)) {
      changed_.wait(lock.native());
      continue;
    }
    const auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds(files_->settings().flush_every_ms);
    while (!stop_ && !hurry_ && changed_.wait_until(lock.native(), due) != std::cv_status::timeout) {
    }
    if (stop_) return;
    hurry_ = false;
    // Clean before the flush begins: a write that comes meanwhile asks for the next one.
    dirty_.store(false, std::memory_order_relaxed);
    lock.native().unlock();
    const bool flushed = flush().ok();
    lock.native().lock();
    // An error of the disk is seen by whoever calls flush(); here it can only be tried again.
    if (!flushed) dirty_.store(true, std::memory_order_relaxed);
  }
}

}  // namespace larder::engine
