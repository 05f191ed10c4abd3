// The part of a transaction that lies in one shard. The lock is held from enter() to leave(), in all shards involved.
//
// First the note: which bytes beyond the segment's end will be the transaction's. Then the records, there. Then, in
// every shard, `switching`: from now on readers wait. Then the moment, one store in the slot of the process
// (ProcessSlot::committed). Then each record is made an entry by a Change like any other, which moves the segment's end
// over it; so the end says how far this has come. A process that dies leaves notes: whoever repairs the shard asks the
// process's slot whether it was before or after the moment, and carries the note out or blots the bytes out.
//
// For a power loss each record has the transaction's number, and one of the shards its end (Ending): a rebuild believes
// what is newer than the last flush only when all of it is there (doubtful.h). A segment is not given up before its
// transactions are known to be on the disk (Globals::transactions_safe), so nobody who looks for one finds it cut short
// by time.
#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "engine/shard.h"
#include "engine/steps.h"

namespace larder::engine {

namespace {
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;

constexpr std::string_view kEndingKey = "t";

RecordHead ending_head(std::size_t after) {
  RecordHead head;
  head.key_size = kEndingKey.size();
  head.value_size = static_cast<std::uint32_t>(8 * (1 + after));
  head.flags = kNote | kHasTransaction;
  return head;
}
std::uint64_t ending_bytes(std::size_t after) { return ending_head(after).bytes(); }
}  // namespace

void Shard::enter() {
  if (lock_.lock()) repair();
}

void Shard::leave() { lock_.unlock(); }

void Shard::settle(std::uint32_t slot) {
  const bool held = (state_.lock.load(std::memory_order_acquire) & 0xff) == slot + 1;
  const bool noted =
      state_.transaction.load(std::memory_order_acquire) != 0 && state_.transaction_slot.load(relaxed) == slot;
  if (held || noted) Guard guard(*this);
}

bool Shard::unchanged(const Part& part) const {
  for (const Part::Read& read : part.reads) {
    const std::optional<Found> now = find(read.key, read.hash);
    const std::uint64_t sequence = now && !over(now->record) ? now->record.head.sequence : 0;
    if (sequence != read.sequence) return false;
  }
  return true;
}

Result<Room> Shard::make_room(Part& part) {
  if (part.writes.empty()) return Room::kReady;
  std::uint64_t bytes = 0;
  bool all_removals = true;
  bool pinned = false;
  constexpr std::uint64_t kNumber = 8;
  if (part.closes) bytes += ending_bytes(files_->geometry().shards);
  for (const Part::Write& write : part.writes) {
    bytes += kNumber + (write.removes ? tombstone_bytes(write.put.key.size()) : bytes_most(write.put));
    all_removals = all_removals && write.removes;
    pinned = pinned || (!write.removes && (write.put.flags & kIsPinned) != 0);
  }
  const std::uint64_t most = record_most(files_->geometry());
  if (bytes > most)
    return Error{Code::kTooLarge, "the transaction writes " + std::to_string(bytes) + " bytes to one of " +
                                      std::to_string(files_->geometry().shards) + " shards, which takes " +
                                      std::to_string(most) + " at once; make it smaller, or the cache larger"};
  part.queue = pinned ? kPinned : kSmall;
  const Room room = TRY(reserve(part.queue, bytes, all_removals ? Need::kTombstone : Need::kEntry));
  if (room != Room::kReady) return room;
  // Nothing may be missing once it is decided, so there must be a slot for each new key.
  for (std::size_t i = 0; i < part.writes.size(); ++i) {
    const std::uint64_t hash = part.writes[i].put.hash;
    const std::uint64_t shape = index_.shape();
    std::uint64_t wanted = 1;
    for (std::size_t j = 0; j < i; ++j)
      wanted += Index::address(part.writes[j].put.hash, shape) == Index::address(hash, shape) ? 1 : 0;
    if (!part.writes[i].removes) TRY(index_.free_slots(hash, wanted));
  }
  return Room::kReady;
}

void Shard::rests_on(Ending& ending) const {
  const std::uint64_t last = state_.last_transaction.load(relaxed);
  const Globals& globals = files_->globals();
  // Damage must not name one that never was.
  if (last < globals.transactions_safe.load(std::memory_order_acquire) || last >= globals.sequence.load(relaxed))
    return;
  if (last != 0 && std::find(ending.after.begin(), ending.after.end(), last) == ending.after.end())
    ending.after.push_back(last);
}

void Shard::note_transaction(std::uint32_t number, std::uint64_t transaction) {
  Word& highest = segment(number).transaction;
  if (transaction > highest.load(relaxed)) highest.store(transaction, release);
}

std::uint64_t Shard::write_ending(std::uint32_t number, std::uint32_t at, std::uint64_t transaction,
                                  const Ending& ending) {
  std::string value(8 * (1 + ending.after.size()), '\0');
  std::memcpy(value.data(), &ending.records, 8);
  if (!ending.after.empty()) std::memcpy(value.data() + 8, ending.after.data(), 8 * ending.after.size());
  Extras extras;
  extras.transaction = transaction;
  RecordHead head = ending_head(ending.after.size());
  head.sequence = transaction;
  head.stored_ms = now_.coarse_ms();
  return write_record(number, at, head, content_of(key_hash(kEndingKey), value) ^ extras.content(), extras, kEndingKey,
                      value);
}

void Shard::write(const Part& part, std::uint64_t number, Ending& ending) {
  if (part.writes.empty()) return;
  const std::uint32_t to = active(part.queue);
  const std::uint32_t from = segment(to).used.load(relaxed);
  struct Planned {
    RecordHead head;
    Extras extras;
    std::uint32_t content = 0;
    const Put* put = nullptr;
  };
  std::vector<Planned> planned;
  std::uint32_t end = from;
  for (const Part::Write& write : part.writes) {
    const std::optional<Found> old = find(write.put.key, write.put.hash);
    if (write.removes && !old && !fading()) continue;
    Planned& plan = planned.emplace_back();
    plan.put = &write.put;
    if (write.removes) {
      plan.head.key_size = static_cast<std::uint32_t>(write.put.key.size());
      plan.head.flags = kTombstone;
      plan.content = content_of(write.put.hash, {});
    } else {
      plan.head = head_of(write.put, old, plan.extras, plan.content);
      plan.content ^= plan.extras.content();
    }
    plan.head.flags |= kHasTransaction;
    plan.extras.transaction = number;
    plan.content ^= plan.extras.content();
    plan.head.sequence = next_sequence();
    plan.head.stored_ms = now_.coarse_ms();
    end += static_cast<std::uint32_t>(plan.head.bytes());
  }
  ending.records += planned.size();
  const bool ends = part.closes && ending.records > 0;
  if (planned.empty() && !ends) return;
  if (ends) end += static_cast<std::uint32_t>(ending_bytes(ending.after.size()));
  note_transaction(to, number);
  state_.transaction_slot.store(membership_.self().slot, relaxed);
  state_.transaction_segment.store(to, relaxed);
  state_.transaction_from.store(from, relaxed);
  state_.transaction_to.store(end, relaxed);
  state_.transaction.store(number, release);
  step(Step::kTransactionNoted);
  std::uint32_t at = from;
  for (const Planned& plan : planned) {
    const std::string_view value = plan.head.kind() == kValue ? plan.put->value : std::string_view{};
    (void)write_record(to, at, plan.head, plan.content, plan.extras, plan.put->key, value);
    at += static_cast<std::uint32_t>(plan.head.bytes());
  }
  if (ends) (void)write_ending(to, at, number, ending);
  step(Step::kTransactionWritten);
}

void Shard::hide() {
  if (state_.transaction.load(relaxed) == 0) return;
  state_.switching.store(1, release);
  step(Step::kTransactionHidden);
}

void Shard::show() {
  if (state_.transaction.load(relaxed) == 0) return;
  const std::uint64_t before = state_.entries.load(relaxed);
  state_.last_transaction.store(state_.transaction.load(relaxed), relaxed);
  carry_out(false);
  forget_transaction();
  const std::uint64_t after = state_.entries.load(relaxed);
  for (std::uint64_t entries = before; entries < after; ++entries) index_.grow(after);
}

void Shard::carry_out(bool suspect) {
  const std::uint32_t number = state_.transaction_segment.load(relaxed);
  if (!mine(number)) return;
  const std::uint64_t generation = generations_[number].load(relaxed);
  const std::uint32_t to = std::min(state_.transaction_to.load(relaxed), segment_bytes_);
  for (;;) {
    const std::uint32_t used = segment(number).used.load(relaxed);
    if (used % 8 != 0 || used < std::max<std::uint64_t>(state_.transaction_from.load(relaxed), sizeof(SegmentHeader)) ||
        used >= to)
      return;
    const std::uint64_t offset = (std::uint64_t{number} << shift_) + used;
    const std::optional<Record> record = Record::read(log_ + offset, to - used);
    if (!record || (suspect && !whole(*record, generation))) return;
    if (record->head.kind() == kFiller) return;
    if (record->head.kind() == kNote) {
      Change change;
      change.append = number;
      change.append_bytes = static_cast<std::uint32_t>(record->head.bytes());
      change.is_note = true;
      commit(change);
      step(Step::kTransactionStep);
      continue;
    }
    const std::string_view key(record->key(), record->head.key_size);
    const std::uint64_t hash = key_hash(key);
    const std::optional<Found> old = find(key, hash);
    Change change;
    change.append = number;
    change.append_bytes = static_cast<std::uint32_t>(record->head.bytes());
    if (old) {
      change.slot = old->slot;
      change.drop_offset = Slot::offset(old->word);
      change.drop_bytes = static_cast<std::uint32_t>(old->record.head.bytes());
      count_blob_off(change, old->record);
    }
    if (record->head.kind() == kTombstone) {
      change.is_tombstone = true;
      if (old) change.entries = -1;
    } else {
      change.expires_ms = record->expires_ms;
      if (const std::optional<Blob> blob = record->blob()) change.blob_bytes += static_cast<std::int64_t>(blob->bytes);
      if (!old) {
        // There is one: see make_room().
        Result<Word*> slot = index_.free_slot(hash);
        if (!slot.ok()) return;
        change.slot = *slot;
        change.entries = 1;
      }
      change.slot_value = Slot::make(hash, offset, old ? Slot::frequency(old->word) : 0);
    }
    commit(change);
    if (old && old->record.is_blob()) drop_blob(old->record, hash);
    Word& counter = change.is_tombstone ? state_.deletes : state_.sets;
    counter.store(counter.load(relaxed) + 1, relaxed);
    step(Step::kTransactionStep);
  }
}

void Shard::blot_out() {
  const std::uint32_t number = state_.transaction_segment.load(relaxed);
  if (!mine(number)) return;
  const std::uint32_t to = std::min(state_.transaction_to.load(relaxed), segment_bytes_) & ~7u;
  std::uint32_t at =
      std::max<std::uint32_t>(state_.transaction_from.load(relaxed) & ~7u, segment(number).used.load(relaxed) & ~7u);
  for (; at >= sizeof(SegmentHeader) && at < to; at += 8)
    word_at(log_ + (std::uint64_t{number} << shift_) + at)->store(0, relaxed);
}

void Shard::forget_transaction() {
  state_.transaction.store(0, release);
  step(Step::kTransactionDone);
  state_.switching.store(0, release);
}

void Shard::repair_transaction() {
  const std::uint64_t number = state_.transaction.load(std::memory_order_acquire);
  if (number != 0) {
    const std::uint32_t slot = state_.transaction_slot.load(relaxed);
    const bool happened =
        slot < kProcessesMax && files_->process(slot).committed.load(std::memory_order_acquire) == number;
    if (happened) {
      state_.last_transaction.store(number, relaxed);
      carry_out(true);
    } else {
      // A rebuild looks beyond the end, and must not find it. Nor after a power loss: others go on as if it had never
      // been. Nobody can be told here that the disk refuses.
      blot_out();
      if (!unordered()) (void)files_->sync_log();
    }
    forget_transaction();
  } else if (state_.switching.load(relaxed) != 0) {
    state_.switching.store(0, release);
  }
}

}  // namespace larder::engine
