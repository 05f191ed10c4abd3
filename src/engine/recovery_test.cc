// Power loss and damage. A cache is written, closed, cut or damaged, and opened as if the machine had been restarted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <map>

#include "engine/files.h"
#include "engine/test_cache.h"
#include "engine/test_files.h"

namespace larder {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::uint64_t kLimit = 16 << 20;

class RecoveryTest : public engine::OneCacheTest {
 protected:
  RecoveryTest() : OneCacheTest({.size_limit_bytes = kLimit, .durability = Durability::kNone}) {}

  void close() { cache_.reset(); }
  void restart() {
    close();
    engine::lose_power(path());
    open();
  }
  const std::filesystem::path& path() const { return directory_.path(); }

  void put(const std::string& key, const std::string& value, std::int64_t ttl_ms = 0) {
    cache_->set(key, value, {.ttl_ms = ttl_ms}).value();
  }
  std::string get(const std::string& key) {
    std::string value = "-";
    cache_->get(key, value);
    return value;
  }
  // Everything, as "a=1 b=2 ".
  std::string all() {
    std::string text;
    for (const Item& item : cache_->list()) text += item.key + "=" + get(item.key) + " ";
    return text;
  }

  // The first segment, where a small cache has everything.
  std::string segment() { return engine::read_bytes(path() / "log", 0, 1024); }
  void replace_segment(const std::string& bytes) {
    std::filesystem::resize_file(path() / "log", 1024);  // and nothing behind it
    engine::write_bytes(path() / "log", 0, bytes);
  }
};

TEST_F(RecoveryTest, FindsEverythingInTheLog) {
  put("a", "1");
  put("b", "2");
  put("a", "3");
  put("gone", "x");
  cache_->del("gone").value();
  put("timed", "4", 100);
  restart();
  EXPECT_EQ(all(), "b=2 a=3 timed=4 ");
  EXPECT_THAT(faults(), IsEmpty());
  clock_.advance_ms(100);
  EXPECT_EQ(get("timed"), "-");
}

TEST_F(RecoveryTest, GivesNoSequenceOutTwice) {
  put("a", "1");
  const std::uint64_t before = cache_->info("a")->sequence;
  restart();
  put("b", "2");
  EXPECT_GT(cache_->info("b")->sequence, before);
}

TEST_F(RecoveryTest, TouchAndCountSurvive) {
  put("a", "1", 100);
  cache_->touch("a", 5000).value();
  cache_->incr("n", 7).value();
  cache_->incr("n", 7).value();
  restart();
  clock_.advance_ms(4999);
  EXPECT_EQ(all(), "a=1 n=14 ");
}

TEST_F(RecoveryTest, WhatWasClearedStaysCleared) {
  put("a", "1");
  put("b", "2");
  cache_->clear().value();
  put("b", "3");
  restart();
  EXPECT_EQ(all(), "b=3 ");
}

TEST_F(RecoveryTest, WhatWasClearedStaysClearedEvenWhenTheLogDidNotHearOfIt) {
  put("a", "1");
  const std::string before = segment();
  cache_->clear().value();
  close();
  replace_segment(before);
  restart();
  EXPECT_EQ(all(), "");
}

TEST_F(RecoveryTest, KeepsEverythingBeforeTheCut) {
  put("a", "1");
  put("b", "22", 1000);
  put("a", "333");
  cache_->del("b").value();
  put("c", std::string(300, 'c'));
  const std::string c = "c=" + std::string(300, 'c') + " ";
  close();
  const std::string whole = segment();
  std::string last = "?";
  for (std::size_t cut = whole.size(); cut-- > 0;) {
    replace_segment(whole.substr(0, cut) + std::string(whole.size() - cut, '\0'));
    restart();
    const std::string now = all();
    ASSERT_THAT(now, AnyOf("a=333 " + c, "a=333 ", "b=22 a=333 ", "a=1 b=22 ", "a=1 ", "")) << cut;
    ASSERT_THAT(faults(), IsEmpty()) << cut;
    put("new", "entry");
    ASSERT_EQ(get("new"), "entry") << cut;
    last = now;
  }
  EXPECT_EQ(last, "");
}

TEST_F(RecoveryTest, OpensAFileThatWasCutShort) {
  put("a", "1");
  put("b", "2");
  close();
  for (std::uint64_t size : {200u, 64u, 0u}) {
    std::filesystem::resize_file(path() / "log", size);
    open();  // even in the same boot
    EXPECT_THAT(all(), AnyOf("a=1 b=2 ", "a=1 ", ""));
    EXPECT_THAT(faults(), IsEmpty());
    close();
  }
}

TEST_F(RecoveryTest, MakesALostIndexAnew) {
  for (int i = 0; i < 5000; ++i) put(std::to_string(i), std::to_string(i));
  close();
  std::filesystem::remove(path() / "idx");
  open();
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(get(std::to_string(i)), std::to_string(i));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(RecoveryTest, ADamagedByteCostsOneRecord) {
  const std::map<std::string, std::string> entries{
      {"one", "first"}, {"two", std::string(40, '2')}, {"three", std::string(300, '3')}, {"four", ""}, {"five", "5"}};
  for (const auto& [key, value] : entries) put(key, value, key == "five" ? 1000 : 0);
  close();
  const std::string whole = segment();
  for (std::size_t at = 64; at < 800; ++at) {
    for (unsigned char flip : {0x01, 0x80}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      replace_segment(damaged);
      restart();
      std::size_t here = 0;
      for (const auto& [key, value] : entries) {
        const std::string now = get(key);
        ASSERT_THAT(now, AnyOf(value, "-")) << at;
        here += now == "-" ? 0 : 1;
      }
      ASSERT_GE(here, entries.size() - 1) << at;
      ASSERT_THAT(faults(), IsEmpty()) << at;  // what is damaged was set aside
    }
  }
}

TEST_F(RecoveryTest, CheckFindsDamageAndRepairs) {
  put("a", "1");
  put("b", std::string(100, 'b'));
  put("c", "3");
  const std::string whole = segment();
  std::string damaged = whole;
  damaged[damaged.find("bbbb")] = 'X';
  engine::write_bytes(path() / "log", 0, damaged);
  const CheckReport report = cache_->check().value();
  ASSERT_THAT(report.findings, Not(IsEmpty()));
  EXPECT_THAT(report.findings[0], ::testing::HasSubstr("log: damaged record in segment 0 at byte 96"));
  EXPECT_EQ(report.repaired, 0u);
  EXPECT_GT(cache_->check(true).value().repaired, 0u);
  EXPECT_THAT(faults(), IsEmpty());
  EXPECT_EQ(all(), "a=1 c=3 ");
}

TEST_F(RecoveryTest, CheckRepairsTheIndex) {
  for (int i = 0; i < 1000; ++i) put(std::to_string(i), std::to_string(i));
  close();
  const engine::Geometry g{engine::Geometry::kCapacityTimes * kLimit, 1,
                           engine::Geometry::default_segment_shift(kLimit, 1)};
  const std::string buckets = engine::read_bytes(path() / "idx", g.buckets_at(), 256 * 64);
  for (std::size_t at = 0; at < buckets.size(); at += 1237) {
    std::string damaged = buckets;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    damaged[at / 2] = static_cast<char>(damaged[at / 2] ^ 0x55);
    engine::write_bytes(path() / "idx", g.buckets_at(), damaged);
    open();
    cache_->check(true).value();
    ASSERT_THAT(faults(), IsEmpty()) << at;
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(get(std::to_string(i)), std::to_string(i)) << at;
    close();
    engine::write_bytes(path() / "idx", g.buckets_at(), buckets);
  }
}

TEST_F(RecoveryTest, CheckRepairsTheAccounts) {
  for (int i = 0; i < 50; ++i) put(std::to_string(i), std::to_string(i));
  for (int i = 0; i < 10; ++i) cache_->del(std::to_string(i)).value();
  close();
  const engine::Geometry g{engine::Geometry::kCapacityTimes * kLimit, 1,
                           engine::Geometry::default_segment_shift(kLimit, 1)};
  const std::string ctl = engine::read_bytes(path() / "ctl", 0, g.ctl_bytes());
  const std::string log = engine::read_bytes(path() / "log", 0, 4096);
  const std::string idx = engine::read_bytes(path() / "idx", g.buckets_at(), 256 * 64);
  std::vector<std::size_t> places;
  // Not the lock's word: it may name a process that lives, whom to wait for would be right.
  for (std::size_t at = g.shards_at() + 64; at < g.shards_at() + sizeof(engine::ShardState); ++at) places.push_back(at);
  for (std::size_t at = g.generations_at(); at < g.generations_at() + 16; ++at) places.push_back(at);
  for (std::size_t at = g.segments_at(); at < g.segments_at() + 2 * sizeof(engine::SegmentState); ++at)
    places.push_back(at);
  for (const std::size_t at : places) {
    for (const char damage : {'\x01', '\xff'}) {
      engine::write_bytes(path() / "ctl", 0, ctl);
      engine::write_bytes(path() / "log", 0, log);
      engine::write_bytes(path() / "idx", g.buckets_at(), idx);
      engine::write_bytes(path() / "ctl", at, std::string(1, static_cast<char>(ctl[at] ^ damage)));
      open();
      const Result<CheckReport> repaired = cache_->check(true);
      ASSERT_TRUE(repaired.ok()) << at << ": " << repaired.error().message;
      ASSERT_THAT(faults(), IsEmpty()) << at;
      put("new", "entry");
      ASSERT_EQ(get("new"), "entry") << at;
      ASSERT_EQ(get("7"), "-") << at;
      ASSERT_THAT(get("40"), AnyOf("40", "-")) << at;
      close();
    }
  }
}

TEST_F(RecoveryTest, DamageIsNotWrittenAgainAsIfItWereRight) {
  put("number", "1234567");
  put("text", std::string(100, 't'));
  std::string damaged = segment();
  damaged[damaged.find("1234567") + 1] = '9';
  damaged[damaged.find("tttt") + 5] = 'X';
  engine::write_bytes(path() / "log", 0, damaged);
  EXPECT_EQ(cache_->incr("number").error().code, Code::kCorrupt);
  EXPECT_EQ(cache_->touch("text", 1000).error().code, Code::kCorrupt);
  EXPECT_THAT(faults(), Not(IsEmpty()));  // still to be seen
}

// A deleted or overwritten key must not come back by a rebuild, whatever was evicted and moved since.
TEST_F(RecoveryTest, NothingOldComesBackAfterMakingRoom) {
  const std::string filler(1000, 'f');
  for (int i = 0; i < 200; ++i) put("deleted " + std::to_string(i), "old");
  for (int i = 0; i < 200; ++i) put("changed " + std::to_string(i), "old");
  for (int i = 0; i < 2000; ++i) {
    put("filler " + std::to_string(i), filler);
    cache_->contains("filler " + std::to_string(i));
  }
  for (int i = 0; i < 200; ++i) cache_->del("deleted " + std::to_string(i)).value();
  for (int i = 0; i < 200; ++i) put("changed " + std::to_string(i), "new");
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 3000; ++i) put("more " + std::to_string(round * 3000 + i), filler);
    restart();
    for (int i = 0; i < 200; ++i) {
      ASSERT_EQ(get("deleted " + std::to_string(i)), "-") << round;
      ASSERT_THAT(get("changed " + std::to_string(i)), AnyOf("new", "-")) << round;
    }
    ASSERT_THAT(faults(), IsEmpty());
  }
}

TEST_F(RecoveryTest, RebuildsAFullCache) {
  for (int i = 0; i < 60'000; ++i) put(std::to_string(i), std::string(1000, 'v'));
  const std::uint64_t before = cache_->stats().entries;
  restart();
  EXPECT_GE(cache_->stats().entries, before);
  EXPECT_THAT(faults(), IsEmpty());
  for (int i = 0; i < 60'000; ++i) put("again " + std::to_string(i), std::string(1000, 'v'));
  EXPECT_THAT(faults(), IsEmpty());
}

// Pages of ctl come to the disk when the kernel likes: this one when a transaction was being made, long before the
// rest.
TEST_F(RecoveryTest, AnOldNoteOfATransactionTakesNothing) {
  for (int i = 0; i < 50; ++i) cache_->set("key " + std::to_string(i), "value").value();
  const std::uint32_t segment = 0;
  cache_.reset();
  const engine::Geometry g{engine::Geometry::kCapacityTimes * kLimit, 1,
                           engine::Geometry::default_segment_shift(kLimit, 1)};
  const auto write = [&](std::uint64_t at, auto number) {
    engine::write_bytes(path() / "ctl", at, {reinterpret_cast<const char*>(&number), sizeof(number)});
  };
  write(g.shards_at() + offsetof(engine::ShardState, transaction), std::uint64_t{1});
  write(g.shards_at() + offsetof(engine::ShardState, transaction_slot), std::uint32_t{0});
  write(g.shards_at() + offsetof(engine::ShardState, transaction_segment), segment);
  write(g.shards_at() + offsetof(engine::ShardState, transaction_from), std::uint32_t{sizeof(engine::SegmentHeader)});
  write(g.shards_at() + offsetof(engine::ShardState, transaction_to), std::uint32_t{1000});
  write(g.segments_at() + offsetof(engine::SegmentState, used), std::uint32_t{sizeof(engine::SegmentHeader)});
  engine::lose_power(path());
  open();
  EXPECT_EQ(cache_->stats().entries, 50u);
}

// Whoever finds the lock of a dead process finds its note as well, and that may be any bytes.
TEST_F(RecoveryTest, ADamagedNoteOfATransactionHarmsNothing) {
  engine::TestDirectory directory;
  const auto open_it = [&] { return Cache::open(directory.path(), {.size_limit_bytes = kLimit}).value(); };
  {
    Cache cache = open_it();
    for (int i = 0; i < 50; ++i) cache.set("key " + std::to_string(i), "value").value();
  }
  const engine::Geometry g{engine::Geometry::kCapacityTimes * kLimit, 1,
                           engine::Geometry::default_segment_shift(kLimit, 1)};
  const auto write = [&](std::uint64_t at, auto number) {
    engine::write_bytes(directory.path() / "ctl", at, {reinterpret_cast<const char*>(&number), sizeof(number)});
  };
  constexpr std::uint32_t kMost = 0xffffffff;
  const std::uint64_t shard = g.shards_at();
  write(g.processes_at() + offsetof(engine::ProcessSlot, committed), std::uint64_t{77});
  for (const std::uint64_t number : {std::uint64_t{77}, ~std::uint64_t{0}}) {
    for (const std::uint32_t slot : {0u, engine::kProcessesMax, kMost}) {
      for (const std::uint32_t segment : {0u, 5u, g.segments(), kMost}) {
        for (const std::uint32_t from : {0u, 71u, g.segment_bytes() - 4, kMost}) {
          for (const std::uint32_t to : {0u, 4096u, 4099u, kMost - 3, kMost}) {
            write(shard + offsetof(engine::ShardState, lock), std::uint32_t{1 + 3});  // of a life that never was
            write(shard + offsetof(engine::ShardState, transaction), number);
            write(shard + offsetof(engine::ShardState, transaction_slot), slot);
            write(shard + offsetof(engine::ShardState, transaction_segment), segment);
            write(shard + offsetof(engine::ShardState, transaction_from), from);
            write(shard + offsetof(engine::ShardState, transaction_to), to);
            Cache cache = open_it();
            ASSERT_TRUE(cache.set("key 1", "value").ok());
            ASSERT_EQ(cache.stats().entries, 50u);
            ASSERT_THAT(cache.check().value().findings, IsEmpty())
                << number << " " << slot << " " << segment << " " << from << " " << to;
          }
        }
      }
    }
  }
}

// The rows of evicted tags may have got to the disk, and nothing else of many writes.
TEST_F(RecoveryTest, WhatIsWrittenAfterAPowerLossIsNewerThanTagsThatWereEvictedBefore) {
  put("a", "1");
  cache_->evict({.prefix = "", .pattern = "", .tag = "tag"}).value();
  close();
  const engine::Geometry g{engine::Geometry::kCapacityTimes * kLimit, 1,
                           engine::Geometry::default_segment_shift(kLimit, 1)};
  for (std::uint32_t i = 0; i < engine::kTagRows; ++i) {
    const std::uint64_t at = g.tags_at() + i * sizeof(engine::TagRow);
    if (engine::read_bytes(path() / "ctl", at, 8) == std::string(8, '\0')) continue;
    const std::uint64_t before = std::uint64_t{1} << 33;
    engine::write_bytes(path() / "ctl", at + offsetof(engine::TagRow, before),
                        {reinterpret_cast<const char*>(&before), sizeof(before)});
  }
  engine::lose_power(path());
  open();
  cache_->set("b", "2", {.tags = std::vector<std::string_view>{"tag"}}).value();
  EXPECT_EQ(get("b"), "2");
}

TEST_F(RecoveryTest, ACleanCloseNeedsNoRebuild) {
  engine::TestDirectory directory;
  const Options options{.size_limit_bytes = kLimit, .durability = Durability::kTimed};
  {
    Cache cache = Cache::open(directory.path(), options).value();
    cache.set("a", "1").value();
  }
  // Another boot, but clean: the index is taken as it is. Shown by an index that a rebuild would have mended.
  engine::write_bytes(directory.path() / "ctl", engine::kPage + offsetof(engine::Globals, boot_id), "another boot");
  const engine::Geometry g{engine::Geometry::kCapacityTimes * kLimit, 1,
                           engine::Geometry::default_segment_shift(kLimit, 1)};
  engine::write_bytes(directory.path() / "idx", g.buckets_at(), std::string(256 * 64, '\0'));
  std::string value;
  {
    Cache cache = Cache::open(directory.path(), options).value();
    EXPECT_FALSE(cache.get("a", value));
    cache.set("b", "2").value();  // not clean any more
    engine::lose_power(directory.path());
    Cache after = Cache::open(directory.path(), options).value();
    EXPECT_TRUE(after.get("a", value));
    EXPECT_TRUE(after.get("b", value));
  }
}

// What was closed cleanly and has lost its index must not call itself clean on the disk while the new one is written.
TEST_F(RecoveryTest, ACleanCacheWithoutItsIndexIsUncleanOnTheDiskFirst) {
  engine::TestDirectory directory;
  { Cache::open(directory.path(), {.size_limit_bytes = kLimit}).value().set("a", "1").value(); }
  const std::uint64_t at = engine::kPage + offsetof(engine::Globals, clean);
  ASSERT_EQ(engine::read_bytes(directory.path() / "ctl", at, 1)[0], 1);
  std::filesystem::remove(directory.path() / "idx");
  static int synced;
  synced = 0;
  engine::sync_hook.store([](const char* name, bool ended) { synced += ended && std::string(name) == "ctl" ? 1 : 0; });
  Cache cache = Cache::open(directory.path(), {.size_limit_bytes = kLimit}).value();
  engine::sync_hook.store(nullptr);
  EXPECT_EQ(synced, 1);
  EXPECT_EQ(engine::read_bytes(directory.path() / "ctl", at, 1)[0], 0);
  EXPECT_EQ(cache.get("a")->bytes(), "1");
}

TEST_F(RecoveryTest, WhoMayOnlyReadCannotOpenWhatNeedsRepair) {
  put("a", "1");
  close();
  const Options reading{.read_only = true};
  EXPECT_EQ(Cache::open(path(), reading).value().get("a")->bytes(), "1");
  engine::lose_power(path());
  EXPECT_EQ(Cache::open(path(), reading).error().code, Code::kUnavailable);
  open();
  EXPECT_EQ(Cache::open(path(), reading).value().get("a")->bytes(), "1");
  for (const char* name : {"log", "idx", "ctl"}) {
    close();
    const std::uintmax_t size = std::filesystem::file_size(path() / name);
    std::filesystem::resize_file(path() / name, 8192);
    const Error refused = Cache::open(path(), reading).error();
    EXPECT_EQ(refused.code, Code::kCorrupt) << name;
    EXPECT_THAT(refused.message, ::testing::HasSubstr(std::string(name) + ": was cut short"));
    open();
    EXPECT_EQ(std::filesystem::file_size(path() / name), size);
    EXPECT_THAT(faults(), IsEmpty());
  }
}

TEST_F(RecoveryTest, ALostLogIsNotMadeAnew) {
  put("a", "1");
  close();
  std::filesystem::remove(path() / "log");
  const Error refused = Cache::open(path(), {.size_limit_bytes = kLimit}).error();
  EXPECT_EQ(refused.code, Code::kCorrupt);
  EXPECT_THAT(refused.message, ::testing::HasSubstr("log: is missing"));
}

// Where a segment that has to make room is damaged, what lies behind the damage goes with it, and nothing else.
TEST_F(RecoveryTest, DamageIsEvictedWithItsSegment) {
  const std::string value(1000, 'v');
  for (int i = 0; i < 100; ++i) put("first " + std::to_string(i), value);
  // The head of a record in the middle: it seems to be longer than the segment.
  const std::size_t key_at = engine::read_bytes(path() / "log", 0, 200'000).find("first 40");
  ASSERT_NE(key_at, std::string::npos);
  engine::write_bytes(path() / "log", key_at - 24 + 4, std::string("\xff\xff\xff\x7f", 4));
  for (int i = 0; i < 60'000; ++i) put(std::to_string(i), value);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get("first " + std::to_string(i)), "-");
  EXPECT_THAT(faults(), IsEmpty());
  EXPECT_EQ(get("59999"), value);
}

}  // namespace
}  // namespace larder
