// Changing entries. The order of stores is the whole safety: record bytes, the note of what will be (its `valid` store
// is the moment at which the change has happened), the segment's end, the accounts, the slot (the moment readers see
// it), and the note away. A process that dies before `valid` leaves bytes beyond the segment's end that nobody looks
// at; one that dies after it leaves a note with final values that the next holder of the lock carries out again.
#include <charconv>
#include <limits>

#include "base/check.h"
#include "base/try.h"
#include "engine/shard.h"
#include "engine/steps.h"

namespace larder::engine {

namespace {

// For accounts in shared memory, which may be damaged: never below zero.
std::uint32_t less(std::uint32_t from, std::uint32_t bytes) { return from > bytes ? from - bytes : 0; }
void count_one(Word& counter) { counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

RecordHead head_for(std::size_t key_size, std::size_t value_size, unsigned flags) {
  RecordHead head;
  head.key_size = static_cast<std::uint32_t>(key_size);
  head.value_size = static_cast<std::uint32_t>(value_size);
  head.flags = static_cast<std::uint16_t>(flags);
  return head;
}

// The largest that the record of this put may become.
RecordHead put_head(const Put& put) {
  RecordHead head = head_for(put.key.size(), put.value.size(), put.extras.flags() | put.flags);
  if (put.keeps_place) head.flags |= kHasFirst;
  head.tags_bytes = static_cast<std::uint32_t>(put.extras.tags.size());
  return head;
}

// A batch holds the lock for so long.
constexpr std::size_t kBatchMost = 64;
constexpr std::size_t kBatchBytesMost = 256 * 1024;

Error damaged(std::string_view key) {
  return {Code::kCorrupt, "the value under '" + std::string(key) + "' is damaged; a check with repair removes it"};
}

}  // namespace

std::uint64_t Shard::append(std::uint32_t number, RecordHead head, std::uint32_t content, const Extras& extras,
                            std::string_view key, std::string_view value) {
  return write_record(number, segment(number).used.load(std::memory_order_relaxed), head, content, extras, key, value);
}

std::uint64_t Shard::write_record(std::uint32_t number, std::uint32_t at, RecordHead head, std::uint32_t content,
                                  const Extras& extras, std::string_view key, std::string_view value) {
  LARDER_CHECK(at + head.bytes() <= segment_bytes_);
  head.checksum = content ^ head.salt(generations_[number].load(std::memory_order_relaxed));
  const std::uint64_t offset = (std::uint64_t{number} << shift_) + at;
  Writer writer(log_ + offset);
  std::uint64_t words[7] = {head.word0(), head.word1(), head.word2()};
  std::size_t count = 3;
  if ((head.flags & kHasExpiry) != 0) words[count++] = expiry_word(extras.expires_ms, head.sequence, seed_);
  if (__builtin_expect((head.flags & (kWordFlags & ~kHasExpiry)) != 0, 0)) {
    if ((head.flags & kHasCost) != 0) words[count++] = extras.cost;
    if ((head.flags & kHasFirst) != 0) words[count++] = extras.first;
    if ((head.flags & kHasTransaction) != 0) words[count++] = extras.transaction;
  }
  writer.put(reinterpret_cast<const char*>(words), count * 8);
  writer.put(extras.tags.data(), extras.tags.size());
  writer.put(key.data(), key.size());
  step(Step::kRecordHalf);
  if (head.value_size >= kAlignedValue) writer.pad();
  writer.put(value.data(), value.size());
  writer.pad();
  step(Step::kRecordWhole);
  return offset;
}

std::uint64_t Shard::append_again(std::uint32_t number, const Record& record, std::uint64_t generation) {
  const std::uint32_t used = segment(number).used.load(std::memory_order_relaxed);
  RecordHead head = record.head;
  LARDER_CHECK(used + head.bytes() <= segment_bytes_);
  // The same content under another salt; damage stays visible.
  head.checksum ^= head.salt(generation) ^ head.salt(generations_[number].load(std::memory_order_relaxed));
  const std::uint64_t offset = (std::uint64_t{number} << shift_) + used;
  Writer writer(log_ + offset);
  const std::uint64_t word0 = head.word0();
  writer.put(reinterpret_cast<const char*>(&word0), 8);
  step(Step::kRecordHalf);
  writer.put(record.at + 8, head.bytes() - 8);
  step(Step::kRecordWhole);
  return offset;
}

void Shard::commit(const Change& change) {
  Redo& redo = state_.redo;
  constexpr auto relaxed = std::memory_order_relaxed;
  redo.append.store(change.append, relaxed);
  std::uint32_t append_live = 0;
  if (change.append != kNone) {
    const SegmentState& to = segment(change.append);
    append_live = to.live.load(relaxed) + (change.is_note ? 0 : change.append_bytes);
    redo.append_used.store(to.used.load(relaxed) + change.append_bytes, relaxed);
    redo.append_live.store(append_live, relaxed);
    redo.append_tombs.store(to.tombs.load(relaxed) + (change.is_tombstone ? change.append_bytes : 0), relaxed);
    std::uint64_t expires = change.expires_ms == 0 ? kNever : static_cast<std::uint64_t>(change.expires_ms);
    if (change.is_tombstone || change.is_note) expires = 0;
    redo.expires_max.store(std::max(to.expires_max.load(relaxed), expires), relaxed);
  }
  step(Step::kRedoHalf);
  std::uint32_t drop = kNone;
  if (change.drop_offset != 0) {
    drop = static_cast<std::uint32_t>(change.drop_offset >> shift_);
    const std::uint32_t live = drop == change.append ? append_live : segment(drop).live.load(relaxed);
    redo.drop_live.store(less(live, change.drop_bytes), relaxed);
    // Any flush that begins from now on brings the new record to the disk.
    if (change.append != kNone)
      segment(drop).replaced.store(files_->globals().flushes_started.load(std::memory_order_acquire) + 1, relaxed);
  }
  redo.drop.store(drop, relaxed);
  redo.slot.store(change.slot != nullptr ? index_.position(change.slot) : kNoSlot, relaxed);
  redo.slot_value.store(change.slot_value, relaxed);
  const std::uint64_t entries = state_.entries.load(relaxed);
  redo.entries.store(change.entries < 0 && entries == 0 ? 0 : entries + static_cast<std::uint64_t>(change.entries),
                     relaxed);
  redo.moves_blobs.store(change.blob_bytes != 0, relaxed);
  if (__builtin_expect(change.blob_bytes != 0, 0)) {
    const std::uint64_t blobs = state_.blob_bytes.load(relaxed);
    const bool less_than_none = change.blob_bytes < 0 && blobs < static_cast<std::uint64_t>(-change.blob_bytes);
    redo.blob_bytes.store(less_than_none ? 0 : blobs + static_cast<std::uint64_t>(change.blob_bytes), relaxed);
  }
  redo.valid.store(1, std::memory_order_release);
  step(Step::kRedoNoted);
  apply_redo();
}

// Everything here is tested: after a death the note is bytes like any other.
void Shard::apply_redo() {
  Redo& redo = state_.redo;
  constexpr auto relaxed = std::memory_order_relaxed;
  constexpr auto release = std::memory_order_release;
  const std::uint32_t append = redo.append.load(relaxed);
  if (append != kNone && mine(append)) {
    SegmentState& to = segment(append);
    to.used.store(std::min(redo.append_used.load(relaxed), segment_bytes_) & ~7u, release);
    step(Step::kUsedMoved);
    to.live.store(redo.append_live.load(relaxed), release);
    to.tombs.store(redo.append_tombs.load(relaxed), release);
    to.expires_max.store(redo.expires_max.load(relaxed), release);
  }
  const std::uint32_t drop = redo.drop.load(relaxed);
  if (drop != kNone && mine(drop)) segment(drop).live.store(redo.drop_live.load(relaxed), release);
  state_.entries.store(redo.entries.load(relaxed), release);
  if (__builtin_expect(redo.moves_blobs.load(relaxed) != 0, 0))
    state_.blob_bytes.store(redo.blob_bytes.load(relaxed), release);
  step(Step::kAccountsMoved);
  const std::uint64_t position = redo.slot.load(relaxed);
  if (position != kNoSlot) {
    if (Word* slot = index_.slot_at(position)) slot->store(redo.slot_value.load(relaxed), release);
  }
  step(Step::kSlotStored);
  redo.valid.store(0, release);
  step(Step::kRedoDone);
}

void Shard::repair() {
  if (state_.redo.valid.load(std::memory_order_acquire) != 0) apply_redo();
  index_.repair();
  repair_transaction();
  if (state_.clearing.load(std::memory_order_relaxed) != 0) clear_locked();
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    SegmentState& at = segment(i);
    if (at.use.load(std::memory_order_relaxed) != kOpen || active(kSmall) == i || active(kMain) == i) continue;
    // Opened, but not yet or no longer written to. One whose header may be missing holds nothing.
    if (at.used.load(std::memory_order_relaxed) > sizeof(SegmentHeader)) {
      at.use.store(kClosed, std::memory_order_release);
    } else {
      free_segment(i);
    }
  }
  const std::uint32_t victim = state_.victim.load(std::memory_order_relaxed);
  if (mine(victim) && segment(victim).use.load(std::memory_order_relaxed) == kClosed) {
    // Its generation was raised already: nothing points into it any more.
    const std::optional<SegmentHeader> header = segment_header(victim);
    if (header && header->generation != generations_[victim].load(std::memory_order_relaxed)) retire(victim);
  }
  recount_spare();
  count_one(state_.repairs);
}

std::optional<Shard::Found> Shard::find(std::string_view key, std::uint64_t hash) const {
  Found entry;
  entry.slot = index_.find(hash, [&](Word&, std::uint64_t word) {
    const std::optional<Record> record = record_at(Slot::offset(word));
    if (!record || record->head.kind() != kValue || !record->key_is(key)) return false;
    entry.record = *record;
    entry.word = word;
    return true;
  });
  if (entry.slot == nullptr) return std::nullopt;
  return entry;
}

std::uint64_t Shard::generation_of(const Found& entry) const {
  return generations_[Slot::offset(entry.word) >> shift_].load(std::memory_order_relaxed);
}

Put Shard::like(const Record& record, std::string_view key, std::uint64_t hash, std::string_view value) {
  Put put{.key = key, .hash = hash, .value = value};
  put.extras = record.extras();
  put.extras.first = 0;
  put.extras.transaction = 0;
  put.flags = record.head.flags & (kIsPinned | kFormatMask);
  put.keeps_place = (record.head.flags & kHasFirst) != 0;
  put.content = content_of(hash, value) ^ put.extras.content();
  return put;
}

bool Shard::holds(const When& when, const std::optional<Found>& old) const {
  if (when.kind == When::kAlways) return true;
  const bool there = old && !over(old->record);
  if (when.kind == When::kSequence) return there ? old->record.head.sequence == when.sequence : when.sequence == 0;
  return there == (when.kind == When::kPresent);
}

std::uint64_t Shard::bytes_most(const Put& put) { return put_head(put).bytes(); }

std::uint64_t Shard::tombstone_bytes(std::size_t key_size) { return head_for(key_size, 0, kTombstone).bytes(); }

RecordHead Shard::head_of(const Put& put, const std::optional<Found>& old, Extras& extras,
                          std::uint32_t& content) const {
  RecordHead head = put_head(put);
  head.flags &= static_cast<std::uint16_t>(~kHasFirst);
  extras = put.extras;
  content = put.content;
  if (__builtin_expect(put.keeps_place && old && !over(old->record), 0)) {
    extras.first = old->record.place();
    head.flags |= kHasFirst;
    content ^= put.extras.content() ^ extras.content();
  }
  if (old) head.flags |= kHasOlder;
  return head;
}

Result<bool> Shard::put_locked(const Put& put, Queue queue, const std::optional<Found>& old) {
  const std::uint32_t to = active(queue);
  Extras extras;
  std::uint32_t content = 0;
  RecordHead head = head_of(put, old, extras, content);
  Word* const slot = old ? old->slot : TRY(index_.free_slot(put.hash));
  head.sequence = next_sequence();
  head.stored_ms = now_.coarse_ms();

  Change change;
  change.append = to;
  change.append_bytes = static_cast<std::uint32_t>(head.bytes());
  change.expires_ms = extras.expires_ms;
  change.slot = slot;
  std::uint64_t frequency = 0;
  if (old) {
    frequency = Slot::frequency(old->word);
    change.drop_offset = Slot::offset(old->word);
    change.drop_bytes = static_cast<std::uint32_t>(old->record.head.bytes());
    count_blob_off(change, old->record);
  } else {
    change.entries = 1;
  }
  change.blob_bytes += static_cast<std::int64_t>(put.blob_bytes);
  const std::uint64_t offset = append(to, head, content, extras, put.key, put.value);
  change.slot_value = Slot::make(put.hash, offset, frequency);
  commit(change);
  if (__builtin_expect(old && old->record.is_blob(), 0)) drop_blob(old->record, put.hash, offset);
  count_one(state_.sets);
  if (!old) index_.grow(state_.entries.load(std::memory_order_relaxed));
  return true;
}

void Shard::prepare(Put& put) const {
  index_.prefetch(put.hash);
  put.content = content_of(put.hash, put.value) ^ put.extras.content();
  // The bucket has arrived by now. Whatever it says may change before the lock is held; it is only a hint.
  prefetch(put.hash);
}

Result<std::pair<Room, bool>> Shard::put_within(const Put& put) {
  const Queue queue = (put.flags & kIsPinned) != 0 ? kPinned : queue_for(put.hash);
  const std::uint64_t most = entries_most();
  if (__builtin_expect(state_.entries.load(std::memory_order_relaxed) >= most, 0) && !find(put.key, put.hash)) {
    if (const Room room = TRY(evict_entries(most - 1)); room != Room::kReady) return std::pair{room, false};
  }
  const Room room = TRY(reserve(queue, put_head(put).bytes()));
  if (room != Room::kReady) return std::pair{room, false};
  const std::optional<Found> old = find(put.key, put.hash);
  if (!holds(put.when, old)) return std::pair{Room::kReady, false};
  if (old && over(old->record)) count_one(state_.expirations);
  return std::pair{Room::kReady, TRY(put_locked(put, queue, old))};
}

Result<std::pair<Room, bool>> Shard::put(const Put& put) {
  Guard guard(*this);
  step(Step::kLocked);
  return put_within(put);
}

Result<std::pair<Room, bool>> Shard::put_many(std::span<const Put* const> puts, std::size_t& next) {
  Guard guard(*this);
  step(Step::kLocked);
  // Others wait: so many at a time, and so many bytes.
  std::size_t bytes = 0;
  for (std::size_t count = 0; next < puts.size() && count < kBatchMost && bytes < kBatchBytesMost; ++count) {
    const auto [room, written] = TRY(put_within(*puts[next]));
    if (room != Room::kReady) return std::pair{room, false};
    bytes += puts[next++]->value.size();
  }
  return std::pair{Room::kReady, next == puts.size()};
}

void Shard::remove(const Found& entry, std::uint64_t tombstone_sequence, std::uint32_t to) {
  Change change;
  change.slot = entry.slot;
  change.drop_offset = Slot::offset(entry.word);
  change.drop_bytes = static_cast<std::uint32_t>(entry.record.head.bytes());
  change.entries = -1;
  count_blob_off(change, entry.record);
  if (tombstone_sequence == 0) raise_feed_floor(entry.record.head.sequence);
  if (tombstone_sequence != 0) {
    const std::string_view key(entry.record.key(), entry.record.head.key_size);
    RecordHead head = head_for(key.size(), 0, kTombstone);
    head.sequence = tombstone_sequence;
    head.stored_ms = now_.coarse_ms();
    change.append = to;
    change.append_bytes = static_cast<std::uint32_t>(head.bytes());
    change.is_tombstone = true;
    append(to, head, content_of(key_hash(key), {}), {}, key, {});
  }
  commit(change);
  if (__builtin_expect(entry.record.is_blob(), 0))
    drop_blob(entry.record, key_hash({entry.record.key(), entry.record.head.key_size}));
}

void Shard::leave_tombstone(std::string_view key, std::uint64_t sequence, std::uint32_t to) {
  RecordHead head = head_for(key.size(), 0, kTombstone);
  head.sequence = sequence;
  head.stored_ms = now_.coarse_ms();
  Change change;
  change.append = to;
  change.append_bytes = static_cast<std::uint32_t>(head.bytes());
  change.is_tombstone = true;
  append(to, head, content_of(key_hash(key), {}), {}, key, {});
  commit(change);
}

Result<std::pair<Room, bool>> Shard::del(std::string_view key, std::uint64_t hash, const When& when, Taken* taken) {
  const RecordHead head = head_for(key.size(), 0, kTombstone);
  Guard guard(*this);
  step(Step::kLocked);
  if (!find(key, hash) && !fading()) return std::pair{Room::kReady, false};
  const Room room = TRY(reserve(kSmall, head.bytes(), Need::kTombstone));
  if (room != Room::kReady) return std::pair{room, false};
  const std::optional<Found> entry = find(key, hash);  // making room may have taken it
  if (!entry) {
    if (fading()) leave_tombstone(key, next_sequence(), active(kSmall));
    return std::pair{Room::kReady, false};
  }
  if (!holds(when, entry)) return std::pair{Room::kReady, false};
  const bool ended = over(entry->record);
  if (taken != nullptr && !ended) {
    const Record& record = entry->record;
    if (!whole(record, generation_of(*entry))) return damaged(key);
    taken->blob = record.blob();
    if (taken->blob) {
      taken->file = TRY(files_->blobs().open({hash, taken->blob->id}, taken->blob->bytes));
    } else {
      taken->entry.value.resize(record.head.value_size);
      copy_out(taken->entry.value.data(), record.value(), record.head.value_size);
    }
    taken->entry.info = info_of(record);
    taken->entry.tags = decode_tags(record.tags());
  }
  remove(*entry, next_sequence(), active(kSmall));
  count_one(ended ? state_.expirations : state_.deletes);
  return std::pair{Room::kReady, !ended};
}

Result<std::pair<Room, bool>> Shard::remove_some(const std::function<bool(const Record&)>& which, std::uint64_t& bucket,
                                                 Removed& removed) {
  constexpr int kBucketsMost = 64;
  Guard guard(*this);
  step(Step::kLocked);
  for (int i = 0; i < kBucketsMost; ++i) {
    // Splits in between move entries to buckets with higher numbers, never to lower ones.
    if (bucket >= index_.bucket_count()) return std::pair{Room::kReady, true};
    bool again = true;
    while (again) {
      again = false;
      std::optional<Found> found;
      bool named = false;
      bool ended = false;
      index_.for_each_in(bucket, [&](Word& slot, std::uint64_t word) {
        const std::optional<Record> record = found ? std::nullopt : record_at(Slot::offset(word));
        if (!record || record->head.kind() != kValue) return;
        ended = over(*record);
        named = which(*record);
        if (ended || named) found = Found{&slot, word, *record};
      });
      if (!found) break;
      again = true;
      const RecordHead& head = found->record.head;
      const Room room = TRY(reserve(kSmall, head_for(head.key_size, 0, kTombstone).bytes(), Need::kTombstone));
      if (room != Room::kReady) return std::pair{room, false};
      // Making room may have moved or evicted it.
      if (!Slot::same(found->slot->load(std::memory_order_relaxed), found->word)) continue;
      const bool expired = now_.past(found->record.expires_ms);
      const bool stays_dead = expired && (head.flags & kHasOlder) == 0;
      remove(*found, stays_dead ? 0 : next_sequence(), active(kSmall));
      count_one(expired ? state_.expirations : ended ? state_.evictions : state_.deletes);
      ++removed.all;
      if (named && !expired) ++removed.named;
    }
    ++bucket;
  }
  return std::pair{Room::kReady, false};
}

Result<std::pair<Room, bool>> Shard::touch(std::string_view key, std::uint64_t hash, std::int64_t expires_ms) {
  Guard guard(*this);
  step(Step::kLocked);
  std::optional<Found> entry = find(key, hash);
  if (!entry || over(entry->record)) return std::pair{Room::kReady, false};
  const RecordHead& head = entry->record.head;
  if ((head.flags & kHasExpiry) != 0) {
    // In place: one store of a word that carries its own check.
    SegmentState& at = segment(static_cast<std::uint32_t>(Slot::offset(entry->word) >> shift_));
    const std::uint64_t latest = expires_ms == 0 ? kNever : static_cast<std::uint64_t>(expires_ms);
    if (latest > at.expires_max.load(std::memory_order_relaxed))
      at.expires_max.store(latest, std::memory_order_release);
    word_at(const_cast<char*>(entry->record.at))[3].store(expiry_word(expires_ms, head.sequence, seed_),
                                                          std::memory_order_release);
    return std::pair{Room::kReady, true};
  }
  if (expires_ms == 0) return std::pair{Room::kReady, true};
  // No word for it: the record is written again, and keeps its place.
  const Queue queue = (head.flags & kIsPinned) != 0 ? kPinned : kSmall;
  const Room room = TRY(reserve(queue, head.bytes() + 16));
  if (room != Room::kReady) return std::pair{room, false};
  entry = find(key, hash);
  if (!entry) return std::pair{Room::kReady, false};
  const std::string_view value(entry->record.value(), entry->record.head.value_size);
  // Damage must not get a right checksum by being written again.
  if (!whole(entry->record, generation_of(*entry))) return damaged(key);
  Put again = like(entry->record, key, hash, value);
  again.extras.expires_ms = expires_ms;
  again.keeps_place = true;
  again.flags |= entry->record.head.flags & kBlob;
  if (const std::optional<Blob> blob = entry->record.blob()) again.blob_bytes = blob->bytes;
  return std::pair{Room::kReady, TRY(put_locked(again, queue, entry))};
}

Result<std::pair<Room, std::int64_t>> Shard::incr(const Put& fresh, std::int64_t delta) {
  constexpr std::size_t kDigitsMost = 20;
  const std::string_view key = fresh.key;
  const std::uint64_t hash = fresh.hash;
  Guard guard(*this);
  step(Step::kLocked);
  const std::optional<Found> before = find(key, hash);
  const bool pinned = ((before ? before->record.head.flags : fresh.flags) & kIsPinned) != 0;
  const Queue queue = pinned ? kPinned : kSmall;
  const std::uint64_t room_for_words = 40 + (before ? before->record.head.tags_bytes : fresh.extras.tags.size());
  const Room room = TRY(reserve(queue, head_for(key.size(), kDigitsMost, 0).bytes() + room_for_words));
  if (room != Room::kReady) return std::pair{room, std::int64_t{0}};
  const std::optional<Found> old = find(key, hash);
  std::int64_t sum = 0;
  if (old && over(old->record)) {
    count_one(state_.expirations);
  } else if (old) {
    if (!whole(old->record, generation_of(*old))) return damaged(key);
    char digits[kDigitsMost];
    const std::uint32_t size = old->record.head.value_size;
    if (size <= kDigitsMost) copy_out(digits, old->record.value(), size);
    const auto [end, failed] = std::from_chars(digits, digits + std::min<std::size_t>(size, kDigitsMost), sum);
    if (size == 0 || size > kDigitsMost || failed != std::errc{} || end != digits + size)
      return Error{Code::kInvalid, "the value under '" + std::string(key) + "' is no integer of 64 bits"};
  }
  std::int64_t result = 0;
  if (__builtin_add_overflow(sum, delta, &result))
    return Error{Code::kInvalid, "the sum under '" + std::string(key) + "' would not fit an integer of 64 bits"};
  char digits[kDigitsMost];
  const char* const end = std::to_chars(digits, digits + kDigitsMost, result).ptr;
  const std::string_view value(digits, static_cast<std::size_t>(end - digits));
  Put put = fresh;
  put.value = value;
  put.content = content_of(hash, value) ^ put.extras.content();
  if (old && !over(old->record)) put = like(old->record, key, hash, value);
  TRY(put_locked(put, queue, old));
  return std::pair{Room::kReady, result};
}

bool Shard::evict_tag(std::uint64_t tag, std::uint64_t before) {
  Guard guard(*this);
  // Whose copies are dead nobody can say; who starts over from here on finds them dead.
  raise_feed_floor(next_sequence());
  return tags_.evict(tag, before);
}

bool Shard::forget_tags(std::uint64_t swept) {
  Guard guard(*this);
  return tags_.clear(swept);
}

void Shard::settings_changed() {
  Guard guard(*this);
  recount_spare();
}

Result<std::uint64_t> Shard::clear() {
  Guard guard(*this);
  const std::uint64_t entries = state_.entries.load(std::memory_order_relaxed);
  state_.clearing.store(1, std::memory_order_release);
  step(Step::kClearNoted);
  clear_locked();
  return entries;
}

void Shard::clear_locked() {
  state_.clear_sequence.store(next_sequence(), std::memory_order_release);
  raise_feed_floor(state_.clear_sequence.load(std::memory_order_relaxed));
  // On the disk before anything goes: half of what was there may come back after a power loss, and of a key's records
  // the wrong half. Nobody can be told here; whoever called clear() is told by his own sync.
  if (!unordered()) (void)files_->sync_ctl();
  // Nobody can be told that the disk is too full to be emptied; the index keeps what space it has.
  (void)index_.reset();
  state_.entries.store(0, std::memory_order_relaxed);
  state_.blob_bytes.store(0, std::memory_order_relaxed);  // the files are orphans now
  state_.victim.store(kNone, std::memory_order_relaxed);
  for (Half& active : state_.active) active.store(kNone, std::memory_order_relaxed);
  step(Step::kClearHalf);
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const std::uint32_t use = segment(i).use.load(std::memory_order_relaxed);
    if (use == kOpen || use == kClosed) retire(i);
  }
  sweep();
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    SegmentState& at = segment(i);
    if (at.use.load(std::memory_order_relaxed) != kFree) continue;
    at.use.store(kEmpty, std::memory_order_release);
    at.allocated.store(0, std::memory_order_release);
    files_->release_log(std::uint64_t{i} << shift_, segment_bytes_);
  }
  state_.clearing.store(0, std::memory_order_release);
  recount_spare();
}

void Shard::add_to(Stats& stats) const {
  stats.entries += state_.entries.load(std::memory_order_relaxed);
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const std::uint32_t use = segment(i).use.load(std::memory_order_relaxed);
    if (use != kOpen && use != kClosed) continue;
    const std::uint32_t bytes =
        less(segment(i).live.load(std::memory_order_relaxed), segment(i).tombs.load(std::memory_order_relaxed));
    stats.value_bytes += bytes;
    if (segment(i).queue.load(std::memory_order_relaxed) == kPinned) stats.pinned_bytes += bytes;
  }
  stats.blob_bytes += state_.blob_bytes.load(std::memory_order_relaxed);
  stats.value_bytes += state_.blob_bytes.load(std::memory_order_relaxed);
  stats.sets += state_.sets.load(std::memory_order_relaxed);
  stats.deletes += state_.deletes.load(std::memory_order_relaxed);
  stats.evictions += state_.evictions.load(std::memory_order_relaxed);
  stats.expirations += state_.expirations.load(std::memory_order_relaxed);
  stats.repairs += state_.repairs.load(std::memory_order_relaxed);
}

}  // namespace larder::engine
