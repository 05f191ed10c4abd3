// The index and all accounts anew, from the log alone. Used after a power loss (whatever was not yet written back is
// gone, in any order), when `idx` is missing, and by check() to repair.
//
// The order of records does not matter: of two records with one key the higher sequence counts, and a tombstone is a
// record like any other until the end. So moved records, old copies and half-recycled segments need no special care.
// A damaged record costs itself: behind it the next whole record is looked for, and the stretch between is covered with
// filler, so that later walks need not look again.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/try.h"
#include "engine/shard.h"

namespace larder::engine {

namespace {

// As a slot's frequency, while the index is made: its record is no value, or one with a file.
constexpr std::uint64_t kLookAgain = 1;

std::uint32_t header_checksum(SegmentHeader header, std::uint64_t seed) {
  header.checksum = 0;
  return static_cast<std::uint32_t>(
      hash64(std::string_view(reinterpret_cast<const char*>(&header), sizeof(header)), seed));
}

// For a sentence: without line ends, and not too long.
std::string quoted(std::string_view key) {
  constexpr std::size_t kMost = 80;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "'";
  for (const char c : key.substr(0, kMost)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 0x7f && c != '\\' && c != '\'')
      text += c;
    else
      (text += "\\x").append({kDigits[byte >> 4], kDigits[byte & 0xf]});
  }
  return text + (key.size() > kMost ? "...'" : "'");
}

}  // namespace

void Shard::write_segment_header(std::uint32_t number, Queue queue, std::uint64_t opened) const {
  SegmentHeader header{};
  header.magic = kSegmentMagic;
  header.segment = number;
  header.queue = queue;
  header.generation = generations_[number].load(std::memory_order_relaxed);
  header.opened = opened;
  header.opened_ms = now_.coarse_ms();
  header.checksum = header_checksum(header, seed_);
  Writer(files_->segment(number)).put(reinterpret_cast<const char*>(&header), sizeof(header));
}

std::optional<SegmentHeader> Shard::segment_header(std::uint32_t number) const {
  SegmentHeader header;
  copy_out(reinterpret_cast<char*>(&header), files_->segment(number), sizeof(header));
  if (header.magic != kSegmentMagic || header.segment != number || header.queue >= kQueues ||
      header.checksum != header_checksum(header, seed_))
    return std::nullopt;
  return header;
}

bool Shard::whole(const Record& record, std::uint64_t generation) const {
  const bool has_key = record.head.kind() != kFiller;
  return whole(record, generation, has_key ? key_hash({record.key(), record.head.key_size}) : 0);
}

bool Shard::whole(const Record& record, std::uint64_t generation, std::uint64_t hash) const {
  const RecordHead& head = record.head;
  if (head.sequence == 0) return false;
  if ((head.flags & kHasExpiry) != 0 &&
      !expiry_right(word_at(record.at)[3].load(std::memory_order_relaxed), head.sequence, seed_))
    return false;
  std::uint32_t content = 0;
  if (head.kind() != kFiller) content = content_of(hash, {record.value(), head.value_size}) ^ record.extras().content();
  return head.checksum == (content ^ head.salt(generation));
}

template <typename Use>
Shard::Scanned Shard::scan(std::uint32_t number, std::uint32_t limit, bool mend, Use&& use) const {
  char* const base = files_->segment(number);
  const std::uint64_t generation = generations_[number].load(std::memory_order_relaxed);
  Scanned scanned;
  scanned.end = sizeof(SegmentHeader);
  // Bytes that may claim to be huge records at every step must not cost a hash of the segment each.
  const std::uint64_t patience_most = 32 * std::uint64_t{segment_bytes_};
  std::uint64_t patience = patience_most;
  std::uint32_t offset = scanned.end;
  while (offset < limit && patience > 0) {
    // No record has a sequence of zero: runs of zeros are passed over quickly.
    while (offset + kRecordLeast <= limit && word_at(base + offset)[1].load(std::memory_order_relaxed) == 0)
      offset += 8;
    const std::optional<Record> record = Record::read(base + offset, limit - offset);
    if (record) patience -= std::min(patience, record->head.bytes());
    const bool has_key = record && record->head.kind() != kFiller;
    const std::uint64_t hash = has_key ? key_hash({record->key(), record->head.key_size}) : 0;
    if (!record || !whole(*record, generation, hash)) {
      offset += 8;
      continue;
    }
    if (offset > scanned.end) {
      scanned.damaged.push_back({scanned.end, offset});
      if (mend && offset - scanned.end >= kRecordLeast) {
        RecordHead head;
        head.flags = kFiller;
        head.sequence = 1;
        head.value_size = offset - scanned.end - kRecordHeader;
        head.checksum = head.salt(generation);
        const std::uint64_t words[3] = {head.word0(), head.word1(), head.word2()};
        Writer(base + scanned.end).put(reinterpret_cast<const char*>(words), sizeof(words));
      }
    }
    use(*record, (std::uint64_t{number} << shift_) + offset, hash);
    offset += static_cast<std::uint32_t>(record->head.bytes());
    patience += std::min<std::uint64_t>(record->head.bytes(), patience_most - patience);
    scanned.end = offset;
  }
  if (patience == 0 && mend) {
    // What was not found now must not be found the next time, when the filler makes it easier: it would be older than
    // what was written since. Only words that are not zero are written, so that no hole gets disk space.
    for (std::uint32_t at = scanned.end; at + 8 <= limit; at += 8) {
      Word* const word = word_at(base + at);
      if (word->load(std::memory_order_relaxed) != 0) word->store(0, std::memory_order_relaxed);
    }
    scanned.gave_up = true;
  }
  return scanned;
}

std::vector<std::string> Shard::damage(std::uint32_t number, std::uint32_t limit, const Scanned& scanned) const {
  const char* const base = files_->segment(number);
  std::vector<Scanned::Stretch> stretches = scanned.damaged;
  if (scanned.end < limit) stretches.push_back({scanned.end, limit});
  std::vector<std::string> sentences;
  for (const Scanned::Stretch& stretch : stretches) {
    for (std::uint32_t at = stretch.begin; at < stretch.end;) {
      std::string& sentence =
          sentences.emplace_back("damaged record in segment " + std::to_string(number) + " at byte " +
                                 std::to_string((std::uint64_t{number} << shift_) + at));
      // Whatever is wrong with it: when it would end within the stretch, and its key belongs here, that is most likely
      // its key.
      const std::optional<Record> record = Record::read(base + at, stretch.end - at);
      const bool plausible =
          record && (record->head.kind() == kValue || record->head.kind() == kTombstone) &&
          (key_hash({record->key(), record->head.key_size}) >> kShardShift) % files_->geometry().shards == number_;
      if (!plausible) break;
      sentence += ", which looks like that of key " + quoted({record->key(), record->head.key_size});
      at += static_cast<std::uint32_t>(record->head.bytes());
    }
  }
  return sentences;
}

Status Shard::format() {
  Guard guard(*this);
  TRY(index_.reset());
  for (Half& active : state_.active) active.store(kNone, std::memory_order_relaxed);
  state_.victim.store(kNone, std::memory_order_relaxed);
  recount_spare();
  return {};
}

Status Shard::rebuild(Doubtful* doubtful) {
  state_.lock.store(0, std::memory_order_relaxed);  // nobody else is here
  Guard guard(*this);
  TRY(rebuild_locked(true, doubtful));
  if (doubtful == nullptr) account_for_found(true);
  return {};
}

Status Shard::finish_rebuild(const Doubtful& doubtful) {
  Guard guard(*this);
  for (const std::uint64_t offset : found_.doubted) {
    const std::optional<Record> record = record_at(offset);
    if (!record) continue;
    if (!doubtful.happened(record->transaction())) {
      cover(*record);
    } else if (record->head.kind() != kNote) {
      TRY(enter_found(*record, offset, key_hash({record->key(), record->head.key_size})));
    }
  }
  account_for_found(true);
  return {};
}

// A later rebuild, which thinks that all of this is on the disk, must not believe it.
void Shard::cover(const Record& record) const {
  const auto number = static_cast<std::uint32_t>(static_cast<std::uint64_t>(record.at - log_) >> shift_);
  RecordHead head;
  head.flags = kFiller;
  head.sequence = 1;
  head.value_size = static_cast<std::uint32_t>(record.head.bytes()) - kRecordHeader;
  head.checksum = head.salt(generations_[number].load(std::memory_order_relaxed));
  const std::uint64_t words[3] = {head.word0(), head.word1(), head.word2()};
  Writer(const_cast<char*>(record.at)).put(reinterpret_cast<const char*>(words), sizeof(words));
}

// Puts a record of a transaction aside that may not have happened.
bool Shard::doubt(const Record& record, std::uint64_t offset, Doubtful* doubtful) {
  const std::uint64_t transaction = record.transaction();
  if (doubtful == nullptr || !doubtful->concerns(transaction)) return false;
  found_.doubted.push_back(offset);
  if (record.head.kind() != kNote) {
    // Where nothing waits for the disk, the value's file may not have got there.
    if (!record.is_blob() || blob_is_there(record, unordered())) doubtful->found(transaction, record.head.sequence);
    return true;
  }
  std::string value(record.head.value_size / 8 * 8, '\0');
  copy_out(value.data(), record.value(), value.size());
  Ending ending;
  if (value.size() < 8) return true;
  std::memcpy(&ending.records, value.data(), 8);
  ending.after.resize(value.size() / 8 - 1);
  if (!ending.after.empty()) std::memcpy(ending.after.data(), value.data() + 8, 8 * ending.after.size());
  doubtful->found_end(transaction, std::move(ending));
  return true;
}

void Shard::account_one(const RecordHead& head, std::uint64_t offset, bool comes) {
  if (head.kind() != kValue) return;
  std::uint32_t& here = found_.live[static_cast<std::uint32_t>(offset >> shift_) - first_];
  const auto bytes = static_cast<std::uint32_t>(head.bytes());
  here = comes ? here + bytes : here - std::min(here, bytes);
  found_.entries += comes ? 1 : found_.entries > 0 ? ~std::uint64_t{0} : 0;
}

// Of two records with one key the later one, a tombstone like any other.
Status Shard::enter_found(const Record& record, std::uint64_t offset, std::uint64_t hash) {
  constexpr auto relaxed = std::memory_order_relaxed;
  const RecordHead& head = record.head;
  SegmentState& at = segment(static_cast<std::uint32_t>(offset >> shift_));
  if (head.kind() == kTombstone) {
    at.tombs.store(at.tombs.load(relaxed) + static_cast<std::uint32_t>(head.bytes()), relaxed);
  } else {
    const std::uint64_t expires = record.expires_ms == 0 ? kNever : static_cast<std::uint64_t>(record.expires_ms);
    if (expires > at.expires_max.load(relaxed)) at.expires_max.store(expires, relaxed);
  }
  const std::string_view key(record.key(), head.key_size);
  std::uint64_t rival = 0;
  std::optional<Record> before;
  bool rival_moved = false;
  Word* slot = index_.find(hash, [&](Word&, std::uint64_t word) {
    const std::optional<Record> other = record_at(Slot::offset(word));
    if (!other || !other->key_is(key)) return false;
    rival = other->head.sequence;
    before = other;
    const std::uint32_t where = static_cast<std::uint32_t>(Slot::offset(word) >> shift_);
    rival_moved = segment(where).queue.load(relaxed) != kSmall && at.queue.load(relaxed) == kSmall;
    return true;
  });
  // Of two copies the one that was moved counts, since it may have been touched, or be the tombstone: it does not lie
  // in the small queue, or it lies in the later segment.
  if (slot != nullptr && (rival > head.sequence || (rival == head.sequence && rival_moved))) return {};
  if (slot == nullptr) {
    index_.grow(++found_.keys);
    slot = TRY(index_.free_slot(hash));
  } else {
    account_one(before->head, Slot::offset(slot->load(relaxed)), false);
  }
  account_one(head, offset, true);
  const bool settled = head.kind() == kValue && !record.is_blob();
  slot->store(Slot::make(hash, offset, settled ? 0 : kLookAgain), std::memory_order_release);
  return {};
}

Status Shard::rebuild_locked(bool after_power_loss, Doubtful* doubtful) {
  constexpr auto relaxed = std::memory_order_relaxed;
  state_.redo.valid.store(0, relaxed);
  if (const std::uint64_t transaction = state_.transaction.load(relaxed); transaction != 0) {
    const std::uint32_t slot = state_.transaction_slot.load(relaxed);
    const bool happened = slot < kProcessesMax && files_->process(slot).committed.load(relaxed) == transaction;
    if (happened) state_.last_transaction.store(transaction, relaxed);
    if (!happened) blot_out();
  }
  state_.transaction.store(0, relaxed);
  state_.switching.store(0, relaxed);
  state_.clearing.store(0, relaxed);
  state_.victim.store(kNone, relaxed);
  for (Half& active : state_.active) active.store(kNone, relaxed);
  if (after_power_loss) {
    state_.ghost_ready.store(0);
    index_.recount_pages();
  }
  TRY(index_.reset(Index::Space::kKeep));
  state_.entries.store(0, relaxed);
  state_.blob_bytes.store(0, relaxed);

  // The headers of segments that are holes: the kernel would read ahead, which is to make pages of zeros.
  char* const segments = files_->segment(first_);
  const std::uint64_t segments_bytes = std::uint64_t{count_} << shift_;
  ::madvise(segments, segments_bytes, MADV_RANDOM);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> in_use;  // (opened, segment)
  // (from, segments): one by one they take a millisecond each
  std::vector<std::pair<std::uint32_t, std::uint32_t>> holes;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    SegmentState& at = segment(i);
    const std::optional<SegmentHeader> header = segment_header(i);
    if (after_power_loss) {
      if (header) {
        generations_[i].store(header->generation, relaxed);
        at.queue.store(header->queue, relaxed);
        at.opened.store(header->opened, relaxed);
        in_use.emplace_back(header->opened, i);
        continue;
      }
      // What was written here before must not pass for what will be: beyond every generation it may have had.
      SegmentHeader old;
      copy_out(reinterpret_cast<char*>(&old), files_->segment(i), sizeof(old));
      const std::uint64_t known = generations_[i].load(relaxed);
      const bool plausible = old.segment == i && old.generation - known < std::uint64_t{1} << 32;
      // How many it may have had nobody knows: what was written may be here without its header. So a leap.
      const std::uint64_t leap = 1 + (mix(static_cast<std::uint64_t>(now_.precise_ms())) & 0xfffff);
      generations_[i].store((plausible ? old.generation : known) + leap, relaxed);
      if (holes.empty() || holes.back().first + holes.back().second != i) holes.emplace_back(i, 0);
      ++holes.back().second;
      at.allocated.store(0, relaxed);
      at.opened.store(0, relaxed);
      at.freed.store(0, relaxed);
      at.use.store(kEmpty, relaxed);
    } else {
      const std::uint32_t use = at.use.load(relaxed);
      if (use == kEmpty || use == kFree || use == kDraining) continue;
      if (header && header->generation == generations_[i].load(relaxed)) {
        in_use.emplace_back(at.opened.load(relaxed), i);
      } else {
        retire(i);  // nobody can tell what is in it
      }
    }
  }
  ::madvise(segments, segments_bytes, MADV_NORMAL);
  for (const auto& [from, size] : holes)
    files_->release_log(std::uint64_t{from} << shift_, std::uint64_t{size} << shift_);
  std::sort(in_use.begin(), in_use.end());

  const std::uint64_t clear_sequence = state_.clear_sequence.load(relaxed);
  std::uint64_t last = clear_sequence;
  found_ = {};
  found_.live.resize(count_);
  Status failed;
  bool gave_up = false;
  for (const auto& [opened, number] : in_use) {
    SegmentState& at = segment(number);
    at.tombs.store(0, relaxed);
    at.expires_max.store(0, relaxed);
    if (after_power_loss) at.transaction.store(0, relaxed);
    // To the end of the segment, not to what is on account: that may be damaged. Behind it there may be a record whose
    // writer died before it could answer; it counts now.
    const auto enter = [&](const Record& record, std::uint64_t offset, std::uint64_t hash) {
      lock_.is_held();
      if (failed.ok()) failed = enter_found(record, offset, hash);
    };
    // A bucket is a cache miss: it is called for some records ahead of its use.
    struct Ahead {
      Record record;
      std::uint64_t offset = 0;
      std::uint64_t hash = 0;
    };
    constexpr std::size_t kAhead = 16;
    std::array<Ahead, kAhead> ahead;
    std::size_t read = 0;
    const auto call_ahead = [&, number = number](const Record& record, std::uint64_t offset, std::uint64_t hash) {
      lock_.is_held();
      if (record.head.kind() == kFiller || record.head.sequence < clear_sequence) return;
      last = std::max(last, record.head.sequence);
      if (__builtin_expect((record.head.flags & kHasTransaction) != 0, 0)) {
        note_transaction(number, record.transaction());
        if (doubt(record, offset, doubtful)) return;
      }
      if (record.head.kind() == kNote) return;
      Ahead& next = ahead[read % kAhead];
      if (read >= kAhead) enter(next.record, next.offset, next.hash);
      next = {record, offset, hash};
      index_.prefetch(hash);
      ++read;
    };
    const Scanned scanned = scan(number, segment_bytes_, true, call_ahead);
    for (std::size_t i = read < kAhead ? 0 : read - kAhead; i < read; ++i)
      enter(ahead[i % kAhead].record, ahead[i % kAhead].offset, ahead[i % kAhead].hash);
    TRY(failed);
    gave_up = gave_up || scanned.gave_up;
    at.use.store(kClosed, relaxed);
    at.used.store(scanned.end, relaxed);
    at.freed.store(0, relaxed);
    if (after_power_loss) at.replaced.store(0, relaxed);
    if (after_power_loss) at.allocated.store(static_cast<std::uint32_t>(Geometry::pages(scanned.end)), relaxed);
  }

  if (gave_up) TRY(files_->sync_log());

  Word& sequence = files_->globals().sequence;
  const std::uint64_t next = last + 1 + (after_power_loss ? kSequenceGap : 0);
  std::uint64_t now = sequence.load(relaxed);  // other shards are rebuilt meanwhile
  while (now < next && !sequence.compare_exchange_weak(now, next, relaxed)) {
  }
  raise_feed_floor(sequence.load(relaxed) - 1);  // what was damaged or lost nobody knows
  return {};
}

void Shard::account_for_found(bool after_power_loss) {
  constexpr auto relaxed = std::memory_order_relaxed;
  // Tombstones have done their work, and some large values are not there any more. Few slots are marked, so few records
  // are read again.
  std::uint64_t blobs = 0;
  // Where nothing is brought to the disk in order, a file may have got its length before its bytes.
  const bool verifies_blobs = after_power_loss && unordered();
  index_.for_each([&](std::uint64_t, Word& slot, std::uint64_t word) {
    lock_.is_held();
    if (Slot::frequency(word) == 0) return;
    const std::optional<Record> record = record_at(Slot::offset(word));
    const bool lives = record && record->head.kind() == kValue;
    if (lives && (!record->is_blob() || blob_is_there(*record, verifies_blobs))) {
      if (record->is_blob()) blobs += record->value_bytes();
      return;
    }
    if (lives) account_one(record->head, Slot::offset(word), false);
    slot.store(0, std::memory_order_release);
  });
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    SegmentState& at = segment(i);
    if (at.use.load(relaxed) == kClosed) at.live.store(at.tombs.load(relaxed) + found_.live[i - first_], relaxed);
  }
  state_.entries.store(found_.entries, relaxed);
  state_.blob_bytes.store(blobs, relaxed);
  found_ = {};
  sweep();
  recount_spare();
}

// --- check -----------------------------------------------------------------------------------------------------------

Status Shard::check(bool mend, CheckReport& report) {
  constexpr auto relaxed = std::memory_order_relaxed;
  constexpr std::size_t kFindingsMost = 1000;
  Guard guard(*this);
  std::uint64_t found = 0;
  const auto find_fault = [&](const std::string& file, const std::string& what) {
    ++found;
    if (report.findings.size() < kFindingsMost)
      report.findings.push_back((files_->path() / file).string() + ": " + what);
  };
  const auto place = [&](std::uint64_t offset) {
    return "segment " + std::to_string(offset >> shift_) + " at byte " + std::to_string(offset);
  };
  const std::string name = "shard " + std::to_string(number_);
  if (state_.transaction.load(relaxed) != 0 || state_.switching.load(relaxed) != 0)
    find_fault("ctl", name + ": a transaction is noted that nobody makes");

  std::uint64_t entries = 0;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(relaxed);
    if (use > kDraining) find_fault("ctl", "segment " + std::to_string(i) + " is in no known state");
    if (use != kOpen && use != kClosed) continue;
    const std::optional<SegmentHeader> header = segment_header(i);
    const std::uint32_t used = at.used.load(relaxed);
    if (!header || header->generation != generations_[i].load(relaxed)) {
      find_fault("log", "segment " + std::to_string(i) + ": its header is damaged");
      continue;
    }
    if (used < sizeof(SegmentHeader) || used > segment_bytes_ || used % 8 != 0) {
      find_fault("ctl", "segment " + std::to_string(i) + " ends at " + std::to_string(used));
      continue;
    }
    std::uint64_t live = 0;
    std::uint64_t tombs = 0;
    const Scanned scanned = scan(i, used, false, [&](const Record& record, std::uint64_t offset, std::uint64_t hash) {
      const RecordHead& head = record.head;
      if (record.transaction() > at.transaction.load(relaxed))
        find_fault("ctl", "segment " + std::to_string(i) + ": holds a record of transaction " +
                              std::to_string(record.transaction()) + ", the last one on account is " +
                              std::to_string(at.transaction.load(relaxed)));
      if (head.kind() == kTombstone && head.sequence >= state_.clear_sequence.load(relaxed)) {
        tombs += head.bytes();
        live += head.bytes();
      }
      if (head.kind() != kValue) return;
      const std::string_view key(record.key(), head.key_size);
      const Word* slot = index_.find_offset(hash, offset);
      if (slot == nullptr) return;
      live += head.bytes();
      ++entries;
      ++report.entries;
      report.bytes += head.bytes() + (record.is_blob() ? record.value_bytes() : 0);
      const std::optional<Found> first = find(key, hash);
      if (!first || first->slot != slot) find_fault("idx", "two entries have the key of " + place(offset));
    });
    for (const std::string& what : damage(i, used, scanned)) find_fault("log", what);
    if (live != at.live.load(relaxed) || tombs != at.tombs.load(relaxed))
      find_fault("ctl", "segment " + std::to_string(i) + ": " + std::to_string(at.live.load(relaxed)) + " live and " +
                            std::to_string(at.tombs.load(relaxed)) + " tombstone bytes are on account, " +
                            std::to_string(live) + " and " + std::to_string(tombs) + " are there");
  }
  std::uint64_t slots = 0;
  std::uint64_t blobs = 0;
  index_.for_each([&](std::uint64_t bucket, Word&, std::uint64_t word) {
    ++slots;
    const std::uint64_t offset = Slot::offset(word);
    const std::optional<Place> where = locate(offset);
    const std::uint32_t use = where ? segment(where->segment).use.load(relaxed) : kEmpty;
    const std::uint32_t used = where ? std::min(segment(where->segment).used.load(relaxed), segment_bytes_) : 0;
    const bool inside = (use == kOpen || use == kClosed) && where->offset < used;
    const std::optional<Record> record = inside ? Record::read(where->at, used - where->offset) : std::nullopt;
    if (!record || record->head.kind() != kValue) {
      find_fault("idx", name + ": bucket " + std::to_string(bucket) + " points at no record (" + place(offset) + ")");
      return;
    }
    if (record->is_blob()) blobs += record->value_bytes();
    const std::uint64_t hash = key_hash({record->key(), record->head.key_size});
    if (Slot::tag(hash) != Slot::tag_of(word) || Index::address(hash, index_.shape()) != bucket)
      find_fault("idx",
                 name + ": bucket " + std::to_string(bucket) + " holds a key of another (" + place(offset) + ")");
  });
  const std::uint64_t on_account = state_.entries.load(relaxed);
  if (slots != on_account || slots != entries)
    find_fault("idx", name + ": " + std::to_string(on_account) + " entries are on account, " + std::to_string(slots) +
                          " in the index, " + std::to_string(entries) + " in the log");
  if (blobs != state_.blob_bytes.load(relaxed))
    find_fault("ctl", name + ": " + std::to_string(state_.blob_bytes.load(relaxed)) +
                          " bytes of large values are on account, there are " + std::to_string(blobs));
  if (found > 0 && mend) {
    TRY(rebuild_locked(false, nullptr));
    account_for_found(false);
    report.repaired += found;
  }
  return {};
}

void Shard::check_copy(CheckReport& report) const {
  constexpr std::size_t kFindingsMost = 1000;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(std::memory_order_relaxed);
    if (use != kOpen && use != kClosed) continue;
    const std::uint32_t used = std::min(at.used.load(std::memory_order_relaxed), segment_bytes_) & ~7u;
    const std::optional<SegmentHeader> header = segment_header(i);
    // What a death left half opened or half freed is no damage.
    if (used <= sizeof(SegmentHeader) || (!header && state_.victim.load(std::memory_order_relaxed) == i)) continue;
    const bool headed = header && header->generation == generations_[i].load(std::memory_order_relaxed);
    const std::vector<std::string> found =
        headed ? damage(i, used, scan(i, used, false, [](const Record&, std::uint64_t, std::uint64_t) {}))
               : std::vector<std::string>{"segment " + std::to_string(i) + ": its header is damaged"};
    for (const std::string& what : found) {
      if (report.findings.size() < kFindingsMost)
        report.findings.push_back((files_->path() / "log").string() + ": " + what);
    }
  }
}

}  // namespace larder::engine
