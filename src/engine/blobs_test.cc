// Large values, in files of their own: written, read, dropped, shared limits, orphans, damage, power losses, streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>
#include <larder/stream.h>
#include <larder/transaction.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include "engine/blobs.h"
#include "engine/files.h"
#include "engine/steps.h"
#include "engine/test_cache.h"
#include "engine/test_files.h"
#include "engine/test_process.h"
#include "engine/testing.h"

namespace larder {
namespace {

using engine::in_child;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

constexpr std::size_t kLarge = 300'000;

std::string value_of(int i, std::size_t size = kLarge) {
  std::string value(size, '\0');
  std::uint64_t x = 88172645463325252ULL + static_cast<unsigned>(i);
  for (char& c : value) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c = static_cast<char>(x);
  }
  return value;
}

class BlobsTest : public engine::OneCacheTest {
 protected:
  BlobsTest() : OneCacheTest({.size_limit_bytes = 16 << 20, .shards = 2, .durability = Durability::kTimed}) {}

  void set(const std::string& key, int i) { cache_->set(key, value_of(i)).value(); }
  // Whether `key` holds value number `i`, by all ways of reading.
  static ::testing::AssertionResult holds(const Cache& cache, const std::string& key, const std::string& value) {
    const std::optional<Pin> pin = cache.get(key);
    if (!pin) return ::testing::AssertionFailure() << "get() has no " << key;
    if (pin->bytes() != value || pin->info().value_bytes != value.size())
      return ::testing::AssertionFailure() << "get() gives something else under " << key;
    std::string copy;
    if (!cache.get(key, copy) || copy != value) return ::testing::AssertionFailure() << "the copy of " << key;
    std::optional<ValueReader> reader = cache.reader(key);
    if (!reader) return ::testing::AssertionFailure() << "no reader of " << key;
    std::string read;
    std::vector<char> part(70'001);
    while (const std::size_t got = reader->read(part).value()) read.append(part.data(), got);
    if (read != value) return ::testing::AssertionFailure() << "the stream of " << key;
    return ::testing::AssertionSuccess();
  }
  ::testing::AssertionResult holds(const std::string& key, int i) { return holds(*cache_, key, value_of(i)); }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(directory_.path() / "blobs")) return found;
    for (const auto& entry : fs::directory_iterator(directory_.path() / "blobs")) found.push_back(entry.path());
    return found;
  }
  // In time: another thread may be removing the last ones.
  ::testing::AssertionResult there_are_files(std::size_t count) const {
    for (int wait = 0; wait < 5000 && files().size() != count; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (files().size() == count) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "there are " << files().size() << " files, not " << count;
  }
  std::uint64_t disk_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory_.path())) {
      struct stat about {};
      if (entry.is_regular_file() && ::stat(entry.path().c_str(), &about) == 0)
        sum += static_cast<std::uint64_t>(about.st_blocks) * 512;
    }
    return sum;
  }
};

TEST_F(BlobsTest, LieInFilesOfTheirOwn) {
  set("a", 1);
  EXPECT_TRUE(holds("a", 1));
  ASSERT_THAT(files(), SizeIs(1));
  EXPECT_EQ(fs::file_size(files()[0]), kLarge);
  EXPECT_EQ(cache_->stats().blob_bytes, kLarge);
  EXPECT_GT(cache_->stats().value_bytes, kLarge);
  EXPECT_EQ(cache_->info("a")->value_bytes, kLarge);
  EXPECT_EQ(cache_->list()[0].info.value_bytes, kLarge);
  EXPECT_THAT(faults(), IsEmpty());
  open();
  EXPECT_TRUE(holds("a", 1));
  options_.read_only = true;
  open();
  EXPECT_TRUE(holds("a", 1));
}

TEST_F(BlobsTest, EveryWayOfWritingTakesThem) {
  EXPECT_TRUE(cache_->add("a", value_of(1)).value());
  EXPECT_FALSE(cache_->add("a", value_of(2)).value());
  EXPECT_TRUE(holds("a", 1));
  EXPECT_FALSE(cache_->replace("b", value_of(2)).value());
  EXPECT_TRUE(cache_->replace("a", value_of(2)).value());
  EXPECT_TRUE(holds("a", 2));
  EXPECT_FALSE(cache_->compare_and_set("a", 1, value_of(3)).value());
  EXPECT_TRUE(cache_->compare_and_set("a", cache_->info("a")->sequence, value_of(3)).value());
  EXPECT_TRUE(holds("a", 3));
  const std::string four = value_of(4);
  const KeyValue many[] = {{"b", four}, {"c", "small"}};
  cache_->set_many(many).value();
  EXPECT_TRUE(holds("b", 4));
  EXPECT_TRUE(holds(*cache_, "c", "small"));
  EXPECT_EQ(cache_->incr("b").error().code, Code::kInvalid);
  cache_->flush().value();
  EXPECT_TRUE(there_are_files(2));
  EXPECT_EQ(cache_->stats().blob_bytes, 2 * kLarge);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(BlobsTest, KeepWhatGoesWithAnEntry) {
  cache_->set("a", value_of(1), {.tags = {"t"}, .cost = 5, .format = 3, .pinned = true}).value();
  EXPECT_THAT(cache_->get("a")->tags(), ElementsAre("t"));
  EXPECT_EQ(cache_->get("a")->info().cost, 5u);
  EXPECT_TRUE(cache_->touch("a", 1000).value());
  EXPECT_TRUE(cache_->touch("a", 500).value());
  cache_->flush().value();
  EXPECT_TRUE(holds("a", 1));
  EXPECT_THAT(faults(), IsEmpty());
  clock_.advance_ms(501);
  EXPECT_FALSE(cache_->get("a"));
  EXPECT_FALSE(cache_->reader("a"));
  cache_->cull().value();
  cache_->flush().value();
  EXPECT_TRUE(there_are_files(0));
  EXPECT_EQ(cache_->stats().blob_bytes, 0u);
}

TEST_F(BlobsTest, GoWithTheirEntries) {
  set("overwritten", 1);
  cache_->set("overwritten", "small").value();
  set("deleted", 2);
  cache_->del("deleted").value();
  set("popped", 3);
  EXPECT_EQ(cache_->pop("popped")->value().value, value_of(3));
  cache_->set("tagged", value_of(4), {.tags = {"t"}}).value();
  cache_->evict({.tag = "t"}).value();
  cache_->flush().value();
  EXPECT_TRUE(there_are_files(0));
  EXPECT_EQ(cache_->stats().blob_bytes, 0u);
  set("cleared", 5);
  cache_->clear().value();
  EXPECT_TRUE(there_are_files(0));
  EXPECT_EQ(cache_->stats().blob_bytes, 0u);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(BlobsTest, APinOutlivesTheEntry) {
  set("a", 1);
  const std::optional<Pin> pin = cache_->get("a");
  std::optional<ValueReader> reader = cache_->reader("a");
  cache_->del("a").value();
  cache_->flush().value();
  EXPECT_TRUE(there_are_files(0));
  EXPECT_EQ(pin->bytes(), value_of(1));
  std::string read(kLarge, '\0');
  reader->seek(5);
  EXPECT_EQ(reader->read(read).value(), kLarge - 5);
  EXPECT_EQ(read.substr(0, kLarge - 5), value_of(1).substr(5));
}

TEST_F(BlobsTest, FilesAreThereUntilTheDiskKnowsThatTheEntryIsNot) {
  set("a", 1);
  cache_->flush().value();
  struct Seen {
    Cache* cache;
    fs::path folder;
    std::atomic<bool> synced{false};  // a sync ended that began after the entry had gone
    std::atomic<bool> too_early{false};
  };
  static Seen* seen;
  static thread_local bool began_after;
  Seen kept{&*cache_, directory_.path() / "blobs"};
  seen = &kept;
  // The entry goes while a sync of the log is under way: that one may not have it, the next one has.
  engine::sync_hook = [](const char* name, bool ended) {
    if (std::string_view(name) != "log") return;
    if (ended) {
      if (began_after) seen->synced = true;
      return;
    }
    began_after = !seen->cache->contains("a");
    if (began_after) {
      const bool is_gone = fs::is_empty(seen->folder);
      if (is_gone && !seen->synced) seen->too_early = true;
    } else {
      seen->cache->del("a").value();
    }
  };
  cache_->flush().value();
  cache_->flush().value();
  engine::sync_hook = nullptr;
  EXPECT_TRUE(there_are_files(0));
  cache_.reset();  // nobody is in the hook any more
  EXPECT_TRUE(kept.synced.load());
  EXPECT_FALSE(kept.too_early.load());
}

TEST_F(BlobsTest, AreOnTheDiskBeforeTheirEntries) {
  static std::vector<std::string> synced;
  synced.clear();
  static Cache* cache;
  cache = &*cache_;
  engine::sync_hook = [](const char* name, bool ended) {
    if (ended && std::string_view(name) == "blobs") synced.emplace_back(cache->contains("a") ? "too late" : "in time");
  };
  set("a", 1);
  engine::sync_hook = nullptr;
  EXPECT_THAT(synced, ElementsAre("in time"));
}

TEST_F(BlobsTest, ShareTheLimitWithSmallValues) {
  const std::uint64_t limit = options_.size_limit_bytes;
  // 60 MB of large values go through 16 MiB.
  for (int i = 0; i < 200; ++i) set("large " + std::to_string(i), i);
  EXPECT_LE(disk_bytes(), limit);
  EXPECT_TRUE(holds("large 199", 199));
  EXPECT_GT(cache_->stats().blob_bytes, limit / 2);
  EXPECT_GT(cache_->stats().evictions, 100u);
  // Small ones push them back to a half; beyond that what is older goes, of whatever size.
  const std::string small(5000, 's');
  for (int i = 0; i < 8000; ++i) cache_->set("small " + std::to_string(i), small).value();
  cache_->flush().value();
  EXPECT_LE(disk_bytes(), limit + 4 * (128 << 10));
  EXPECT_LE(cache_->stats().blob_bytes, limit / 2 + kLarge);
  // And the other way round.
  for (int i = 0; i < 40; ++i) set("again " + std::to_string(i), i);
  EXPECT_LE(disk_bytes(), limit + 4 * (128 << 10));
  EXPECT_TRUE(holds("again 39", 39));
  EXPECT_TRUE(cache_->contains("small 7999"));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(BlobsTest, WhatIsReadStays) {
  for (int i = 0; i < 20; ++i) set("large " + std::to_string(i), i);
  for (int i = 20; i < 60; ++i) {
    EXPECT_TRUE(holds("large 3", 3)) << i;
    set("large " + std::to_string(i), i);
  }
  EXPECT_TRUE(holds("large 3", 3));
  EXPECT_FALSE(cache_->contains("large 4"));
}

TEST_F(BlobsTest, TheLargestAndOneByteMore) {
  const std::string most = value_of(1, cache_->value_bytes_max());
  cache_->set("a", most).value();
  EXPECT_TRUE(holds(*cache_, "a", most));
  EXPECT_LE(disk_bytes(), options_.size_limit_bytes);
  const Status refused = cache_->set("b", most + "x");
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("at most"));
  cache_->set("b", most).value();  // it takes the place of the other
  EXPECT_FALSE(cache_->contains("a"));
  EXPECT_TRUE(holds(*cache_, "b", most));
}

TEST_F(BlobsTest, PinnedOnesAreNotEvicted) {
  const std::string half = value_of(1, 7 << 20);
  cache_->set("a", half, {.pinned = true}).value();
  EXPECT_EQ(cache_->set("b", half).error().code, Code::kNoSpace);
  EXPECT_TRUE(holds(*cache_, "a", half));
  EXPECT_TRUE(there_are_files(1));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(BlobsTest, ACacheThatEvictsNothingRefuses) {
  cache_->change({.policy = Policy::kNone}).value();
  int count = 0;
  Status last;
  while ((last = cache_->set("large " + std::to_string(count), value_of(count))).ok()) ++count;
  EXPECT_EQ(last.error().code, Code::kNoSpace);
  EXPECT_GT(count, 20);
  for (int i = 0; i < count; ++i) EXPECT_TRUE(holds("large " + std::to_string(i), i));
  EXPECT_EQ(files().size(), static_cast<std::size_t>(count));
  EXPECT_TRUE(cache_->del("large 0").value());
}

TEST_F(BlobsTest, InATransaction) {
  set("b", 9);
  const Status done = cache_->transact([&](Transaction& t) -> Status {
    if (Status set = t.set("a", value_of(1)); !set.ok()) return set;
    if (Status set = t.set("b", value_of(2)); !set.ok()) return set;
    EXPECT_EQ(*t.get("b").value(), value_of(2));
    return t.set("c", "small");
  });
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_TRUE(holds("a", 1));
  EXPECT_TRUE(holds("b", 2));
  cache_->flush().value();
  EXPECT_TRUE(there_are_files(2));
  EXPECT_EQ(cache_->stats().blob_bytes, 2 * kLarge);
  const Status failed = cache_->transact([&](Transaction& t) -> Status {
    if (Status set = t.set("a", value_of(3)); !set.ok()) return set;
    return Error{Code::kInvalid, "no"};
  });
  EXPECT_FALSE(failed.ok());
  EXPECT_TRUE(holds("a", 1));
  EXPECT_TRUE(there_are_files(2));
  EXPECT_EQ(cache_->stats().blob_bytes, 2 * kLarge);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(BlobsTest, Streams) {
  const std::string value = value_of(7, 3'000'000);
  {
    ValueWriter writer = cache_->writer("a", {.ttl_ms = 1000, .tags = {"t"}, .format = 2}).value();
    for (std::size_t at = 0; at < value.size(); at += 100'000) writer.write(value.substr(at, 100'000)).value();
    EXPECT_EQ(writer.bytes(), value.size());
    EXPECT_FALSE(cache_->contains("a"));
    writer.commit().value();
    EXPECT_FALSE(writer.commit().ok());
    EXPECT_FALSE(writer.write("x").ok());
  }
  EXPECT_TRUE(holds(*cache_, "a", value));
  EXPECT_THAT(cache_->tags("a"), ElementsAre("t"));
  EXPECT_EQ(cache_->info("a")->format, 2);
  ValueWriter small = cache_->writer("s").value();
  small.write("sm").value();
  small.write("all").value();
  small.commit().value();
  EXPECT_TRUE(holds(*cache_, "s", "small"));
  cache_->writer("empty").value().commit().value();
  EXPECT_TRUE(holds(*cache_, "empty", ""));
  cache_->writer("a").value().write(value).value();  // and goes without a commit
  EXPECT_TRUE(holds(*cache_, "a", value));
  EXPECT_TRUE(there_are_files(1));
  EXPECT_EQ(cache_->stats().blob_bytes, value.size());
  EXPECT_EQ(cache_->writer("").error().code, Code::kInvalid);
}

TEST_F(BlobsTest, AStreamOverTheLimitIsRefusedAndLeavesNothing) {
  set("other", 1);
  const std::string part(1 << 20, 'x');
  ValueWriter writer = cache_->writer("a").value();
  Status status;
  for (int i = 0; i < 20 && status.ok(); ++i) status = writer.write(part);
  EXPECT_EQ(status.error().code, Code::kTooLarge);
  EXPECT_EQ(writer.commit().error().code, Code::kTooLarge);
  { const ValueWriter gone = std::move(writer); }
  EXPECT_FALSE(cache_->contains("a"));
  EXPECT_LE(files().size(), 1u);
  EXPECT_LE(cache_->stats().blob_bytes, kLarge);
}

TEST_F(BlobsTest, AWritersDeathLeavesNothingForLong) {
  const auto die_writing = [&] {
    return in_child([&] {
      Cache cache = Cache::open(directory_.path(), options_).value();
      ValueWriter writer = cache.writer("a").value();
      writer.write(value_of(1)).value();
      ::kill(::getpid(), SIGKILL);
      return 0;
    });
  };
  set("other", 2);
  EXPECT_EQ(die_writing(), -SIGKILL);
  EXPECT_TRUE(there_are_files(2));
  set("another", 3);  // who writes the next one cleans up
  EXPECT_TRUE(there_are_files(2));
  EXPECT_EQ(cache_->stats().blob_bytes, 2 * kLarge);
  EXPECT_EQ(die_writing(), -SIGKILL);
  cache_.reset();
  open();  // so does who opens
  EXPECT_TRUE(there_are_files(2));
  EXPECT_TRUE(holds("other", 2));
  EXPECT_TRUE(holds("another", 3));
}

TEST_F(BlobsTest, WhatIsBeingWrittenIsNoOrphan) {
  ValueWriter writer = cache_->writer("a").value();
  writer.write(value_of(1)).value();
  EXPECT_EQ(in_child([&] {
              Cache cache = Cache::open(directory_.path(), options_).value();
              cache.check(true).value();
              cache.cull().value();
              return 0;
            }),
            0);
  writer.commit().value();
  EXPECT_TRUE(holds("a", 1));
}

TEST_F(BlobsTest, DeathAtEveryStep) {
  using engine::Step;
  for (const Step step : {Step::kBlobMade, Step::kBlobWritten, Step::kRecordWhole, Step::kRedoNoted, Step::kSlotStored,
                          Step::kBlobDropped}) {
    set("a", 1);
    cache_->flush().value();
    static Step fatal;
    fatal = step;
    EXPECT_EQ(in_child([&] {
                Cache cache = Cache::open(directory_.path(), options_).value();
                engine::step_hook = [](Step at) {
                  if (at == fatal) ::kill(::getpid(), SIGKILL);
                };
                (void)cache.set("a", value_of(2));
                return 0;
              }),
              -SIGKILL);
    const bool old = holds("a", 1);
    EXPECT_TRUE(old || holds("a", 2)) << static_cast<int>(step);
    EXPECT_EQ(cache_->stats().blob_bytes, kLarge) << static_cast<int>(step);
    EXPECT_THAT(faults(), IsEmpty()) << static_cast<int>(step);
    open();
    EXPECT_TRUE(there_are_files(1)) << static_cast<int>(step);
  }
}

TEST_F(BlobsTest, AfterAPowerLoss) {
  set("kept", 1);
  set("missing", 2);
  set("cut", 3);
  cache_->flush().value();
  const auto file_of = [&](int i) {
    for (const fs::path& file : files()) {
      std::ifstream in(file, std::ios::binary);
      std::string bytes(kLarge, '\0');
      in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      if (bytes == value_of(i)) return file;
    }
    return fs::path();
  };
  const fs::path missing = file_of(2);
  const fs::path cut = file_of(3);
  cache_.reset();
  fs::remove(missing);
  fs::resize_file(cut, 10);
  std::ofstream(directory_.path() / "blobs" / engine::BlobName{1, 2}.text()) << "an orphan";
  engine::lose_power(directory_.path());
  open();
  EXPECT_TRUE(holds("kept", 1));
  EXPECT_FALSE(cache_->contains("missing"));
  EXPECT_FALSE(cache_->contains("cut"));
  EXPECT_EQ(cache_->stats().blob_bytes, kLarge);
  EXPECT_TRUE(there_are_files(1));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(BlobsTest, AfterAPowerLossWhereNothingIsOrdered) {
  cache_->change({.durability = Durability::kNone}).value();
  set("kept", 1);
  set("zeros", 2);
  const std::vector<fs::path> before = files();
  cache_.reset();
  // The length came to the disk, the bytes did not.
  for (const fs::path& file : before) {
    std::ifstream in(file, std::ios::binary);
    if (in.get() != static_cast<unsigned char>(value_of(2)[0])) continue;
    std::ofstream(file, std::ios::binary) << std::string(kLarge, '\0');
  }
  engine::lose_power(directory_.path());
  open();
  EXPECT_TRUE(holds("kept", 1));
  EXPECT_FALSE(cache_->contains("zeros"));
}

TEST_F(BlobsTest, CheckFindsDamageAndRepairs) {
  set("a", 1);
  set("b", 2);
  std::set<fs::path> seen;
  for (const fs::path& file : files()) seen.insert(file);
  engine::write_bytes(*seen.begin(), 1000, "damage");
  const CheckReport found = cache_->check().value();
  ASSERT_THAT(found.findings, SizeIs(1));
  EXPECT_THAT(found.findings[0], HasSubstr("blobs/"));
  EXPECT_EQ(cache_->check(true).value().repaired, 1u);
  EXPECT_THAT(faults(), IsEmpty());
  EXPECT_EQ(cache_->stats().entries, 1u);
  cache_->flush().value();
  EXPECT_TRUE(there_are_files(1));
}

TEST_F(BlobsTest, AFileThatIsGoneIsAMiss) {
  set("a", 1);
  fs::remove(files()[0]);
  EXPECT_FALSE(cache_->get("a"));
  EXPECT_FALSE(cache_->reader("a"));
  std::string value = "before";
  EXPECT_FALSE(cache_->get("a", value));
  EXPECT_EQ(value, "before");
  EXPECT_THAT(faults(), SizeIs(1));
  set("a", 2);
  EXPECT_TRUE(holds("a", 2));
}

TEST_F(BlobsTest, ANameOutOfTheFolder) {
  EXPECT_EQ(engine::BlobName::parse("0000000000000001-000000000000000a")->id, 10u);
  for (const char* const text : {"", "x", "0000000000000001-000000000000000", "0000000000000001_000000000000000a",
                                 "000000000000000g-000000000000000a", "+000000000000001-000000000000000a"})
    EXPECT_FALSE(engine::BlobName::parse(text)) << text;
}

}  // namespace
}  // namespace larder
