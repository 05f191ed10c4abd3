#include "engine/blob_room.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <vector>

#include "base/try.h"
#include "engine/steps.h"
#include "engine/store.h"

namespace larder::engine {

namespace {

constexpr auto kPatience = std::chrono::seconds(2);
constexpr int kRoundsMost = 4;                 // then every frequency is used up
constexpr std::size_t kOrphansAtOnce = 128;    // each holds a descriptor while it is looked at
constexpr std::uint64_t kGrowLeast = 1 << 20;  // of room for a value that comes in parts
constexpr std::uint64_t kSegmentsOver = 2;     // of each shard, that are being freed

}  // namespace

Word& BlobRoom::account() const { return store_.files()->process(store_.membership().self().slot).blob_bytes; }

Status BlobRoom::reserve(std::uint64_t bytes, std::uint64_t in_all) {
  const Files& files = *store_.files();
  const Geometry& g = files.geometry();
  const std::uint64_t slack = kSegmentsOver * g.shards * g.segment_bytes();
  const auto until = std::chrono::steady_clock::now() + kPatience;
  Error refused;
  for (;;) {
    const std::uint64_t limit = files.settings().size_limit_bytes;
    const std::uint64_t most = blob_bytes_most(limit);
    if (in_all > most)
      return Error{Code::kTooLarge, "the value has " + std::to_string(in_all) + " bytes, this cache takes at most " +
                                        std::to_string(most) + " (three quarters of its limit)"};
    account().fetch_add(bytes, std::memory_order_seq_cst);
    // From here on the segments are allowed that much less.
    const std::uint64_t total = files.blob_bytes();
    const std::uint64_t disk = files.disk_bytes();
    if (total <= most && disk <= limit) return {};
    const std::uint64_t too_much = disk - std::min(disk, limit);
    const std::uint64_t over_half = total - std::min(total, limit / 2);
    const std::uint64_t wanted = std::max(std::min(too_much, over_half), total - std::min(total, most));
    Result<std::uint64_t> evicted = wanted > 0 ? evict(wanted) : Result<std::uint64_t>(std::uint64_t{0});
    if (evicted.ok()) {
      // Their files count until they are gone.
      if (*evicted > 0 && files.settings().durability != Durability::kNone) (void)store_.flusher().flush();
      files.release_blobs();
      for (const auto& shard : store_.shards()) (void)shard->shrink();
      if (files.blob_bytes() <= most && files.disk_bytes() <= limit + slack) return {};
      refused =
          Error{Code::kNoSpace, files.path().string() + ": there is no room for a value of " + std::to_string(in_all) +
                                    " bytes: what is there is pinned, being written, or may not be evicted"};
    } else {
      refused = evicted.error();
    }
    give_back(bytes);
    if (files.settings().policy == Policy::kNone || std::chrono::steady_clock::now() > until) return refused;
    store_.membership().bury_dead();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void BlobRoom::give_back(std::uint64_t bytes) { account().fetch_sub(bytes, std::memory_order_relaxed); }

void BlobRoom::give_way() {
  const Files& files = *store_.files();
  if (files.blob_bytes() <= files.settings().size_limit_bytes / 2) return;
  if (evict(1).ok()) store_.flusher().hurry();
}

Result<std::uint64_t> BlobRoom::evict(std::uint64_t wanted) {
  std::vector<BlobName> names = store_.files()->blobs().list();
  const std::uint64_t hand = hand_.load(std::memory_order_relaxed);
  std::rotate(names.begin(),
              std::find_if(names.begin(), names.end(), [&](const BlobName& name) { return name.id > hand; }),
              names.end());
  std::uint64_t evicted = 0;
  for (int round = 0; round < kRoundsMost; ++round) {
    for (const BlobName& name : names) {
      if (evicted >= wanted) return evicted;
      hand_.store(name.id, std::memory_order_relaxed);
      RoomWait waiting(store_);
      for (;;) {
        const auto [room, bytes] = TRY(store_.shard(name.hash).evict_blob(name));
        if (room == Room::kReady) {
          evicted += bytes;
          break;
        }
        TRY(waiting.wait(room));
      }
    }
  }
  return evicted;
}

void BlobRoom::sweep_if_expected() {
  store_.membership().bury_dead();
  if (store_.membership().take_deaths() || orphans_.exchange(false)) (void)sweep();
}

std::uint64_t BlobRoom::sweep() {
  const Files& files = *store_.files();
  std::uint64_t removed = 0;
  const std::vector<BlobName> names = files.blobs().list();
  for (std::size_t next = 0; next < names.size();) {
    std::vector<std::pair<BlobName, Fd>> orphans;
    for (; next < names.size() && orphans.size() < kOrphansAtOnce; ++next) {
      const BlobName& name = names[next];
      // In this order: who writes it lets go only when there is an entry.
      std::optional<Fd> locked = files.blobs().lock(name);
      if (locked && !store_.shard(name.hash).speaks_of(name)) orphans.emplace_back(name, std::move(*locked));
    }
    if (orphans.empty()) continue;
    // Until the change that dropped an entry is on the disk, a power loss may bring it back.
    if (files.settings().durability != Durability::kNone && !store_.flusher().flush().ok()) return removed;
    if (files.blobs_are_kept()) return removed;
    for (const auto& [name, locked] : orphans) files.blobs().remove(name);
    removed += orphans.size();
  }
  return removed;
}

// --- NewBlob ---------------------------------------------------------------------------------------------------------

Result<NewBlob> NewBlob::begin(Store& store, std::uint64_t key_hash) {
  store.blob_room().sweep_if_expected();
  for (;;) {
    // A number that no other file has. Should it have been given out before a power loss, the next one is tried.
    const BlobName name{key_hash, store.files()->globals().sequence.fetch_add(1, std::memory_order_relaxed)};
    Result<Fd> fd = store.files()->blobs().create(name);
    if (fd.ok()) {
      step(Step::kBlobMade);
      return NewBlob(store, name, std::move(*fd));
    }
    if (fd.error().code != Code::kExists) return std::move(fd).error();
  }
}

NewBlob::NewBlob(Store& store, const BlobName& name, Fd fd)
    : store_(&store), owner_(store.membership().self()), name_(name), fd_(std::move(fd)), hasher_(name.hash) {}

NewBlob::NewBlob(NewBlob&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)),
      owner_(other.owner_),
      name_(other.name_),
      fd_(std::move(other.fd_)),
      hasher_(std::move(other.hasher_)),
      written_(other.written_),
      reserved_(std::exchange(other.reserved_, 0)) {}

NewBlob::~NewBlob() {
  if (store_ == nullptr || !is_mine()) return;
  store_->files()->blobs().remove(name_);
  store_->blob_room().give_back(reserved_);
}

bool NewBlob::is_mine() const {
  return store_->membership().joined() && store_->membership().self().word() == owner_.word();
}

Status NewBlob::prepare(std::uint64_t bytes) {
  if (!is_mine())
    return Error{Code::kInvalid, "the value's writer belongs to the process that this one was forked from"};
  if (bytes <= reserved_) return {};
  TRY(store_->blob_room().reserve(bytes - reserved_, bytes));
  const std::uint64_t before = std::exchange(reserved_, bytes);
  int failed = 0;
  do {
    failed =
        ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(before), static_cast<off_t>(bytes - before)) == 0
            ? 0
            : errno;
  } while (failed == EINTR);
  // Where it cannot be asked for, writing says it.
  if (failed != 0 && failed != EOPNOTSUPP)
    return system_error(failed, "fallocate", store_->files()->blobs().path(name_));
  return {};
}

Status NewBlob::add(std::string_view bytes) {
  const std::uint64_t after = written_ + bytes.size();
  if (after > reserved_) {
    const std::uint64_t ahead = std::max(after + after / 4, after + kGrowLeast);
    if (!prepare(ahead).ok()) TRY(prepare(after));
  }
  hasher_.add(bytes);
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(written_));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return system_error(errno, "write", store_->files()->blobs().path(name_));
    bytes.remove_prefix(static_cast<std::size_t>(done));
    written_ += static_cast<std::uint64_t>(done);
  }
  return {};
}

Result<Blob> NewBlob::finish() {
  Files& files = *store_->files();
  if (reserved_ > written_) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(written_)) != 0)
      return system_error(errno, "ftruncate", files.blobs().path(name_));
    store_->blob_room().give_back(reserved_ - written_);
    reserved_ = written_;
  }
  if (files.settings().durability != Durability::kNone) TRY(files.blobs().sync(fd_.get(), name_));
  step(Step::kBlobWritten);
  return Blob{name_.id, written_, hasher_.sum()};
}

void NewBlob::keep() {
  store_->blob_room().give_back(reserved_);
  store_ = nullptr;
  fd_.reset();
}

}  // namespace larder::engine
