// Opening: under the directory's lock, one opener at a time. The first of a boot decides from boot id and clean flag
// whether the index is what the log says; if not, it makes it anew before anybody else gets in.
//
// Forking: the child shares the mappings, which is right, and inherits the liveness descriptor, which is not: it closes
// it at once, so that the parent's death is seen, and takes a slot of its own at its first call. The parent's flusher
// thread does not exist in the child, so the child leaves the parent's Flusher alone and makes its own.
#include "engine/store.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <system_error>
#include <thread>

#include "base/try.h"
#include "engine/tags.h"

namespace larder::engine {

namespace {

// All stores of this process, for fork. Never destroyed: children and threads may outlive main().
struct Forkers {
  Mutex mutex;
  std::set<Store*> stores LARDER_GUARDED_BY(mutex);
};
Forkers& forkers() {
  static Forkers* const all = new Forkers;
  return *all;
}
void before_fork() LARDER_NO_THREAD_SAFETY_ANALYSIS {
  forkers().mutex.lock();
  for (Store* store : forkers().stores) store->before_fork();
}
void after_fork_in_parent() LARDER_NO_THREAD_SAFETY_ANALYSIS {
  for (Store* store : forkers().stores) store->after_fork_in_parent();
  forkers().mutex.unlock();
}
void after_fork_in_child() LARDER_NO_THREAD_SAFETY_ANALYSIS {
  for (Store* store : forkers().stores) store->after_fork_in_child();
  forkers().mutex.unlock();
}
// Which stripes belong to a thread. In a forked child those of threads that it does not have stay taken.
std::atomic<std::uint32_t> taken_stripes{0};

void watch_forks() {
  static const int once = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  (void)once;
}

}  // namespace

Store::Stripe::Stripe() {
  std::uint32_t taken = taken_stripes.load(std::memory_order_relaxed);
  for (;;) {
    number = static_cast<std::uint32_t>(std::countr_one(taken));
    if (number >= kShared) {
      number = kShared;
      return;
    }
    // Acquire: what the thread before counted there.
    if (taken_stripes.compare_exchange_weak(taken, taken | 1u << number, std::memory_order_acquire,
                                            std::memory_order_relaxed))
      return;
  }
}

Store::Stripe::~Stripe() {
  if (number == kShared) return;
  taken_stripes.fetch_and(~(1u << number), std::memory_order_release);
  number = kShared;  // for what this thread still destroys
}

Store::Store(std::shared_ptr<Files> files, const Options& options)
    : files_(std::move(files)),
      now_(options.clock),
      membership_(files_),
      clean_(files_->globals().clean),
      inline_most_(
          std::min<std::uint64_t>(files_->geometry().segment_bytes() / 2,
                                  Shard::record_most(files_->geometry()) - kRecordHeader - 64 - kTagsMost - kKeyMost)),
      shard_mask_(files_->geometry().shards - 1) {
  const Geometry& g = files_->geometry();
  flusher_ = make_flusher();
  blob_room_ = std::make_unique<BlobRoom>(*this);
  for (std::uint32_t i = 0; i < g.shards; ++i) shards_.push_back(std::make_unique<Shard>(files_, membership_, i, now_));
}

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& directory, const Options& options) {
  const Fd fd = TRY(Files::open_directory(directory, options.create && !options.read_only));
  const DirectoryLock lock = TRY(DirectoryLock::take(fd.get(), directory));
  std::shared_ptr<Files> files = TRY(Files::open(fd.get(), directory, options));
  std::unique_ptr<Store> store(new Store(std::move(files), options));
  TRY(store->start(true));
  return store;
}

Result<std::unique_ptr<Store>> Store::open_on(std::shared_ptr<Files> files, const Options& options) {
  std::unique_ptr<Store> store(new Store(std::move(files), options));
  TRY(store->start(false));
  return store;
}

Status Store::start(bool fresh_mapping) {
  if (fresh_mapping) TRY(bring_up());
  if (!files_->read_only()) {
    TRY(join());
    joined_.store(true, std::memory_order_release);
  }
  watch_forks();
  MutexLock lock(forkers().mutex);
  forkers().stores.insert(this);
  return {};
}

Status Store::bring_up() {
  Globals& globals = files_->globals();
  // What Files::settings() makes of them: what the cache was created with, when nothing sound is there.
  if (!files_->read_only()) files_->store_settings(files_->settings());
  const std::string boot = current_boot_id();
  const bool fresh = globals.boot_id[0] == '\0';
  const bool same_boot = std::strncmp(globals.boot_id, boot.c_str(), sizeof(globals.boot_id)) == 0;
  const bool clean = globals.clean.load(std::memory_order_acquire) == kClean;
  const bool right = globals.index_ready.load(std::memory_order_acquire) == 1 && !files_->index_lost();
  if (right && (same_boot || clean) && !fresh) {
    if (!same_boot && !files_->read_only()) {
      globals.flushes_done.store(globals.flushes_started.load());
      std::memcpy(globals.boot_id, boot.c_str(), boot.size() + 1);
    }
    return {};
  }
  if (files_->read_only())
    return Error{Code::kUnavailable,
                 files_->path().string() + ": was not closed cleanly and must be repaired; open it once for writing"};
  if (same_boot && files_->index_lost() && membership_.count() > 0)
    return Error{Code::kCorrupt, files_->path().string() + ": a file was removed or cut while processes have it open"};
  globals.index_ready.store(0, std::memory_order_release);
  if (clean) {
    // From here on the index on the disk may be half the one that is made now.
    globals.clean.store(kBecomingUnclean, std::memory_order_release);
    TRY(files_->sync_ctl());
  }
  if (fresh && !files_->index_lost()) {
    globals.sequence.store(1);
    for (const auto& shard : shards_) TRY(shard->format());
  } else {
    if (globals.sequence.load() == 0) globals.sequence.store(1);
    for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) {
      files_->process(slot).committing.store(0);
      files_->process(slot).blob_bytes.store(0);
      files_->process(slot).keeps_blobs.store(0);
      for (std::uint32_t stripe = 0; stripe < kStripes; ++stripe)
        std::memset(reinterpret_cast<char*>(files_->pins(slot, stripe)), 0, files_->geometry().pins_pitch());
    }
    if (same_boot) {
      TRY(files_->sync_log());  // what is counted as flushed is
    } else {
      forget_what_was_lost();
    }
    globals.flushes_done.store(globals.flushes_started.load());
    Tags(*files_).recount();
    TRY(rebuild(!same_boot));
    blob_room_->expect_orphans();
  }
  globals.clean.store(kUnclean);
  std::memcpy(globals.boot_id, boot.c_str(), boot.size() + 1);
  globals.index_ready.store(1, std::memory_order_release);
  // A cache without a boot counts as never used. And numbers that are given out are not given out after the next loss.
  if (!same_boot) TRY(files_->sync_ctl());
  return {};
}

// Each page of `ctl` may be of another moment than the log, older or newer.
void Store::forget_what_was_lost() {
  Globals& globals = files_->globals();
  // The note of a transaction may speak of bytes that are records now ...
  for (std::uint32_t i = 0; i < files_->geometry().shards; ++i) {
    files_->shard(i).transaction.store(0);
    files_->shard(i).last_transaction.store(0);
  }
  // ... and a decision of a number that another one is to get.
  for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) files_->process(slot).committed.store(0);
  // What was lost has taken numbers of which the log knows nothing. Those that were kept in `ctl` must not be of what
  // is written from now on: a tag's eviction would take it.
  std::uint64_t next = std::max(globals.sequence.load(), globals.transactions_flushed.load());
  for (const std::uint64_t before : Tags(*files_).since(0)) {
    if (before <= kMask48 / 2) next = std::max(next, before);
  }
  globals.sequence.store(next + kSequenceGap);
}

Status Store::rebuild(bool lost_power) {
  if (!lost_power) return rebuild_shards(nullptr);
  Globals& globals = files_->globals();
  const bool in_order = files_->settings().durability != Durability::kNone;
  globals.transactions_safe.store(globals.transactions_flushed.load());
  Doubtful doubtful(globals.transactions_flushed.load(), in_order);
  TRY(rebuild_shards(&doubtful));
  doubtful.decide();
  for (const auto& shard : shards_) TRY(shard->finish_rebuild(doubtful));
  // Where nothing waits for the disk they are asked for as a whole the next time, too.
  if (!doubtful.any() || !in_order) return {};
  // What was found whole is on the disk, and what was not must not be found again.
  TRY(files_->sync_log());
  globals.transactions_flushed.store(globals.sequence.load());
  TRY(files_->sync_ctl());
  globals.transactions_safe.store(globals.transactions_flushed.load());
  return {};
}

// Shards know nothing of each other, so as many are made anew at once as there are cores.
Status Store::rebuild_shards(Doubtful* doubtful) {
  std::vector<Status> results(shards_.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = 0; (i = next.fetch_add(1)) < shards_.size();) results[i] = shards_[i]->rebuild(doubtful);
  };
  const std::size_t wanted = std::min<std::size_t>(shards_.size(), std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> others;
  others.reserve(wanted);
  // Signals are the program's business.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    while (others.size() + 1 < wanted) others.emplace_back(work);
  } catch (const std::system_error&) {
    // Those that there are do it all.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  work();
  for (std::thread& other : others) other.join();
  for (const Status& result : results) TRY(result);
  return {};
}

std::uint64_t Store::begin_transaction() {
  Globals& globals = files_->globals();
  // Before the number is taken: who reads the next number and finds nothing here knows that ours will be higher.
  files_->process(membership_.self().slot).committing.store(globals.sequence.load(), std::memory_order_seq_cst);
  const std::uint64_t number = globals.sequence.fetch_add(1, std::memory_order_seq_cst);
  std::uint64_t last = globals.transactions_last.load(std::memory_order_relaxed);
  while (last < number && !globals.transactions_last.compare_exchange_weak(last, number, std::memory_order_release)) {
  }
  return number;
}

// For the flusher: transactions with lower numbers are in the log, as far as there will ever be any. 0: there is
// nothing new.
std::uint64_t Store::written_transactions() {
  const Globals& globals = files_->globals();
  const std::uint64_t last = globals.transactions_last.load(std::memory_order_acquire);
  if (last == 0 || last < globals.transactions_safe.load(std::memory_order_relaxed)) return 0;
  std::uint64_t horizon = globals.sequence.load(std::memory_order_seq_cst);
  for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) {
    ProcessSlot& process = files_->process(slot);
    if (process.incarnation.load(std::memory_order_acquire) == 0) break;
    const std::uint32_t life = process.incarnation.load(std::memory_order_seq_cst);
    const std::uint64_t from = process.committing.load(std::memory_order_seq_cst);
    if (from == 0) continue;
    if (membership_.dead(slot)) {
      // Has left something to carry out or to blot out, maybe.
      for (const auto& shard : shards_) shard->settle(slot);
      membership_.while_dead(slot, [&] {
        if (process.incarnation.load() == life) process.committing.store(0, std::memory_order_release);
      });
    }
    if (process.committing.load(std::memory_order_seq_cst) != 0) horizon = std::min(horizon, from);
  }
  return horizon;
}

Status Store::join() {
  TRY(membership_.join());
  // Whether transactions of the slot's last owner happened is known while the slot says so, which our first one ends.
  const std::uint32_t slot = membership_.self().slot;
  for (const auto& shard : shards_) shard->settle(slot);
  files_->process(slot).committing.store(0, std::memory_order_release);
  counters_ = &files_->counters(slot, 0);
  blob_room_->sweep_if_expected();
  return {};
}

bool Store::go_first(const void* transaction) {
  Half& word = files_->globals().first_in_line;
  std::uint32_t seen = word.load(std::memory_order_acquire);
  if (seen != 0 && membership_.alive(seen)) return first_.load() == transaction;
  if (!word.compare_exchange_strong(seen, membership_.self().word(), std::memory_order_acq_rel)) return false;
  first_.store(transaction);
  return true;
}

void Store::went_first(const void* transaction) {
  if (first_.load() != transaction) return;
  first_.store(nullptr);
  std::uint32_t mine = membership_.self().word();
  files_->globals().first_in_line.compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
}

bool Store::may_go(const void* transaction) {
  Half& word = files_->globals().first_in_line;
  std::uint32_t seen = word.load(std::memory_order_acquire);
  if (__builtin_expect(seen == 0, 1) || first_.load() == transaction) return true;
  if (membership_.alive(seen)) return false;
  word.compare_exchange_strong(seen, 0, std::memory_order_acq_rel);
  return true;
}

Status Store::rejoin() {
  MutexLock lock(joining_);
  if (joined_.load(std::memory_order_acquire)) return {};
  if (forked_) {
    // The parent's thread is not here to be joined, and its locks may be held for ever.
    (void)flusher_.release();
    flusher_ = make_flusher();
    forked_ = false;
  }
  TRY(join());
  joined_.store(true, std::memory_order_release);
  return {};
}

Result<bool> Store::evict_tag(std::uint64_t tag, std::uint64_t& before) {
  MutexLock lock(tagging_);
  before = files_->globals().sequence.fetch_add(1, std::memory_order_relaxed);
  return shards_[0]->evict_tag(tag, before);
}

Status Store::forget_tags(std::uint64_t swept) {
  // What made the records dead goes only after the records, on the disk too.
  if (files_->settings().durability != Durability::kNone) TRY(flusher_->flush());
  (void)shards_[0]->forget_tags(swept);
  return files_->sync_ctl();
}

Status Store::change(const SettingsChange& wanted) {
  const DirectoryLock lock = TRY(DirectoryLock::take(files_->directory_fd(), files_->path()));
  const Geometry& g = files_->geometry();
  Config config = files_->settings();
  config.size_limit_bytes = wanted.size_limit_bytes.value_or(config.size_limit_bytes);
  config.entry_limit = wanted.entry_limit.value_or(config.entry_limit);
  config.policy = wanted.policy.value_or(config.policy);
  config.durability = wanted.durability.value_or(config.durability);
  config.flush_every_ms = wanted.flush_every_ms.value_or(config.flush_every_ms);
  const std::uint64_t least = std::max(Geometry::kSizeLeast, Geometry::kShardLeast * g.shards);
  if (config.size_limit_bytes < least || config.size_limit_bytes > g.capacity)
    return Error{Code::kInvalid, "size_limit_bytes is " + std::to_string(config.size_limit_bytes) +
                                     ", this cache was made for " + std::to_string(least) + " to " +
                                     std::to_string(g.capacity) + "; make another one for more"};
  if (config.policy > Policy::kNone)
    return Error{Code::kInvalid,
                 "policy is " + std::to_string(static_cast<unsigned>(config.policy)) + ", there are 0 to 4"};
  if (config.durability > Durability::kEach) return Error{Code::kInvalid, "durability is none of none, timed, each"};
  if (config.entry_limit != 0 && config.entry_limit < g.shards)
    return Error{Code::kInvalid, "entry_limit is " + std::to_string(config.entry_limit) + ", this cache has " +
                                     std::to_string(g.shards) + " shards with one entry at least"};
  if (config.flush_every_ms == 0) return Error{Code::kInvalid, "flush_every_ms is 0, must be at least 1"};
  const bool was_unordered = files_->settings().durability == Durability::kNone;
  files_->store_settings(config);
  for (const auto& shard : shards_) shard->settings_changed();
  TRY(files_->sync_ctl());
  // What was written under a weaker promise is kept under the new one.
  if (config.durability == Durability::kNone) return {};
  if (was_unordered) TRY(files_->sync_blobs());
  return flusher_->flush();
}

Status Store::ready_to_write() {
  if (files_->read_only()) return Error{Code::kDenied, files_->path().string() + ": is open for reading only"};
  if (!joined_.load(std::memory_order_acquire)) TRY(rejoin());
  if (clean_.load(std::memory_order_acquire) != kUnclean) {
    // On the disk before the first change is: else a power loss would leave a changed index that calls itself clean.
    clean_.store(kBecomingUnclean, std::memory_order_release);
    TRY(files_->sync_ctl());
    clean_.store(kUnclean, std::memory_order_release);
  }
  return {};
}

Store::~Store() {
  {
    MutexLock lock(forkers().mutex);
    forkers().stores.erase(this);
  }
  if (forked_) {
    (void)flusher_.release();
    return;
  }
  const bool promised = files_->settings().durability != Durability::kNone;
  if (promised && files_->blobs().dropped_bytes() > 0) (void)flusher_->flush();
  flusher_.reset();
  if (files_->read_only() || !membership_.joined()) return;
  files_->release_blobs();
  Result<DirectoryLock> lock = DirectoryLock::take(files_->directory_fd(), files_->path());
  membership_.leave();
  Globals& globals = files_->globals();
  if (!lock.ok() || !promised || membership_.count() > 0 || globals.clean.load() != kUnclean) return;
  // The last one out: what is on the disk from here on is right, index and all.
  if (files_->sync_log().ok() && files_->sync_idx().ok() && files_->sync_ctl().ok()) {
    globals.clean.store(kClean, std::memory_order_release);
    (void)files_->sync_ctl();
  }
}

void Store::before_fork() LARDER_NO_THREAD_SAFETY_ANALYSIS {
  joining_.lock();
  committing_.lock();
  files_->blobs().before_fork();
}
void Store::after_fork_in_parent() LARDER_NO_THREAD_SAFETY_ANALYSIS {
  files_->blobs().after_fork();
  committing_.unlock();
  joining_.unlock();
}
void Store::after_fork_in_child() LARDER_NO_THREAD_SAFETY_ANALYSIS {
  files_->blobs().after_fork_in_child();
  membership_.forget();
  joined_.store(false, std::memory_order_release);
  forked_ = true;
  first_.store(nullptr);
  committing_.unlock();
  joining_.unlock();
}

Status RoomWait::wait(Room room) {
  constexpr auto kPinsPatience = std::chrono::seconds(2);
  if (room == Room::kFlush) return store_.flusher().flush();
  const auto now = std::chrono::steady_clock::now();
  if (!since_) since_ = now;
  if (now - *since_ > kPinsPatience)
    return Error{Code::kNoSpace,
                 store_.files()->path().string() +
                     ": the cache is full of pinned values; let go of pins that are not needed any more"};
  store_.membership().bury_dead();
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return {};
}

}  // namespace larder::engine
