// What a shard does about values in files of their own (blobs.h). To everything else their records are like any other.
#include "base/try.h"
#include "engine/shard.h"
#include "engine/steps.h"

namespace larder::engine {

void Shard::count_blob_off(Change& change, const Record& record) const {
  if (__builtin_expect(record.is_blob(), 0)) change.blob_bytes -= static_cast<std::int64_t>(record.value_bytes());
}

void Shard::drop_blob(const Record& record, std::uint64_t hash, std::uint64_t successor) {
  const std::optional<Blob> blob = record.blob();
  if (!blob) return;
  if (successor != 0) {
    const std::optional<Record> next = record_at(successor);
    const std::optional<Blob> stays = next ? next->blob() : std::nullopt;
    if (stays && stays->id == blob->id) return;
  }
  step(Step::kBlobDropped);
  files_->blobs().drop({hash, blob->id}, blob->bytes, files_->globals().flushes_started.load(std::memory_order_acquire),
                       files_->process(membership_.self().slot).blob_bytes);
  freed.store(true, std::memory_order_relaxed);
}

bool Shard::blob_is_there(const Record& record, bool verify) const {
  const std::optional<Blob> blob = record.blob();
  if (!blob) return false;
  const BlobName name{key_hash({record.key(), record.head.key_size}), blob->id};
  return verify ? files_->blobs().verify(name, *blob).ok() : files_->blobs().open(name, blob->bytes).ok();
}

std::optional<Shard::Found> Shard::find_blob(const BlobName& name) const {
  Found found;
  found.slot = index_.find(name.hash, [&](Word&, std::uint64_t word) {
    const std::optional<Record> record = record_at(Slot::offset(word));
    if (!record || record->head.kind() != kValue) return false;
    const std::optional<Blob> blob = record->blob();
    if (!blob || blob->id != name.id || key_hash({record->key(), record->head.key_size}) != name.hash) return false;
    found.record = *record;
    found.word = word;
    return true;
  });
  if (found.slot == nullptr) return std::nullopt;
  return found;
}

bool Shard::speaks_of(const BlobName& name) {
  Guard guard(*this);
  return find_blob(name).has_value();
}

Result<std::pair<Room, std::uint64_t>> Shard::evict_blob(const BlobName& name) {
  Guard guard(*this);
  step(Step::kLocked);
  const auto stays = std::pair{Room::kReady, std::uint64_t{0}};
  std::optional<Found> found = find_blob(name);
  if (!found) return stays;
  const bool ended = over(found->record);
  if (!ended) {
    const Policy policy = files_->settings().policy;
    if (policy == Policy::kNone || (found->record.head.flags & kIsPinned) != 0) return stays;
    if (policy != Policy::kLeastRecentlyStored && Slot::frequency(found->word) > 0) {
      std::uint64_t expected = found->word;
      found->slot->compare_exchange_strong(expected, expected - Slot::kFrequencyOne, std::memory_order_relaxed);
      return stays;
    }
  }
  const Room room = TRY(reserve(kSmall, tombstone_bytes(found->record.head.key_size), Need::kTombstone));
  if (room != Room::kReady) return std::pair{room, std::uint64_t{0}};
  found = find_blob(name);  // making room may have taken it
  if (!found) return stays;
  const std::uint64_t bytes = found->record.value_bytes();
  remove(*found, next_sequence(), active(kSmall));
  Word& counter = ended ? state_.expirations : state_.evictions;
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return std::pair{Room::kReady, bytes};
}

bool Shard::is_short() const {
  constexpr std::uint32_t kFew = 3;
  return state_.spare.load(std::memory_order_relaxed) < kFew;
}

Status Shard::check_blobs(bool mend, CheckReport& report) {
  struct Kept {
    BlobName name;
    Blob blob;
  };
  std::vector<Kept> kept;
  {
    Guard guard(*this);
    index_.for_each([&](std::uint64_t, Word&, std::uint64_t word) {
      const std::optional<Record> record = record_at(Slot::offset(word));
      const std::optional<Blob> blob = record && record->head.kind() == kValue ? record->blob() : std::nullopt;
      if (blob) kept.push_back({{key_hash({record->key(), record->head.key_size}), blob->id}, *blob});
    });
  }
  for (const Kept& one : kept) {
    const Status right = files_->blobs().verify(one.name, one.blob);  // without the lock: it may be gigabytes
    if (right.ok()) continue;
    Guard guard(*this);
    if (!find_blob(one.name)) continue;  // it went meanwhile
    report.findings.push_back(right.error().message);
    if (!mend) continue;
    if (TRY(reserve(kSmall, tombstone_bytes(kKeyMost), Need::kTombstone)) != Room::kReady) continue;
    const std::optional<Found> found = find_blob(one.name);
    if (!found) continue;
    remove(*found, next_sequence(), active(kSmall));
    ++report.repaired;
  }
  return {};
}

}  // namespace larder::engine
