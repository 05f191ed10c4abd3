// One shard: a lock, an index, a share of the segments, and every operation on the entries in them.
//
// Shards know nothing of each other. Readers (read.cc) hold nothing. Writers hold the shard's lock, and every change to
// an entry is one Change (write.cc): the record is completed in the log, the change is noted with its final values,
// then done; whoever comes after a death does it again. Making room (room.cc) is the same kind of change, record by
// record, so it too may stop anywhere.
#pragma once

#include <larder/cache.h>
#include <larder/feed.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/doubtful.h"
#include "engine/files.h"
#include "engine/index.h"
#include "engine/membership.h"
#include "engine/now.h"
#include "engine/record.h"
#include "engine/shard_lock.h"
#include "engine/tags.h"

namespace larder::engine {

// A pinned value: who unpins must say which count it raised. None: the value lies in a file of its own, see copy_all().
struct Pinned {
  std::string_view bytes;
  std::string_view tags;
  EntryInfo info;
  Half* count = nullptr;
};

struct Copied {
  std::string bytes;
  std::string tags;
  EntryInfo info;
  std::optional<Blob> blob;  // where the value lies, in place of `bytes`
};

// What a removal took out.
struct Taken {
  larder::Entry entry;
  std::optional<Blob> blob;  // its value lies in `file`
  Fd file;
};

// What a writer must wait for before there is room; never while it holds the lock.
enum class Room {
  kReady,
  kFlush,  // segments that were freed must get to the disk before they are written again
  kPins,   // all segments that could be freed are pinned
};

// When a put or a removal is to happen.
struct When {
  enum Kind { kAlways, kAbsent, kPresent, kSequence } kind = kAlways;
  std::uint64_t sequence = 0;  // of the entry, for kSequence; 0: there is none
};

struct Put {
  std::string_view key;
  std::uint64_t hash = 0;
  std::string_view value;
  Extras extras;                 // `first` is found out under the lock
  std::uint16_t flags = 0;       // of kIsPinned, kBlob and kFormatMask
  std::uint64_t blob_bytes = 0;  // with kBlob: of the value; `value` is its Blob
  bool keeps_place = false;
  When when;
  std::uint32_t content = 0;  // of the checksum, extras without `first` included; see Shard::prepare
};

inline constexpr int kShardShift = 58;  // the hash bits above those that the index uses say which shard

// How many entries went: those that were named and had not expired, and all.
struct Removed {
  std::uint64_t named = 0;
  std::uint64_t all = 0;
};

// What a transaction does in one shard.
struct Part {
  struct Read {
    std::string_view key;
    std::uint64_t hash = 0;
    std::uint64_t sequence = 0;  // 0: there was nothing
  };
  struct Write {
    Put put;
    bool removes = false;  // the key, and nothing else of the put counts
  };
  std::vector<Read> reads;
  std::vector<Write> writes;  // of a key at most one
  bool closes = false;        // the transaction's end is written here
  Queue queue = kSmall;       // found by make_room()
};

class Shard;
class FirstItems;  // read.cc

// Which way a list goes. `past` is the place after which (backwards: before which) it begins; 0: at the end.
struct Walk {
  std::uint64_t past = 0;
  bool back = false;
  std::size_t limit = 0;
  const Filter* filter = nullptr;

  // Counts upwards in the list's direction.
  std::uint64_t order(std::uint64_t place) const { return back ? ~place : place; }
  std::uint64_t begin() const { return past == 0 ? 0 : order(past); }
};

// All segments of a shard, held before the first is read: an entry that is moved on meanwhile still lies where it was.
// Who may only read has no pins and holds nothing: what it has seen counts when it was undisturbed to the end.
class HeldSegments {
 public:
  struct One {
    std::uint32_t number;
    std::uint64_t generation;
    std::uint32_t used;  // bytes, when it was held
  };

  HeldSegments(const Shard& shard, std::uint32_t stripe);
  ~HeldSegments();
  HeldSegments(const HeldSegments&) = delete;
  HeldSegments& operator=(const HeldSegments&) = delete;

  // False: one went while the others were being held; let go and begin again.
  bool whole() const { return whole_; }
  bool pinned() const { return pins_ != nullptr; }
  bool undisturbed() const;
  std::vector<One>& segments() { return segments_; }
  const std::vector<One>& segments() const { return segments_; }

 private:
  bool same() const;

  const Shard& shard_;
  Half* pins_ = nullptr;
  std::vector<One> segments_;
  std::vector<std::uint64_t> generations_;  // of all, before the first was held
  bool whole_ = false;
};

class Shard {
 public:
  Shard(std::shared_ptr<Files> files, const Membership& membership, std::uint32_t number, Now now);

  // --- Readers: any thread, no lock (read.cc) ---

  // Nothing here has the hash's tag: what a short look at one bucket can say, which is all that most misses need. The
  // fewer instructions a miss takes, the more of the next one's wait for memory the machine does meanwhile. False: look
  // closer.
  bool surely_absent(std::uint64_t hash) const {
    if (__builtin_expect(state_.switching.load(std::memory_order_acquire) != 0, 0)) return false;
    const std::uint64_t shape = index_.shape();
    const Bucket* const bucket = index_.bucket_at(hash, shape);
    return bucket != nullptr && Slots(bucket).with(Slot::tag(hash)) == 0 &&
           (bucket->meta.load(std::memory_order_acquire) & 0xffffffff) == 0 && index_.shape() == shape;
  }
  // Large: the value lies in a file of its own, see copy_all().
  enum class Got { kMiss, kValue, kLarge };
  Got copy(std::string_view key, std::uint64_t hash, std::uint32_t stripe, std::string& value);
  std::optional<EntryInfo> info(std::string_view key, std::uint64_t hash, bool counts_as_read);
  // All of it, as it was at one moment, without touching statistics or eviction. For those who cannot pin.
  std::optional<Copied> copy_all(std::string_view key, std::uint64_t hash);
  std::optional<Pinned> pin(std::string_view key, std::uint64_t hash, std::uint32_t stripe, bool counts_as_read);
  // Has the record on its way from memory, when its bucket has arrived (Index::prefetch).
  void prefetch(std::uint64_t hash) const;
  void prefetch_bucket(std::uint64_t hash) const { index_.prefetch(hash); }
  // Adds to `items` the shard's live entries on the walk's way, at least the first `limit` of them.
  void collect(const Walk& walk, std::uint32_t stripe, std::vector<Item>& items);

  // --- Those who follow changes: any thread (feed.cc) ---

  // Nobody is in the middle of a change that had begun before the call. False: a process died in it, and who may only
  // read cannot put it right.
  bool seen_free();
  enum class Fed { kAll, kLost, kAgain };
  // Adds the changes with sequences between `after` and `horizon`; the first `limit` of all stay.
  Fed changes(std::uint64_t after, std::uint64_t horizon, std::size_t limit, std::uint32_t stripe,
              std::map<std::uint64_t, ChangeEvent>& events);

  // --- Writers. What they return beside the answer says whether to wait and call again. (write.cc) ---

  // Before put(), outside the lock: hashes the value, and has the bucket and the old record on their way from memory.
  void prepare(Put& put) const;
  // True: written. False: the when did not hold.
  Result<std::pair<Room, bool>> put(const Put& put);
  // Those of `puts` from `next` on that are prepared, under one lock; `next` is where to go on. True: all are written.
  Result<std::pair<Room, bool>> put_many(std::span<const Put* const> puts, std::size_t& next);
  // True: it was there, and the when held. `taken`, if wanted: what it was.
  Result<std::pair<Room, bool>> del(std::string_view key, std::uint64_t hash, const When& when = {},
                                    Taken* taken = nullptr);
  // Removes entries for which `which` holds, a few buckets from `bucket` on under one lock; `bucket` is where to go on.
  // Expired ones, and those whose tag was evicted, go in any case. True: that was the last bucket.
  Result<std::pair<Room, bool>> remove_some(const std::function<bool(const Record&)>& which, std::uint64_t& bucket,
                                            Removed& removed);
  // Of shard 0, which keeps the table of tags for all. See Tags.
  bool evict_tag(std::uint64_t tag, std::uint64_t before);
  bool forget_tags(std::uint64_t swept);
  // A hint may rest on the limits of before.
  void settings_changed();
  // Evicts until the limits are kept; how many went.
  Result<std::uint64_t> shrink();
  Result<std::pair<Room, bool>> touch(std::string_view key, std::uint64_t hash, std::int64_t expires_ms);
  Result<std::pair<Room, std::int64_t>> incr(const Put& fresh, std::int64_t delta);
  Result<std::uint64_t> clear();

  // --- Large values, which lie in files of their own (large.cc) ---

  // Whether an entry, over or not, is the one whose value lies there.
  bool speaks_of(const BlobName& name);
  // Evicts that entry when its turn has come; how many bytes its file has, 0: it stays, or there is none.
  Result<std::pair<Room, std::uint64_t>> evict_blob(const BlobName& name);
  // Reads their files; entries whose file is not what was written go, with `mend`.
  Status check_blobs(bool mend, CheckReport& report);
  // Little is left of what the segments may have.
  bool is_short() const;

  // --- The part of a transaction that lies here (commit.cc). All but settle() between enter() and leave(). ---

  void enter() LARDER_ACQUIRE(lock_);
  void leave() LARDER_RELEASE(lock_);
  // What was read is still so.
  bool unchanged(const Part& part) const LARDER_REQUIRES(lock_);
  // For all of it; kTooLarge: it can never have it.
  Result<Room> make_room(Part& part) LARDER_REQUIRES(lock_);
  // What a transaction that reads or writes here may rest on.
  void rests_on(Ending& ending) const LARDER_REQUIRES(lock_);
  // Notes and writes it where nobody looks; counts what it has written.
  void write(const Part& part, std::uint64_t number, Ending& ending) LARDER_REQUIRES(lock_);
  // Readers wait from here on ...
  void hide() LARDER_REQUIRES(lock_);
  // ... until here. In between the transaction has happened.
  void show() LARDER_REQUIRES(lock_);
  // What the process that had this slot before left half done; before the slot's new owner makes a transaction.
  void settle(std::uint32_t slot);

  // --- The whole ---

  void add_to(Stats& stats) const;
  Status check(bool repair, CheckReport& report);  // check.cc
  // While nobody else has the directory open: makes index and accounts anew from the log. With `doubtful` after a power
  // loss: what is told there is left out, until all shards have told theirs and finish_rebuild() is called.
  // (recovery.cc)
  Status rebuild(Doubtful* doubtful);
  Status finish_rebuild(const Doubtful& doubtful);
  // Sets up a shard of a new cache, all zero bytes so far.
  Status format();
  // Finds what is damaged in the log of a copy, which has no index yet. (recovery.cc)
  void check_copy(CheckReport& report) const;

  // --- For a backup, which has entered all shards at one moment (backup.cc) ---

  // A segment whose records up to `used` count, and which is pinned.
  struct Noted {
    std::uint32_t segment = kNone;
    std::uint32_t used = 0;
    std::uint64_t generation = 0;
    SegmentHeader header{};
  };
  // What has to be copied, each with a kCopyPin in `pins`, and what the copy's ctl says of this shard.
  void note(Half* pins, std::vector<Noted>& noted, ShardState& state) const LARDER_REQUIRES(lock_);
  // Somebody waits until the segment's pins are gone.
  bool is_wanted(const Noted& noted) const {
    return segment(noted.segment).use.load(std::memory_order_relaxed) == kDraining;
  }
  // What was just read from it is what was noted: nobody lost patience and took it.
  bool is_intact(const Noted& noted) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint32_t use = segment(noted.segment).use.load(std::memory_order_acquire);
    const std::uint64_t raised = generations_[noted.segment].load(std::memory_order_acquire) - noted.generation;
    return raised == 0 || (raised == 1 && use == kDraining);
  }

  // Largest record that fits a segment.
  static std::uint64_t record_most(const Geometry& geometry) {
    return geometry.segment_bytes() - sizeof(SegmentHeader);
  }

 private:
  friend class HeldSegments;
  // Holds the lock; repairs the shard first when its last holder died.
  class LARDER_SCOPED_CAPABILITY Guard {
   public:
    explicit Guard(Shard& shard) LARDER_ACQUIRE(shard.lock_) : shard_(shard) {
      if (__builtin_expect(shard.lock_.lock(), 0)) shard.repair();
    }
    ~Guard() LARDER_RELEASE() { shard_.lock_.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Shard& shard_;
  };

  // One change to one entry: a record appended, a slot switched, a record dropped; each may be missing.
  struct Change {
    std::uint32_t append = kNone;  // segment
    std::uint32_t append_bytes = 0;
    bool is_tombstone = false;
    bool is_note = false;
    std::int64_t expires_ms = 0;
    Word* slot = nullptr;
    std::uint64_t slot_value = 0;
    std::uint64_t drop_offset = 0;  // of the entry's record before, 0: none
    std::uint32_t drop_bytes = 0;
    int entries = 0;              // +1, 0, -1
    std::int64_t blob_bytes = 0;  // more of them, or less
  };

  // A place in the log whose segment is this shard's.
  struct Place {
    std::uint32_t segment = kNone;
    std::uint32_t offset = 0;
    char* at = nullptr;
    std::uint32_t room = 0;  // bytes to the segment's end
  };
  std::optional<Place> locate(std::uint64_t offset) const {
    const std::uint64_t number = offset >> shift_;
    const std::uint32_t inside = static_cast<std::uint32_t>(offset & (segment_bytes_ - 1));
    if (__builtin_expect(number - first_ >= count_ || inside < sizeof(SegmentHeader), 0)) return std::nullopt;
    return Place{static_cast<std::uint32_t>(number), inside, log_ + offset, segment_bytes_ - inside};
  }
  std::optional<Record> record_at(std::uint64_t offset) const {
    const std::optional<Place> place = locate(offset);
    return place ? Record::read(place->at, place->room) : std::nullopt;
  }

  // read.cc
  enum class Seen { kMiss, kHit, kBusy };
  template <typename Take>
  Seen visit(std::string_view key, std::uint64_t hash, Take&& take) const;
  template <typename Take>
  bool read(std::string_view key, std::uint64_t hash, Take&& take);
  using SteadyTime = std::chrono::steady_clock::time_point;
  // For who may only read. False: who is in the way since then is dead, or takes far too long.
  bool wait_for_holder(SteadyTime since) const;
  template <typename Take>
  bool read_waiting(std::string_view key, std::uint64_t hash, Take&& take) const;
  void raise_frequency(Word& slot, std::uint64_t word) const;
  EntryInfo info_of(const Record& record) const;
  // Expired, or one of its tags was evicted.
  std::optional<bool> over(const Record& record, const Word& slot, std::uint64_t word) const;
  bool over(const Record& record) const { return now_.past(record.expires_ms) || tags_.evicted(record); }

  // write.cc
  struct Found {
    Word* slot = nullptr;
    std::uint64_t word = 0;
    Record record;
  };
  std::optional<Found> find(std::string_view key, std::uint64_t hash) const;  // under the lock
  std::uint64_t generation_of(const Found& found) const;
  // A put of the same entry with another value.
  static Put like(const Record& record, std::string_view key, std::uint64_t hash, std::string_view value);
  bool holds(const When& when, const std::optional<Found>& old) const;
  Result<std::pair<Room, bool>> put_within(const Put& put) LARDER_REQUIRES(lock_);
  Result<bool> put_locked(const Put& put, Queue queue, const std::optional<Found>& old) LARDER_REQUIRES(lock_);
  // Removes the entry; a tombstone is left where an older record may come back without it.
  void remove(const Found& found, std::uint64_t tombstone_sequence, std::uint32_t tombstone_segment)
      LARDER_REQUIRES(lock_);
  // For a key that is not in the index.
  void leave_tombstone(std::string_view key, std::uint64_t sequence, std::uint32_t segment) LARDER_REQUIRES(lock_);
  // Writes a record after the end of the queue's segment, which must have room; where it begins.
  std::uint64_t append(std::uint32_t segment, RecordHead head, std::uint32_t content, const Extras& extras,
                       std::string_view key, std::string_view value) LARDER_REQUIRES(lock_);
  // The same record in another segment.
  std::uint64_t append_again(std::uint32_t segment, const Record& record, std::uint64_t generation)
      LARDER_REQUIRES(lock_);
  void commit(const Change& change) LARDER_REQUIRES(lock_);
  void apply_redo() LARDER_REQUIRES(lock_);
  void repair() LARDER_REQUIRES(lock_);
  void clear_locked() LARDER_REQUIRES(lock_);
  std::uint64_t next_sequence() { return files_->globals().sequence.fetch_add(1, std::memory_order_relaxed); }

  static std::uint64_t bytes_most(const Put& put);
  static std::uint64_t tombstone_bytes(std::size_t key_size);
  // Of the put's record, but for sequence and time.
  RecordHead head_of(const Put& put, const std::optional<Found>& old, Extras& extras, std::uint32_t& content) const
      LARDER_REQUIRES(lock_);
  // The same at any place; where it begins.
  std::uint64_t write_record(std::uint32_t segment, std::uint32_t at, RecordHead head, std::uint32_t content,
                             const Extras& extras, std::string_view key, std::string_view value) LARDER_REQUIRES(lock_);

  // commit.cc
  std::uint64_t write_ending(std::uint32_t number, std::uint32_t at, std::uint64_t transaction, const Ending& ending)
      LARDER_REQUIRES(lock_);
  // Before a record of it gets there.
  void note_transaction(std::uint32_t number, std::uint64_t transaction) LARDER_REQUIRES(lock_);
  // Makes the noted records entries, as far as they are not. `suspect`: they are bytes like any other.
  void carry_out(bool suspect) LARDER_REQUIRES(lock_);
  void blot_out() LARDER_REQUIRES(lock_);
  void forget_transaction() LARDER_REQUIRES(lock_);
  void repair_transaction() LARDER_REQUIRES(lock_);

  // large.cc
  std::optional<Found> find_blob(const BlobName& name) const;
  // Notes in `change` that this record goes ...
  void count_blob_off(Change& change, const Record& record) const;
  // ... and after the change, that its file may follow.
  void drop_blob(const Record& record, std::uint64_t hash, std::uint64_t successor = 0) LARDER_REQUIRES(lock_);
  // Its file is there, as long as it should be; and what was written, if `verify`.
  bool blob_is_there(const Record& record, bool verify) const;

  // feed.cc
  // Before a record with this sequence goes and nothing is left that tells of the change.
  void raise_feed_floor(std::uint64_t sequence) LARDER_REQUIRES(lock_);

  // room.cc
  enum class Need { kEntry, kPinned, kTombstone, kMoving };
  Result<Room> reserve(Queue queue, std::uint64_t bytes, Need need = Need::kEntry) LARDER_REQUIRES(lock_);
  Queue queue_for(std::uint64_t hash) const LARDER_REQUIRES(lock_);
  std::uint32_t active(Queue queue) const;
  std::uint32_t take_free(Need need) LARDER_REQUIRES(lock_);
  void open_segment(Queue queue, std::uint32_t segment) LARDER_REQUIRES(lock_);
  Status make_ready(std::uint32_t segment, std::uint64_t end) LARDER_REQUIRES(lock_);
  enum class Progress { kSome, kDone, kNothing, kStuck };
  Progress evict_step(std::uint64_t budget) LARDER_REQUIRES(lock_);
  std::uint64_t call_ahead(std::uint64_t base, std::uint64_t offset, std::uint64_t end) const;
  // Of those with at most such pins.
  enum class Pins { kUnpinned, kOfCopies, kAny };
  bool choose_victim(Pins most) LARDER_REQUIRES(lock_);
  void choose_for_reuse() LARDER_REQUIRES(lock_);
  void begin(std::uint32_t victim, bool move_all) LARDER_REQUIRES(lock_);
  // What was moved on from the victim must get to the disk before the victim can go.
  bool victim_waits() const LARDER_REQUIRES(lock_);
  bool has_new_transaction(const SegmentState& at) const;
  // Entries are being taken out of the index whose records are not gone yet: a key that is not here may come back
  // unless its change says so.
  bool fading() const LARDER_REQUIRES(lock_);
  bool deserves_to_stay(const Record& record, std::uint64_t frequency, std::uint64_t hash) LARDER_REQUIRES(lock_);
  bool deal_with(std::uint32_t victim, const Record& record, std::uint64_t offset) LARDER_REQUIRES(lock_);
  bool move_on(const Record& record, std::uint64_t hash, Word* slot, std::uint64_t frequency, std::uint64_t offset)
      LARDER_REQUIRES(lock_);
  bool room_for_moving(Queue queue, std::uint64_t bytes) LARDER_REQUIRES(lock_);
  void retire(std::uint32_t victim) LARDER_REQUIRES(lock_);
  void sweep() LARDER_REQUIRES(lock_);
  void drop_all_in(std::uint32_t victim) LARDER_REQUIRES(lock_);
  void free_segment(std::uint32_t segment) LARDER_REQUIRES(lock_);
  Pins pins(std::uint32_t segment) const;
  bool draining() const;
  bool gone(const SegmentState& segment) const;
  bool some_wait_for_disk() const;
  bool older_may_exist(std::uint64_t sequence, std::uint32_t except) const;
  std::uint32_t allowed_segments() const;
  std::uint32_t pinned_segments() const;
  std::uint64_t entries_most() const;
  // Makes room among the entries: until there are no more than `most`.
  Result<Room> evict_entries(std::uint64_t most) LARDER_REQUIRES(lock_);
  // Where this process goes on looking for one to evict.
  struct Hand {
    std::uint32_t segment = kNone;
    std::uint32_t offset = 0;
    std::uint64_t generation = 0;
    std::uint64_t opened = 0;
  };
  Hand next_for_hand() const LARDER_REQUIRES(lock_);
  Hand hand_ LARDER_GUARDED_BY(lock_);
  std::uint32_t segments_with(SegmentUse from) const;  // in this state of use or a later one
  void recount_spare() LARDER_REQUIRES(lock_);
  void remember_ghost(std::uint64_t hash) LARDER_REQUIRES(lock_);
  bool is_ghost(std::uint64_t hash) const;

  // recovery.cc
  struct Scanned {
    struct Stretch {
      std::uint32_t begin = 0;
      std::uint32_t end = 0;
    };
    std::uint32_t end = 0;         // of the last whole record
    std::vector<Stretch> damaged;  // before that
    bool gave_up = false;          // too much seemed to be records; what lies behind `end` is zero now
  };
  // Walks the whole records of a segment, whatever lies between them; damage is covered with filler when `mend`.
  template <typename Use>
  Scanned scan(std::uint32_t segment, std::uint32_t end, bool mend, Use&& use) const;
  bool whole(const Record& record, std::uint64_t generation) const;
  bool whole(const Record& record, std::uint64_t generation, std::uint64_t hash) const;
  // A sentence for each record that a scan up to `limit` found damaged, with its key where that can be told.
  std::vector<std::string> damage(std::uint32_t segment, std::uint32_t limit, const Scanned& scanned) const;
  // From the segments that are in use now; or, after a power loss, from all that have a right header.
  Status rebuild_locked(bool after_power_loss, Doubtful* doubtful) LARDER_REQUIRES(lock_);
  Status enter_found(const Record& record, std::uint64_t offset, std::uint64_t hash) LARDER_REQUIRES(lock_);
  bool doubt(const Record& record, std::uint64_t offset, Doubtful* doubtful) LARDER_REQUIRES(lock_);
  void cover(const Record& record) const LARDER_REQUIRES(lock_);
  void account_one(const RecordHead& head, std::uint64_t offset, bool comes) LARDER_REQUIRES(lock_);
  void account_for_found(bool after_power_loss) LARDER_REQUIRES(lock_);
  void write_segment_header(std::uint32_t segment, Queue queue, std::uint64_t opened) const;
  std::optional<SegmentHeader> segment_header(std::uint32_t segment) const;

  SegmentState& segment(std::uint32_t i) const { return segments_[i]; }
  // Durability::kNone: nothing waits for the disk.
  bool unordered() const { return durability_.load(std::memory_order_relaxed) == 0; }
  bool mine(std::uint32_t i) const { return i >= first_ && i < first_ + count_; }
  std::uint64_t key_hash(std::string_view key) const { return hash64(key, seed_); }

  // Set at construction.
  const std::shared_ptr<Files> files_;
  const Membership& membership_;
  const std::uint32_t number_;
  const Now now_;
  ShardState& state_;
  Word* const generations_;
  SegmentState* const segments_;
  char* const log_;
  const std::uint32_t shift_;
  const std::uint32_t segment_bytes_;
  const std::uint32_t first_;  // of our segments
  const std::uint32_t count_;
  const std::uint64_t seed_;
  const Half& durability_;
  Tags tags_;
  Index index_;
  ShardLock lock_;

  // Of this process: how far each segment's pages have been touched, for which generation.
  struct Populated {
    std::uint64_t generation = ~std::uint64_t{0};
    std::uint64_t end = 0;
  };
  std::vector<Populated> populated_ LARDER_GUARDED_BY(lock_);
  // Of this process: what entries cost of late that came up for eviction, of those with a cost.
  double usual_cost_ LARDER_GUARDED_BY(lock_) = 0;
  bool gained_little_ LARDER_GUARDED_BY(lock_) = false;  // nearly all of the last victim deserved to stay
  // Of this process: a segment that waits for a copy to let go of it.
  struct Waiting {
    std::uint32_t segment = kNone;
    std::uint64_t generation = 0;
    std::chrono::steady_clock::time_point since;
  };
  std::optional<Waiting> waiting_ LARDER_GUARDED_BY(lock_);
  // While the index is made anew: what was found.
  struct InLog {
    std::uint64_t keys = 0;
    std::uint64_t entries = 0;
    std::vector<std::uint32_t> live;     // bytes of values, by segment
    std::vector<std::uint64_t> doubted;  // where records of transactions lie that may not be whole
  };
  InLog found_ LARDER_GUARDED_BY(lock_);

  // For collect(). False: what it saw is not whole, since entries were moved meanwhile.
  bool collect_first(const Walk& walk, std::uint32_t stripe, FirstItems& first);

  // Of this process: which places lie in a segment, when it was last walked by collect(), so that the next page of a
  // list passes by what it cannot need. Under walked_mutex_, which nobody waits for: without it a page is only slower.
  struct Walked {
    std::uint64_t generation = ~std::uint64_t{0};
    std::uint32_t used = 0;
    std::uint64_t least = 0;
    std::uint64_t most = 0;
  };
  std::vector<Walked> walked_;
  std::mutex walked_mutex_;

  // Of this process: the last sequence in a segment, when its changes were last read. As above.
  struct Followed {
    std::uint64_t generation = ~std::uint64_t{0};
    std::uint32_t used = 0;
    std::uint64_t most = 0;
  };
  std::vector<Followed> followed_;
  std::mutex followed_mutex_;

 public:
  // Raised when a segment was freed, for the flusher: freed segments are written again once they are on the disk.
  std::atomic<bool> freed{false};
};

}  // namespace larder::engine
