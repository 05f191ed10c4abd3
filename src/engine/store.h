// One opened directory, as one Cache object sees it: its files, its place among the processes, its shards, its flusher.
#pragma once

#include <larder/cache.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "engine/blob_room.h"
#include "engine/flusher.h"
#include "engine/membership.h"
#include "engine/shard.h"

namespace larder::engine {

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& directory, const Options& options);
  // A second opener on the same mapping, for tests: ThreadSanitizer sees no race between two mappings of one file.
  static Result<std::unique_ptr<Store>> open_on(std::shared_ptr<Files> files, const Options& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Before every call: a forked child takes its own place here. False: there is none left.
  bool ready() {
    if (__builtin_expect(joined_.load(std::memory_order_acquire), 1)) return true;
    return files_->read_only() || rejoin().ok();
  }
  // Before every write: this, and when it says no, that.
  bool may_write() const {
    return joined_.load(std::memory_order_acquire) && clean_.load(std::memory_order_relaxed) == kUnclean;
  }
  Status ready_to_write();
  // From this moment on every record with the tag that was written before is dead; `before` is that moment. False:
  // too many tags were evicted, and the dead must be removed first (forget_tags).
  Result<bool> evict_tag(std::uint64_t tag, std::uint64_t& before);
  // Every record that a tag evicted before `swept` makes dead was removed.
  Status forget_tags(std::uint64_t swept);
  Status change(const SettingsChange& wanted);

  // Transactions of this Cache are decided one after another: the process's slot has one word for that.
  Mutex& committing() LARDER_RETURN_CAPABILITY(committing_) { return committing_; }
  // The number of a transaction that is to be written now ...
  std::uint64_t begin_transaction();
  // ... and that has happened.
  void decide(std::uint64_t number) {
    ProcessSlot& mine = files_->process(membership_.self().slot);
    mine.committed.store(number, std::memory_order_release);
    mine.committing.store(0, std::memory_order_release);
  }
  // Which transaction goes before others. False: somebody else does.
  bool go_first(const void* transaction);
  void went_first(const void* transaction);
  // Nobody goes before this one, or he takes too long.
  bool may_go(const void* transaction);

  // A larger value lies in a file of its own ...
  std::uint64_t inline_most() const { return inline_most_; }
  // ... and one that is larger than this nowhere.
  std::uint64_t value_most() const { return blob_bytes_most(files_->settings().size_limit_bytes); }
  BlobRoom& blob_room() { return *blob_room_; }

  std::uint64_t hash(std::string_view key) const { return hash64(key, files_->seed()); }
  std::size_t shard_number(std::uint64_t hash) const { return hash >> kShardShift & shard_mask_; }
  Shard& shard(std::uint64_t hash) const { return *shards_[shard_number(hash)]; }
  const std::vector<std::unique_ptr<Shard>>& shards() const { return shards_; }
  const std::shared_ptr<Files>& files() const { return files_; }
  Membership& membership() { return membership_; }
  Flusher& flusher() { return *flusher_; }
  const Now& now() const { return now_; }

  // Counters and pins of a process are striped by thread. A few threads have a stripe to themselves as long as they
  // live, and count with a load and a store; the others share the last one.
  class Stripe {
   public:
    Stripe();
    ~Stripe();
    Stripe(const Stripe&) = delete;
    Stripe& operator=(const Stripe&) = delete;

    static constexpr std::uint32_t kShared = kStripes - 1;
    std::uint32_t number = kShared;
  };
  static const Stripe& mine() {
    thread_local const Stripe stripe;
    return stripe;
  }
  static std::uint32_t stripe() { return mine().number; }
  void count_read(bool hit, std::uint32_t stripe) {
    if (__builtin_expect(counters_ == nullptr, 0)) return;
    Counters& counters = counters_[stripe];
    Word& count = hit ? counters.hits : counters.misses;
    if (__builtin_expect(stripe != Stripe::kShared, 1)) {
      count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else {
      count.fetch_add(1, std::memory_order_relaxed);
    }
  }

  // For fork (see store.cc).
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();

 private:
  enum Clean : std::uint32_t { kUnclean = 0, kClean = 1, kBecomingUnclean = 2 };

  Store(std::shared_ptr<Files> files, const Options& options);
  Status start(bool fresh_mapping);
  Status bring_up();
  void forget_what_was_lost();
  Status rebuild(bool lost_power);
  Status rebuild_shards(Doubtful* doubtful);
  std::uint64_t written_transactions();
  std::unique_ptr<Flusher> make_flusher() {
    return std::make_unique<Flusher>(files_, [this] { return written_transactions(); });
  }
  Status rejoin();
  Status join();

  const std::shared_ptr<Files> files_;
  const Now now_;
  Membership membership_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<Flusher> flusher_;
  std::unique_ptr<BlobRoom> blob_room_;
  Half& clean_;
  const std::uint64_t inline_most_;
  const std::uint64_t shard_mask_;
  std::atomic<bool> joined_{false};
  Counters* counters_ = nullptr;  // of our slot, by stripe; set before joined_. Null: opened read-only.
  Mutex joining_;
  Mutex tagging_;
  Mutex committing_;
  std::atomic<const void*> first_{nullptr};  // of this Cache's transactions
  bool forked_ = false;
};

// What a writer does between two attempts to find room. Not while it holds a lock.
class RoomWait {
 public:
  explicit RoomWait(Store& store) : store_(store) {}
  // Waits for what `room` says is missing. kNoSpace: pins hold all of it, and go on to.
  Status wait(Room room);

 private:
  Store& store_;
  std::optional<std::chrono::steady_clock::time_point> since_;
};

}  // namespace larder::engine
