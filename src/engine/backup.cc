// The copy is made as a NewDirectory, and its `ctl` comes last in it: a directory without one is no cache.
#include "engine/backup.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/try.h"
#include "engine/new_directory.h"
#include "engine/steps.h"

namespace larder::engine {

// --- What a shard says of itself -------------------------------------------------------------------------------------

void Shard::note(Half* pins, std::vector<Noted>& noted, ShardState& state) const {
  constexpr auto relaxed = std::memory_order_relaxed;
  for (std::uint32_t i = first_; i < first_ + count_; ++i) {
    const SegmentState& at = segment(i);
    const std::uint32_t use = at.use.load(relaxed);
    if (use != kOpen && use != kClosed) continue;
    // Even a damaged one: who restores the copy is told.
    const std::uint32_t used = std::clamp<std::uint32_t>(at.used.load(relaxed), sizeof(SegmentHeader), segment_bytes_);
    Noted& next = noted.emplace_back(Noted{i, used & ~7u, generations_[i].load(relaxed), {}});
    // Its magic goes when it is freed, pinned or not.
    copy_out(reinterpret_cast<char*>(&next.header), files_->segment(i), sizeof(next.header));
    pins[i].fetch_add(kCopyPin, std::memory_order_seq_cst);
  }
  state.victim.store(kNone, relaxed);
  for (Half& active : state.active) active.store(kNone, relaxed);
  state.clear_sequence.store(state_.clear_sequence.load(relaxed), relaxed);
  state.feed_floor.store(state_.feed_floor.load(relaxed), relaxed);
}

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint32_t kWriteAtOnce = 1 << 20;

// What is copied: all of it as it was at one moment. Unpins what is left when it goes.
struct Snapshot {
  std::vector<Shard::Noted> segments;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> tags;
  std::vector<ShardState> shards;
  std::uint64_t blob_bytes = 0;
  Globals globals{};
  Half* const pins;
  Word& keeps_blobs;

  Snapshot(const Files& files, std::uint32_t slot)
      : shards(files.geometry().shards),
        pins(files.pins(slot, Store::stripe())),
        keeps_blobs(files.process(slot).keeps_blobs) {
    keeps_blobs.fetch_add(1, std::memory_order_seq_cst);  // before a record is seen that speaks of one
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() {
    for (const Shard::Noted& noted : segments) pins[noted.segment].fetch_sub(kCopyPin, std::memory_order_release);
    keeps_blobs.fetch_sub(1, std::memory_order_release);
  }
};
static_assert(sizeof(std::pair<std::uint64_t, std::uint64_t>) == sizeof(TagRow));

void note_settings(const Config& config, Settings& settings) {
  settings.size_limit_bytes.store(config.size_limit_bytes, relaxed);
  settings.entry_limit.store(config.entry_limit, relaxed);
  settings.policy.store(static_cast<std::uint32_t>(config.policy), relaxed);
  settings.durability.store(static_cast<std::uint32_t>(config.durability), relaxed);
  settings.flush_every_ms.store(config.flush_every_ms, relaxed);
}

// The files that the segment's records name, as it was read to `segment`; how many bytes.
Result<std::uint64_t> copy_blobs(const Files& files, const char* segment, std::uint32_t used,
                                 const std::filesystem::path& part) {
  std::uint64_t bytes = 0;
  for (std::uint32_t at = sizeof(SegmentHeader); at + kRecordLeast <= used;) {
    const std::optional<Record> record = Record::read(segment + at, used - at);
    if (!record) {  // damage, to be passed over as a rebuild does
      at += 8;
      continue;
    }
    at += static_cast<std::uint32_t>(record->head.bytes());
    const std::optional<Blob> blob = record->head.kind() == kValue ? record->blob() : std::nullopt;
    if (!blob) continue;
    const BlobName name{hash64(std::string_view(record->key(), record->head.key_size), files.seed()), blob->id};
    bytes += TRY(copy_blob(files.path(), name, part));
  }
  return bytes;
}

// Thread safety analysis cannot count locks.
void take(const Store& store, Snapshot& snapshot) LARDER_NO_THREAD_SAFETY_ANALYSIS {
  const Files& files = *store.files();
  // Nothing is allocated while all wait.
  snapshot.segments.reserve(files.geometry().segments());
  snapshot.tags.resize(kTagRows);
  // In ascending order, as everybody who takes several.
  for (const auto& shard : store.shards()) shard->enter();
  snapshot.blob_bytes = files.blob_bytes();
  for (std::uint32_t i = 0; i < snapshot.shards.size(); ++i)
    store.shards()[i]->note(snapshot.pins, snapshot.segments, snapshot.shards[i]);
  for (std::uint32_t i = 0; i < kTagRows; ++i)
    snapshot.tags[i] = {files.tags()[i].tag.load(relaxed), files.tags()[i].before.load(relaxed)};
  const std::uint64_t sequence = files.globals().sequence.load(relaxed);
  snapshot.globals.sequence.store(sequence, relaxed);
  snapshot.globals.tags_used.store(files.globals().tags_used.load(relaxed), relaxed);
  // Who holds all shards sees no transaction half done.
  snapshot.globals.transactions_flushed.store(sequence, relaxed);
  step(Step::kBackupHeld);
  for (const auto& shard : store.shards()) shard->leave();
}

// The next to copy: one that somebody waits for, else the oldest, since those are the next that others want to free.
Shard::Noted next_of(const Store& store, std::vector<Shard::Noted>& sorted) {
  const std::uint32_t each = store.files()->geometry().segments_per_shard();
  const auto wanted = std::find_if(sorted.begin(), sorted.end(), [&](const Shard::Noted& noted) {
    return store.shards()[noted.segment / each]->is_wanted(noted);
  });
  if (wanted != sorted.end()) std::rotate(wanted, wanted + 1, sorted.end());
  return sorted.back();
}

Status copy_segments(const Store& store, Snapshot& snapshot, const NewDirectory& part, const Progress& progress) {
  const std::filesystem::path path = part.path() / "log";
  const Files& files = *store.files();
  const Geometry& g = files.geometry();
  std::uint64_t all = snapshot.blob_bytes;
  std::uint64_t done = 0;
  for (const Shard::Noted& noted : snapshot.segments) all += noted.used;
  std::sort(snapshot.segments.begin(), snapshot.segments.end(),
            [](const auto& a, const auto& b) { return a.header.opened > b.header.opened; });
  const std::unique_ptr<std::uint64_t[]> words(new std::uint64_t[g.segment_bytes() / 8]);
  char* const buffer = reinterpret_cast<char*>(words.get());
  while (!snapshot.segments.empty()) {
    const Shard::Noted noted = next_of(store, snapshot.segments);
    step(Step::kBackupNext);
    copy_out(buffer, files.segment(noted.segment), noted.used);
    if (!store.shards()[noted.segment / g.segments_per_shard()]->is_intact(noted))
      return Error{Code::kUnavailable, path.string() +
                                           ": is written more slowly than the cache, whose writers could not wait; "
                                           "name a quicker disk, or try again when less is written"};
    std::memcpy(buffer, &noted.header, sizeof(noted.header));
    snapshot.pins[noted.segment].fetch_sub(kCopyPin, std::memory_order_release);
    snapshot.segments.pop_back();
    done += TRY(copy_blobs(files, buffer, noted.used, part.path()));
    for (std::uint32_t offset = 0; offset < noted.used;) {
      const std::uint32_t size = std::min(noted.used - offset, kWriteAtOnce);
      TRY(write_all(part.log(), buffer + offset, size, (std::uint64_t{noted.segment} << g.segment_shift) + offset,
                    path));
      offset += size;
      done += size;
      if (progress && !progress(std::min(done, all), all)) return Error{Code::kCancelled, "the backup was stopped"};
    }
    step(Step::kBackupCopied);
  }
  return {};
}

// A ctl from which the next opener makes the index. The states of segments are there for check_copy().
Status write_ctl(const Files& files, const Snapshot& snapshot, const std::vector<Shard::Noted>& noted, const Fd& ctl,
                 const std::filesystem::path& path) {
  const Geometry& g = files.geometry();
  TRY(write_all(ctl, &files.superblock(), sizeof(Superblock), 0, path));
  TRY(write_all(ctl, &snapshot.globals, sizeof(Globals), g.globals_at(), path));
  for (std::uint32_t i = 0; i < g.shards; ++i)
    TRY(write_all(ctl, &snapshot.shards[i], sizeof(ShardState), g.shards_at() + kShardPitch * i, path));
  TRY(write_all(ctl, snapshot.tags.data(), sizeof(TagRow) * kTagRows, g.tags_at(), path));
  for (const Shard::Noted& segment : noted) {
    SegmentState state{};
    state.use.store(kClosed);
    state.queue.store(segment.header.queue);
    state.used.store(segment.used);
    state.opened.store(segment.header.opened);
    TRY(write_all(ctl, &segment.generation, 8, g.generations_at() + 8ull * segment.segment, path));
    TRY(write_all(ctl, &state, sizeof(state), g.segments_at() + sizeof(state) * segment.segment, path));
  }
  return {};
}

}  // namespace

Status backup(Store& store, const std::filesystem::path& to, const Progress& progress) {
  TRY(store.ready_to_write());  // holding the shards and pinning segments is writing
  const Files& files = *store.files();
  const Geometry& g = files.geometry();
  NewDirectory part = TRY(NewDirectory::make(to, files.path()));
  const std::filesystem::path log_path = part.path() / "log";
  TRY(lengthen(part.log(), g.log_bytes(), log_path));
  const Fd idx = TRY(make_file(part.path() / "idx", g.idx_bytes()));

  Snapshot snapshot(files, store.membership().self().slot);
  std::memcpy(snapshot.globals.boot_id, kCopied, sizeof(kCopied));
  note_settings(files.settings(), snapshot.globals.settings);
  take(store, snapshot);
  const std::vector<Shard::Noted> noted = snapshot.segments;
  TRY(copy_segments(store, snapshot, part, progress));

  const std::filesystem::path ctl_path = part.path() / "ctl.new";
  const Fd ctl = TRY(make_file(ctl_path, g.ctl_bytes(), true));
  TRY(write_ctl(files, snapshot, noted, ctl, ctl_path));
  TRY(sync(part.log(), log_path));
  TRY(sync(ctl, ctl_path));
  if (std::rename(ctl_path.c_str(), (part.path() / "ctl").c_str()) != 0) return system_error(errno, "rename", ctl_path);
  return part.place();
}

}  // namespace larder::engine
