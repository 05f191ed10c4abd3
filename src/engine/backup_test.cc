// Copies of a cache: whole, of one moment, while others write; and caches from them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "engine/layout.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_files.h"
#include "engine/test_process.h"

namespace larder {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t kLimit = 16 << 20;

std::string get(const Cache& cache, const std::string& key) {
  std::string value = "-";
  cache.get(key, value);
  return value;
}

// Everything, as "a=1 b=2 ".
std::string all(const Cache& cache) {
  std::string text;
  for (const Item& item : cache.list()) text += item.key + "=" + get(cache, item.key) + " ";
  return text;
}

class BackupTest : public ::testing::Test {
 protected:
  Cache open(const std::filesystem::path& path, bool create = false) {
    return Cache::open(path, {.size_limit_bytes = kLimit,
                              .shards = 4,
                              .durability = Durability::kNone,
                              .create = create,
                              .clock = &clock_})
        .value();
  }
  void put(const std::string& key, const std::string& value, const SetOptions& options = {}) {
    cache_.set(key, value, options).value();
  }
  // Nothing is left of a backup that came to nothing.
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      names.push_back(entry.path().filename());
    return names;
  }

  engine::TestDirectory directory_;
  const std::filesystem::path from_ = directory_.path() / "cache";
  const std::filesystem::path to_ = directory_.path() / "copy";
  const std::filesystem::path new_ = directory_.path() / "new";
  ManualClock clock_;
  Cache cache_ = open(from_, true);
};

TEST_F(BackupTest, HasEverything) {
  put("a", "old");
  put("b", "2", {.cost = 7, .format = 3, .pinned = true});
  put("a", "1");
  put("gone", "x");
  cache_.del("gone").value();
  put("timed", "3", {.ttl_ms = 100});
  put("tagged", "4", {.tags = {"red"}});
  put("evicted", "5", {.tags = {"blue"}});
  put("large", std::string(50'000, 'l'));
  cache_.evict({.tag = "blue"}).value();
  cache_.change({.entry_limit = 12'345}).value();
  const auto before = cache_.list();
  cache_.backup(to_).value();

  const Cache copy = open(to_);
  EXPECT_THAT(const_cast<Cache&>(copy).check().value().findings, IsEmpty());
  const auto after = copy.list();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::string& key = before[i].key;
    EXPECT_EQ(after[i].key, key);
    EXPECT_EQ(after[i].tags, before[i].tags) << key;
    EXPECT_EQ(after[i].info.sequence, before[i].info.sequence) << key;
    EXPECT_EQ(after[i].info.expires_ms, before[i].info.expires_ms) << key;
    EXPECT_EQ(after[i].info.cost, before[i].info.cost) << key;
    EXPECT_EQ(after[i].info.format, before[i].info.format) << key;
    EXPECT_EQ(after[i].info.pinned, before[i].info.pinned) << key;
    EXPECT_EQ(get(copy, key), get(cache_, key)) << key;
  }
  EXPECT_EQ(get(copy, "evicted"), "-");
  EXPECT_EQ(copy.options().entry_limit, 12'345u);
  EXPECT_EQ(copy.options().durability, Durability::kNone);
  EXPECT_EQ(copy.stats().size_limit_bytes, kLimit);
}

TEST_F(BackupTest, HasWhatLiesInFilesOfItsOwn) {
  std::string large(1'000'000, 'l');
  for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>('a' + i / 1000 % 26);
  put("large", large);
  put("old", large + "old");
  put("old", large + "new");
  cache_
      .backup(to_,
              [&](std::uint64_t, std::uint64_t) {
                if (cache_.contains("large")) cache_.del("large").value();
                return cache_.flush().ok();
              })
      .value();
  EXPECT_EQ(get(open(to_), "large"), large);
  EXPECT_EQ(get(open(to_), "old"), large + "new");
  EXPECT_THAT(Cache::restore(to_, new_).value().findings, IsEmpty());
  EXPECT_EQ(get(open(new_), "large"), large);
  EXPECT_FALSE(cache_.contains("large"));
}

TEST_F(BackupTest, KnowsWhichTagsWereEvicted) {
  put("a", "1", {.tags = {"red"}});
  cache_.evict_tag("red").value();  // its record is still there, dead by its tag alone
  put("b", "2", {.tags = {"red"}});
  cache_.backup(to_).value();
  EXPECT_EQ(all(open(to_)), "b=2 ");
}

TEST_F(BackupTest, IsOfTheMomentAtWhichItBegan) {
  for (int i = 0; i < 200; ++i) put("key" + std::to_string(i), std::string(20'000, 'a'));
  put("gone", "x");
  cache_.del("gone").value();
  const std::string before = all(cache_);
  int calls = 0;
  cache_
      .backup(to_,
              [&](std::uint64_t done, std::uint64_t whole) {
                EXPECT_LE(done, whole);
                EXPECT_FALSE(std::filesystem::exists(to_));
                if (calls++ == 0) {
                  // Nothing of this is in the copy, and nothing of what it removes is missing there.
                  put("late", "1");
                  put("key7", "changed");
                  cache_.del("key8").value();
                  put("key9", "gone at once", {.ttl_ms = 1});
                }
                if (calls == 2) cache_.clear().value();
                return true;
              })
      .value();
  EXPECT_GT(calls, 3);
  EXPECT_EQ(all(cache_), "");
  Cache copy = open(to_);
  EXPECT_EQ(all(copy), before);
  EXPECT_THAT(copy.check().value().findings, IsEmpty());
}

TEST_F(BackupTest, ForgetsWhatWasCleared) {
  put("a", "1");
  cache_.clear().value();
  put("b", "2");
  cache_.backup(to_).value();
  EXPECT_EQ(all(open(to_)), "b=2 ");
}

TEST_F(BackupTest, LetsGoOfItsPins) {
  const std::string value(4000, 'v');
  for (int i = 0; i < 2000; ++i) put("key" + std::to_string(i), value);
  cache_.backup(to_).value();
  // Every segment can be written again.
  for (int i = 0; i < 20'000; ++i) put("other" + std::to_string(i), value);
  EXPECT_THAT(cache_.check().value().findings, IsEmpty());
}

// Which segments of the copy that is being made in `part` have a header by now.
class Parts {
 public:
  explicit Parts(std::filesystem::path cache) : cache_(std::move(cache)) {
    const std::string head = engine::read_bytes(cache_ / "ctl", 0, sizeof(engine::Superblock));
    engine::Superblock superblock{};
    std::memcpy(&superblock, head.data(), sizeof(superblock));
    geometry_ = {superblock.capacity_bytes, superblock.shards, superblock.segment_shift};
  }

  const engine::Geometry& geometry() const { return geometry_; }
  // When each was opened, in the order in which they came; called after each step of the copying.
  const std::vector<std::uint64_t>& look() {
    for (const auto& entry : std::filesystem::directory_iterator(cache_.parent_path())) {
      if (entry.path().string().find(".part-") == std::string::npos) continue;
      for (std::uint32_t i = 0; i < geometry_.segments(); ++i) {
        const engine::SegmentHeader header = header_of(entry.path() / "log", i);
        if (header.magic != engine::kSegmentMagic || seen_.count(i) != 0) continue;
        seen_.insert(i);
        opened_.push_back(header.opened);
      }
    }
    return opened_;
  }
  // The oldest segment of the cache, and when a segment of it was opened.
  std::uint32_t oldest() const {
    std::uint32_t found = 0;
    for (std::uint32_t i = 1; i < geometry_.segments(); ++i) {
      if (opened(i) != 0 && opened(i) < opened(found)) found = i;
    }
    return found;
  }
  std::uint64_t opened(std::uint32_t segment) const { return header_of(cache_ / "log", segment).opened; }
  // When those were opened that somebody waits for.
  std::set<std::uint64_t> wanted() const {
    std::set<std::uint64_t> opened;
    for (std::uint32_t i = 0; i < geometry_.segments(); ++i) {
      const std::string bytes = engine::read_bytes(
          cache_ / "ctl", geometry_.segments_at() + sizeof(engine::SegmentState) * i, sizeof(engine::SegmentState));
      std::uint32_t use = 0;
      std::memcpy(&use, bytes.data(), sizeof(use));
      if (use == engine::kDraining) opened.insert(header_of(cache_ / "log", i).opened);
    }
    return opened;
  }

 private:
  engine::SegmentHeader header_of(const std::filesystem::path& log, std::uint32_t segment) const {
    const std::string bytes =
        engine::read_bytes(log, std::uint64_t{segment} << geometry_.segment_shift, sizeof(engine::SegmentHeader));
    engine::SegmentHeader header{};
    std::memcpy(&header, bytes.data(), bytes.size());
    return header;
  }

  const std::filesystem::path cache_;
  engine::Geometry geometry_;
  std::set<std::uint32_t> seen_;
  std::vector<std::uint64_t> opened_;
};

TEST_F(BackupTest, CopiesTheOldestFirst) {
  for (int i = 0; i < 20'000; ++i) put("key" + std::to_string(i % 3000), std::string(4000, 'v'));
  Parts parts(from_);
  cache_.backup(to_, [&](std::uint64_t, std::uint64_t) { return !parts.look().empty(); }).value();
  EXPECT_THAT(parts.look(), SizeIs(::testing::Gt(50u)));
  EXPECT_TRUE(std::is_sorted(parts.look().begin(), parts.look().end()));
}

TEST_F(BackupTest, CopiesFirstWhatAWriterWaitsFor) {
  cache_ = Cache::open(directory_.path() / "full",
                       {.size_limit_bytes = kLimit, .shards = 1, .durability = Durability::kNone, .clock = &clock_})
               .value();
  const std::string value(6000, 'v');
  for (int i = 0; i < 6000; ++i) put("key" + std::to_string(i), value);
  const std::vector<Item> items = cache_.list(0, 100'000);
  Parts parts(directory_.path() / "full");
  std::atomic<bool> written{false};
  std::optional<std::thread> writer;
  std::set<std::uint64_t> wanted;
  std::size_t before = 0;
  const auto progress = [&](std::uint64_t, std::uint64_t) {
    before = std::max(before, parts.look().size());
    if (writer) return true;
    writer.emplace([&] {
      // Nothing lives in some segments in the middle, so that these are the next to be freed.
      for (std::size_t i = items.size() / 2; i < items.size() / 2 + 100; ++i) cache_.del(items[i].key).value();
      for (int i = 0; i < 200; ++i) put("late" + std::to_string(i), value);
      written = true;
    });
    for (int i = 0; i < 10'000 && (wanted = parts.wanted()).empty() && !written; ++i) ::usleep(1000);
    return true;
  };
  cache_.backup(to_, progress).value();
  writer->join();
  ASSERT_FALSE(wanted.empty()) << "nobody had to wait";
  const std::vector<std::uint64_t> order = parts.look();
  ASSERT_GT(order.size(), 20u);
  EXPECT_EQ(wanted.count(order[1]), 1u) << order[1];
  EXPECT_GT(std::count_if(order.begin() + 2, order.end(), [&](std::uint64_t opened) { return opened < order[1]; }), 10);
}

TEST_F(BackupTest, ChangesNothingAboutWhatIsEvicted) {
  const std::string value(4000, 'v');
  const auto overwrite = [&] {
    for (int i = 0; i < 500; ++i) put("key" + std::to_string(i), value);
  };
  for (int i = 0; i < 20; ++i) overwrite();  // most of it is garbage
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done) overwrite();
  });
  for (int i = 0; i < 3; ++i) {
    cache_
        .backup(directory_.path() / ("copy" + std::to_string(i)),
                [](std::uint64_t, std::uint64_t) {
                  ::usleep(1000);
                  return true;
                })
        .value();
  }
  done = true;
  writer.join();
  EXPECT_EQ(cache_.stats().evictions, 0u);
}

// Calls `work` once, when the copying comes to this step, in its thread.
class OnceAt {
 public:
  OnceAt(engine::Step step, std::function<void()> work) : step_(step), work_(std::move(work)) {
    now = this;
    engine::step_hook.store([](engine::Step at) { now->stepped(at); });
  }
  ~OnceAt() {
    engine::step_hook.store(nullptr);
    EXPECT_TRUE(done_) << "the copying never came there";
  }
  OnceAt(const OnceAt&) = delete;
  OnceAt& operator=(const OnceAt&) = delete;

 private:
  void stepped(engine::Step at) {
    if (at == step_ && !done_.exchange(true)) work_();
  }

  inline static OnceAt* now = nullptr;
  const engine::Step step_;
  const std::function<void()> work_;
  std::atomic<bool> done_{false};
};

TEST_F(BackupTest, NoticesThatASegmentWasTakenBeforeItWasRead) {
  const std::filesystem::path full = directory_.path() / "full";
  cache_ = Cache::open(full, {.size_limit_bytes = kLimit,
                              .shards = 1,
                              .durability = Durability::kNone,
                              .policy = Policy::kLeastRecentlyStored,
                              .clock = &clock_})
               .value();
  const std::string value(4000, 'v');
  for (int i = 0; i < 6000; ++i) put("key" + std::to_string(i), value);
  const Parts parts(full);
  const std::uint32_t oldest = parts.oldest();  // is read first, and freed first
  const std::uint64_t opened = parts.opened(oldest);
  bool taken = false;
  const OnceAt stuck(engine::Step::kBackupNext, [&] {
    // Until it has been filled with something else.
    for (int i = 0; i < 1000 && !taken; ++i) {
      put("late" + std::to_string(i), value);
      taken = parts.opened(oldest) > opened;
    }
    for (int i = 0; i < 20; ++i) put("later" + std::to_string(i), value);
  });
  const Status copied = cache_.backup(to_);
  ASSERT_TRUE(taken);
  ASSERT_FALSE(copied.ok());
  EXPECT_EQ(copied.error().code, Code::kUnavailable);
  EXPECT_THAT(names(), UnorderedElementsAre("cache", "full"));
}

// Whoever drops an entry while the copy is made, and even if he dies: its file stays until it was copied.
TEST_F(BackupTest, FilesThatAreDroppedMeanwhileAreInTheCopy) {
  const auto value_of = [](const std::string& key) {
    std::string value(400'000, 'l');
    for (std::size_t i = 0; i + 20 < value.size(); i += 1000) value.replace(i, key.size(), key);
    return value;
  };
  const std::vector<std::string> keys = {"deleted", "replaced", "evicted", "of the dead", "stays"};
  for (const std::string& key : keys) put(key, value_of(key), {.tags = {key}});
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(from_ / "blobs"), std::filesystem::directory_iterator());
  };
  {
    const OnceAt meanwhile(engine::Step::kBackupNext, [&] {
      cache_.del("deleted").value();
      put("replaced", "small");
      cache_.evict({.tag = "evicted"}).value();
      EXPECT_EQ(engine::in_child([&] {
                  Cache mine = open(from_);
                  mine.del("of the dead").value();
                  ::kill(::getpid(), SIGKILL);
                  return 0;
                }),
                -SIGKILL);
      cache_.flush().value();
      cache_.cull().value();
      EXPECT_EQ(files(), 5);
    });
    cache_.backup(to_).value();
  }
  Cache copy = open(to_);
  EXPECT_THAT(copy.check().value().findings, IsEmpty());
  for (const std::string& key : keys) EXPECT_EQ(get(copy, key), value_of(key)) << key;
  // Nobody needs them any more.
  cache_.flush().value();
  cache_.cull().value();
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(get(cache_, "stays"), value_of("stays"));
}

// Else one could be dropped between the look at the entries and the promise.
TEST_F(BackupTest, KeepsFilesBeforeItLooksAtEntries) {
  put("a", "1");
  const engine::Geometry geometry = Parts(from_).geometry();
  std::uint64_t kept = 0;
  {
    const OnceAt held(engine::Step::kBackupHeld, [&] {
      const std::string bytes = engine::read_bytes(
          from_ / "ctl", geometry.processes_at() + offsetof(engine::ProcessSlot, keeps_blobs), sizeof(kept));
      std::memcpy(&kept, bytes.data(), sizeof(kept));
    });
    cache_.backup(to_).value();
  }
  EXPECT_EQ(kept, 1u);
}

// A copy that does not get on lets go of no pin: those who wait lose their patience, and it fails.
TEST_F(BackupTest, HoldsNobodyUpForLong) {
  const std::string value(4000, 'v');
  for (int i = 0; i < 6000; ++i) put("key" + std::to_string(i), value);
  bool written = false;
  const Status slow = cache_.backup(to_, [&](std::uint64_t, std::uint64_t) {
    if (written) return true;
    std::thread([&] {
      for (int i = 0; i < 400; ++i) put("late" + std::to_string(i), value);
    }).join();
    return written = true;
  });
  ASSERT_FALSE(slow.ok());
  EXPECT_EQ(slow.error().code, Code::kUnavailable);
  EXPECT_THAT(names(), ElementsAre("cache"));
  EXPECT_THAT(cache_.check().value().findings, IsEmpty());
  cache_.backup(to_).value();
  EXPECT_THAT(open(to_).check().value().findings, IsEmpty());
}

TEST_F(BackupTest, MayBeStopped) {
  for (int i = 0; i < 2000; ++i) put("key" + std::to_string(i), std::string(4000, 'v'));
  int calls = 0;
  const Status stopped = cache_.backup(to_, [&](std::uint64_t, std::uint64_t) { return ++calls < 3; });
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_EQ(calls, 3);
  EXPECT_THAT(names(), ElementsAre("cache"));
  for (int i = 0; i < 20'000; ++i) put("other" + std::to_string(i), std::string(4000, 'v'));  // no pins are left
  cache_.backup(to_).value();
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  EXPECT_EQ(Cache::restore(to_, new_, stop).error().code, Code::kCancelled);
  EXPECT_THAT(names(), UnorderedElementsAre("cache", "copy"));
}

TEST_F(BackupTest, RemovesWhatTheDeadLeftAndNothingElse) {
  put("a", "1");
  const std::filesystem::path parent = directory_.path();
  for (const char* name :
       {"copy.part-1-0", "copy.part-1-1", "copy.part-1-2", "copy.part-mine", "copy.part-1-3", "other.part-1-0"})
    std::filesystem::create_directory(parent / name);
  std::ofstream(parent / "copy.part-1-1" / "log") << "half";
  std::ofstream(parent / "copy.part-1-2" / "ctl") << "half";
  std::ofstream(parent / "copy.part-1-3" / "diary") << "mine";
  // One that is being made.
  bool inner = false;
  cache_
      .backup(to_,
              [&](std::uint64_t, std::uint64_t) {
                if (!inner) cache_.backup(to_).value();
                inner = true;
                return true;
              })
      .error();
  EXPECT_THAT(names(), UnorderedElementsAre("cache", "copy", "copy.part-mine", "copy.part-1-3", "other.part-1-0"));
  EXPECT_TRUE(inner);
  EXPECT_EQ(all(open(to_)), "a=1 ");
}

TEST_F(BackupTest, TakesNoPlaceThatIsTaken) {
  put("a", "1");
  std::filesystem::create_directory(to_);
  std::ofstream(to_ / "mine") << "mine";
  const Status refused = cache_.backup(to_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kExists);
  EXPECT_THAT(refused.error().message, HasSubstr(to_.string()));
  std::filesystem::remove(to_ / "mine");
  cache_.backup(to_).value();  // an empty directory
  EXPECT_EQ(cache_.backup(to_).error().code, Code::kExists);
  EXPECT_EQ(cache_.backup(from_ / "inside").error().code, Code::kInvalid);
  EXPECT_EQ(cache_.backup(from_).error().code, Code::kInvalid);
  EXPECT_EQ(all(open(to_)), "a=1 ");
  EXPECT_THAT(names(), SizeIs(2));
}

TEST_F(BackupTest, LeavesNothingWhenItFails) {
  put("a", "1");
  std::ofstream(directory_.path() / "file") << "no directory";
  EXPECT_FALSE(cache_.backup(directory_.path() / "file" / "copy").ok());
  // Somebody takes the name while the copy is made.
  const Status refused = cache_.backup(to_, [&](std::uint64_t, std::uint64_t) {
    std::filesystem::create_directory(to_);
    std::ofstream(to_ / "mine") << "mine";
    return true;
  });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kExists);
  EXPECT_THAT(names(), UnorderedElementsAre("cache", "copy", "file"));
}

TEST_F(BackupTest, NeedsAWriter) {
  put("a", "1");
  Cache reader = Cache::open(from_, {.read_only = true}).value();
  EXPECT_EQ(reader.backup(to_).error().code, Code::kDenied);
}

// --- Restoring -------------------------------------------------------------------------------------------------------

TEST_F(BackupTest, IsRestored) {
  for (int i = 0; i < 300; ++i) put("key" + std::to_string(i), std::string(10'000, static_cast<char>('a' + i % 26)));
  cache_.evict({.prefix = "key1"}).value();
  cache_.backup(to_).value();
  const std::string log = engine::read_bytes(to_ / "log", 0, 1 << 20);
  std::uint64_t last = 0;
  const CheckReport report = Cache::restore(to_, new_, [&](std::uint64_t done, std::uint64_t whole) {
                               EXPECT_LE(done, whole);
                               EXPECT_GE(done, last);
                               last = done;
                               return true;
                             }).value();
  EXPECT_GT(last, 0u);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.entries, cache_.stats().entries);
  EXPECT_EQ(all(open(new_)), all(cache_));
  // Closed cleanly, so that it may be read by who may not write.
  EXPECT_TRUE(Cache::open(new_, {.read_only = true}).ok());
  // The backup is as it was, and may be restored again.
  EXPECT_EQ(engine::read_bytes(to_ / "log", 0, 1 << 20), log);
  EXPECT_EQ(Cache::restore(to_, new_).error().code, Code::kExists);
  EXPECT_THAT(Cache::restore(to_, directory_.path() / "again").value().findings, IsEmpty());
  EXPECT_EQ(all(open(directory_.path() / "again")), all(cache_));
}

TEST_F(BackupTest, IsRestoredFromAnyCacheThatNobodyHasOpen) {
  put("a", "1");
  EXPECT_EQ(Cache::restore(from_, new_).error().code, Code::kUnavailable);
  cache_ = open(directory_.path() / "other", true);
  EXPECT_THAT(Cache::restore(from_, new_).value().findings, IsEmpty());
  EXPECT_EQ(all(open(new_)), "a=1 ");
  EXPECT_EQ(all(open(from_)), "a=1 ");
  EXPECT_EQ(Cache::restore(directory_.path() / "none", directory_.path() / "x").error().code, Code::kNotFound);
  EXPECT_EQ(Cache::restore(directory_.path(), directory_.path() / "x").error().code, Code::kNotFound);
}

TEST_F(BackupTest, LeavesOutWhatIsDamagedAndSaysWhat) {
  put("a", "first value");
  put("b\n", "second value");
  put("c", "third value");
  cache_.backup(to_).value();
  const std::string log = engine::read_bytes(to_ / "log", 0, std::filesystem::file_size(to_ / "log"));
  engine::write_bytes(to_ / "log", log.find("second value"), "SECOND");
  const CheckReport report = Cache::restore(to_, new_).value();
  ASSERT_THAT(report.findings, SizeIs(1));
  EXPECT_THAT(report.findings[0], AllOf(HasSubstr((to_ / "log").string() + ": damaged record in segment"),
                                        HasSubstr("looks like that of key 'b\\x0a'")));
  EXPECT_EQ(report.repaired, 1u);
  EXPECT_EQ(all(open(new_)), "a=first value c=third value ");

  // A segment's header.
  const std::size_t segment = log.find("first value") / (128 * 1024) * (128 * 1024);
  engine::write_bytes(to_ / "log", segment + 16, "damage!!");
  const CheckReport worse = Cache::restore(to_, directory_.path() / "worse").value();
  EXPECT_THAT(worse.findings, ::testing::Contains(HasSubstr("its header is damaged")));
  EXPECT_EQ(get(open(directory_.path() / "worse"), "a"), "-");

  // A log that was cut.
  std::filesystem::resize_file(to_ / "log", 1000);
  EXPECT_EQ(Cache::restore(to_, directory_.path() / "cut").error().code, Code::kCorrupt);
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "cut"));
}

// Several side by side are told apart, and so is damage that was there before the backup.
TEST_F(BackupTest, SaysEachEntryThatWasDamagedBefore) {
  cache_ = Cache::open(directory_.path() / "one", {.size_limit_bytes = kLimit, .shards = 1, .clock = &clock_}).value();
  for (const char* key : {"a", "b", "c", "d"}) put(key, std::string("value of ") + key);
  cache_.flush().value();
  const std::filesystem::path log = directory_.path() / "one" / "log";
  const std::string bytes = engine::read_bytes(log, 0, std::filesystem::file_size(log));
  for (const char* value : {"value of b", "value of c"}) engine::write_bytes(log, bytes.find(value), "VALUE");
  const std::vector<std::string> found = cache_.check().value().findings;
  ASSERT_THAT(found, SizeIs(::testing::Ge(2u)));
  EXPECT_THAT(found[0], HasSubstr("key 'b'"));
  EXPECT_THAT(found[1], HasSubstr("key 'c'"));
  cache_.backup(to_).value();
  const CheckReport report = Cache::restore(to_, new_).value();
  EXPECT_THAT(report.findings, ElementsAre(HasSubstr("key 'b'"), HasSubstr("key 'c'")));
  EXPECT_EQ(all(open(new_)), "a=value of a d=value of d ");
}

}  // namespace
}  // namespace larder
