#include "engine/transaction.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "base/try.h"
#include "engine/steps.h"

namespace larder {

namespace {
using engine::Part;
using engine::Put;
using engine::Room;
using engine::Shard;
using engine::Store;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int kLossesMost = 3;  // before a transaction makes others wait
// How long others wait for it: what its work does nobody knows.
constexpr auto kPatience = std::chrono::seconds(1);

Error begun_again() {
  return {Code::kUnavailable, "others changed what the transaction has read; return this, and it is begun again"};
}

enum class Outcome { kDone, kLost };
}  // namespace

class Transaction::Impl {
 public:
  Impl(Cache& cache, Store& store) : cache_(cache), store_(store) {}

  struct Write {
    std::optional<std::string> value;                 // nullopt: the key is removed
    std::string tags;                                 // encoded
    Put put;                                          // without the views into the two above, and the key's
    std::shared_ptr<engine::NewBlob> file = nullptr;  // of a large value
    engine::Blob blob{};                              // where it lies
  };

  Result<std::optional<std::string>> get(std::string_view key, std::uint8_t* format);
  Result<bool> contains(std::string_view key);
  Status set(std::string_view key, std::string_view value, const SetOptions& options);
  Result<bool> del(std::string_view key);
  Result<std::int64_t> incr(std::string_view key, std::int64_t delta);

  std::size_t mark() const { return undo_.size(); }
  void roll_back(std::size_t mark);
  bool lost() const { return lost_; }
  Result<Outcome> commit(SteadyTime until, const void* self);

 private:
  struct Seen {
    std::uint64_t hash = 0;
    std::uint64_t sequence = 0;  // 0: there was nothing
  };
  // What this transaction has written under the key.
  const Write* written(std::string_view key) const {
    const auto at = writes_.find(key);
    return at == writes_.end() ? nullptr : &at->second;
  }
  Status saw(std::string_view key, std::uint64_t sequence);
  void keep(std::string_view key, Write write);
  std::vector<std::pair<Shard*, Part>> parts();
  Status wait_for_turn(SteadyTime until, const void* self);

  Cache& cache_;
  Store& store_;
  std::map<std::string, Seen, std::less<>> reads_;
  std::map<std::string, Write, std::less<>> writes_;
  std::vector<std::pair<std::string, std::optional<Write>>> undo_;  // what was written before
  bool lost_ = false;
};

// What the work sees must have been so at one moment, or it may go wrong before commit() can tell. That no sequence was
// taken since the last look would say nothing: a writer takes it before its write is seen.
Status Transaction::Impl::saw(std::string_view key, std::uint64_t sequence) {
  if (lost_) return begun_again();
  const std::uint64_t hash = store_.hash(key);
  const auto [at, is_new] = reads_.try_emplace(std::string(key), Seen{hash, sequence});
  lost_ = at->second.sequence != sequence;
  if (!lost_ && is_new) {
    for (const auto& [other, seen] : reads_) {
      if (other == key) continue;
      const std::optional<EntryInfo> now = store_.shard(seen.hash).info(other, seen.hash, false);
      if ((now ? now->sequence : 0) == seen.sequence) continue;
      lost_ = true;
      break;
    }
  }
  if (lost_) return begun_again();
  return {};
}

Result<std::optional<std::string>> Transaction::Impl::get(std::string_view key, std::uint8_t* format) {
  TRY(engine::checked_key(key));
  if (const Write* mine = written(key)) {
    if (format != nullptr) *format = static_cast<std::uint8_t>(mine->put.flags >> engine::kFormatShift);
    return mine->value;
  }
  const std::optional<Pin> pin = cache_.get(key);
  TRY(saw(key, pin ? pin->info().sequence : 0));
  if (!pin) return std::optional<std::string>{};
  if (format != nullptr) *format = pin->info().format;
  return std::optional<std::string>{std::string(pin->bytes())};
}

Result<bool> Transaction::Impl::contains(std::string_view key) {
  TRY(engine::checked_key(key));
  if (const Write* mine = written(key)) return mine->value.has_value();
  const std::optional<EntryInfo> info = cache_.info(key);
  TRY(saw(key, info ? info->sequence : 0));
  return info.has_value();
}

void Transaction::Impl::keep(std::string_view key, Write write) {
  const auto [at, is_new] = writes_.try_emplace(std::string(key));
  std::optional<Write> before;
  if (!is_new) before = std::move(at->second);
  undo_.emplace_back(at->first, std::move(before));
  at->second = std::move(write);
}

void Transaction::Impl::roll_back(std::size_t mark) {
  for (; undo_.size() > mark; undo_.pop_back()) {
    auto& [key, before] = undo_.back();
    if (before) {
      writes_[key] = std::move(*before);
    } else {
      writes_.erase(key);
    }
  }
}

Status Transaction::Impl::set(std::string_view key, std::string_view value, const SetOptions& options) {
  Write write;
  write.tags = TRY(engine::encode_tags(options.tags, store_.files()->seed()));
  write.put = TRY(engine::checked_put(store_, key, value, options, {}));
  write.value = std::string(value);
  if (value.size() > store_.inline_most()) {
    TRY(store_.ready_to_write());
    write.file = std::make_shared<engine::NewBlob>(TRY(engine::NewBlob::begin(store_, write.put.hash)));
    TRY(write.file->prepare(value.size()));
    TRY(write.file->add(value));
    write.blob = TRY(write.file->finish());
  }
  keep(key, std::move(write));
  return {};
}

Result<bool> Transaction::Impl::del(std::string_view key) {
  if (!TRY(contains(key))) return false;
  Write write;
  write.put.hash = store_.hash(key);
  keep(key, std::move(write));
  return true;
}

Result<std::int64_t> Transaction::Impl::incr(std::string_view key, std::int64_t delta) {
  TRY(engine::checked_key(key));
  Write write;
  write.put.hash = store_.hash(key);
  std::optional<std::string> before;
  if (const Write* mine = written(key)) {
    if (mine->value) write = *mine;
    before = mine->value;
  } else {
    const std::optional<Pin> pin = cache_.get(key);
    TRY(saw(key, pin ? pin->info().sequence : 0));
    if (pin) {
      const EntryInfo& info = pin->info();
      before = std::string(pin->bytes());
      const std::vector<std::string> names = pin->tags();
      const std::vector<std::string_view> views(names.begin(), names.end());
      write.tags = TRY(engine::encode_tags(views, store_.files()->seed()));
      write.put.extras.expires_ms = info.expires_ms;
      write.put.extras.cost = info.cost;
      write.put.flags = static_cast<std::uint16_t>(info.format << engine::kFormatShift);
      if (info.pinned) write.put.flags |= engine::kIsPinned;
      write.put.keeps_place = info.place != info.sequence;
    }
  }
  std::int64_t number = 0;
  if (before) {
    const char* const end = before->data() + before->size();
    const auto [stopped, failed] = std::from_chars(before->data(), end, number);
    if (before->empty() || failed != std::errc{} || stopped != end)
      return Error{Code::kInvalid, "the value under '" + std::string(key) + "' is no integer of 64 bits"};
  }
  std::int64_t sum = 0;
  if (__builtin_add_overflow(number, delta, &sum))
    return Error{Code::kInvalid, "the sum under '" + std::string(key) + "' would not fit an integer of 64 bits"};
  write.value = std::to_string(sum);
  write.file = nullptr;
  keep(key, std::move(write));
  return sum;
}

// By shard, in the order in which their locks are taken.
std::vector<std::pair<Shard*, Part>> Transaction::Impl::parts() {
  std::map<std::size_t, Part> by_number;
  for (const auto& [key, seen] : reads_)
    by_number[store_.shard_number(seen.hash)].reads.push_back({key, seen.hash, seen.sequence});
  for (auto& [key, write] : writes_) {
    Part::Write one{write.put, !write.value};
    one.put.key = key;
    if (write.value) {
      one.put.value = *write.value;
      if (write.file) {
        one.put.value = engine::bytes_of(write.blob);
        one.put.flags |= engine::kBlob;
        one.put.blob_bytes = write.blob.bytes;
      }
      one.put.extras.tags = write.tags;
      store_.shard(one.put.hash).prepare(one.put);
    }
    by_number[store_.shard_number(one.put.hash)].writes.push_back(one);
  }
  for (auto at = by_number.rbegin(); at != by_number.rend(); ++at) {
    if (at->second.writes.empty()) continue;
    at->second.closes = true;
    break;
  }
  std::vector<std::pair<Shard*, Part>> parts;
  for (auto& [number, part] : by_number) parts.emplace_back(store_.shards()[number].get(), std::move(part));
  return parts;
}

Status Transaction::Impl::wait_for_turn(SteadyTime until, const void* self) {
  const SteadyTime begin = std::chrono::steady_clock::now();
  for (int round = 0; !store_.may_go(self); ++round) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now - begin > kPatience || now > until) break;
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(20 << std::min(round, 6), 1000)));
  }
  return {};
}

// Any number of locks, which no analysis follows.
Result<Outcome> Transaction::Impl::commit(SteadyTime until, const void* self) LARDER_NO_THREAD_SAFETY_ANALYSIS {
  if (lost_) return Outcome::kLost;
  std::vector<std::pair<Shard*, Part>> all = parts();
  engine::RoomWait waiting(store_);
  for (;;) {
    if (!writes_.empty()) TRY(wait_for_turn(until, self));
    Room room = Room::kReady;
    bool right = true;
    Status failed;
    {
      const MutexLock one_at_a_time(store_.committing());
      for (auto& [shard, part] : all) shard->enter();
      engine::step(engine::Step::kLocked);
      for (auto& [shard, part] : all) {
        Result<Room> made = shard->make_room(part);
        if (!made.ok()) failed = made.error();
        if (made.ok()) room = *made;
        if (!made.ok() || room != Room::kReady) break;
      }
      if (failed.ok() && room == Room::kReady) {
        for (auto& [shard, part] : all) right = right && shard->unchanged(part);
        if (right && !writes_.empty()) {
          const std::uint64_t number = store_.begin_transaction();
          engine::Ending ending;
          for (auto& [shard, part] : all) shard->rests_on(ending);
          for (auto& [shard, part] : all) shard->write(part, number, ending);
          for (auto& [shard, part] : all) shard->hide();
          store_.decide(number);
          engine::step(engine::Step::kTransactionDecided);
          for (auto& [shard, part] : all) shard->show();
        }
      }
      for (auto& [shard, part] : all) shard->leave();
    }
    for (auto& [shard, part] : all) {
      if (!shard->freed.exchange(false, std::memory_order_relaxed)) continue;
      store_.flusher().hurry();
    }
    TRY(failed);
    if (room == Room::kReady) {
      if (!right) return Outcome::kLost;
      for (auto& [key, write] : writes_) {
        if (write.file) write.file->keep();
      }
      if (!writes_.empty()) TRY(store_.flusher().wrote());
      return Outcome::kDone;
    }
    TRY(waiting.wait(room));
  }
}

struct TransactionAccess {
  using Impl = Transaction::Impl;
  static Transaction make(Impl& impl) { return Transaction(impl); }
};

Result<std::optional<std::string>> Transaction::get(std::string_view key, std::uint8_t* format) {
  return impl_.get(key, format);
}
Result<bool> Transaction::contains(std::string_view key) { return impl_.contains(key); }
Status Transaction::set(std::string_view key, std::string_view value, const SetOptions& options) {
  return impl_.set(key, value, options);
}
Result<bool> Transaction::add(std::string_view key, std::string_view value, const SetOptions& options) {
  if (TRY(impl_.contains(key))) return false;
  TRY(impl_.set(key, value, options));
  return true;
}
Result<bool> Transaction::del(std::string_view key) { return impl_.del(key); }
Result<std::int64_t> Transaction::incr(std::string_view key, std::int64_t delta) { return impl_.incr(key, delta); }

Status Transaction::transact(const std::function<Status(Transaction&)>& work) {
  const std::size_t mark = impl_.mark();
  Status done = work(*this);
  if (!done.ok()) impl_.roll_back(mark);
  return done;
}

Status engine::transact(Cache& cache, Store& store, const std::function<Status(Transaction&)>& work,
                        std::int64_t deadline_ms) {
  if (deadline_ms < 0)
    return Error{Code::kInvalid, "deadline_ms is " + std::to_string(deadline_ms) + ", less than zero"};
  constexpr std::int64_t kDeadlineMost = std::int64_t{1} << 40;
  const SteadyTime until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(std::min(deadline_ms, kDeadlineMost));
  // Names this call among the threads of the process.
  const void* const self = &until;
  struct InLine {
    Store& store;
    const void* self;
    ~InLine() { store.went_first(self); }
  } in_line{store, self};
  for (int losses = 0;;) {
    TRY(store.ready_to_write());
    TransactionAccess::Impl impl(cache, store);
    Transaction transaction = TransactionAccess::make(impl);
    Status done = work(transaction);
    if (!done.ok() && !impl.lost()) return done;
    if (TRY(impl.commit(until, self)) == Outcome::kDone) return {};
    ++losses;
    if (std::chrono::steady_clock::now() >= until)
      return Error{Code::kTimeout, "others changed what the transaction had read, " + std::to_string(losses) +
                                       " times in " + std::to_string(deadline_ms) + " ms; nothing was written"};
    if (losses >= kLossesMost) (void)store.go_first(self);
  }
}

}  // namespace larder
