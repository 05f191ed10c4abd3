// What happens to a directory outside of the cache's calls: files cut or removed, mounts, other builds, chosen keys.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/clock.h"
#include "base/hash.h"
#include "engine/files.h"
#include "engine/index.h"
#include "engine/test_directory.h"
#include "engine/test_files.h"
#include "engine/test_process.h"
#include "mounts.h"

namespace larder {
namespace {

using engine::in_child;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PitfallsTest : public ::testing::Test {
 protected:
  Result<Cache> try_open() { return Cache::open(directory_.path(), options_); }
  Cache open() { return try_open().value(); }
  const std::filesystem::path& path() const { return directory_.path(); }
  static std::string key_of(int i) { return "key " + std::to_string(i); }
  static std::string value_of(int i) { return std::string(500, static_cast<char>('a' + i % 26)) + std::to_string(i); }
  static void fill(Cache& cache) {
    for (int i = 0; i < 5000; ++i) cache.set(key_of(i), value_of(i)).value();
  }
  // Reads everything; how many answers were neither right nor a miss.
  static int wrong_answers(Cache& cache) {
    int wrong = 0;
    std::string value;
    for (int i = 0; i < 5000; ++i) {
      if (cache.get(key_of(i), value) && value != value_of(i)) ++wrong;
      if (const auto pin = cache.get(key_of(i)); pin && pin->bytes() != value_of(i)) ++wrong;
    }
    return wrong;
  }

  engine::TestDirectory directory_;
  Options options_{.size_limit_bytes = 16 << 20, .durability = Durability::kNone};
};

// --- Files cut or removed while a process has them open ---

// A page that is not there any more is a SIGBUS: a library owns no signals, so it ends the process, before any answer.
TEST_F(PitfallsTest, AFileThatIsCutUnderAProcessEndsItOrIsAMissButNeverAnotherValue) {
  for (const char* name : {"ctl", "idx", "log"}) {
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{300'000}}) {
      const engine::TestDirectory elsewhere;
      const int ended = in_child([&] {
        ::signal(SIGBUS, SIG_DFL);  // a sanitizer's report would only be long
        Cache cache = Cache::open(elsewhere.path(), options_).value();
        fill(cache);
        std::filesystem::resize_file(elsewhere.path() / name, size);
        return wrong_answers(cache) == 0 ? 0 : 1;
      });
      EXPECT_TRUE(ended == 0 || ended == -SIGBUS) << name << " cut to " << size << ": " << ended;
    }
  }
}

// Made long again it reads as zeros: nothing is found there. (A record across the cut is damaged, as by a failing disk;
// reads do not look for that, a check does.)
TEST_F(PitfallsTest, AFileThatIsCutAndMadeLongAgainIsMissesAndTheCheckMendsIt) {
  Cache cache = open();
  fill(cache);
  const auto whole = std::filesystem::file_size(path() / "log");
  std::filesystem::resize_file(path() / "log", 0);
  std::filesystem::resize_file(path() / "log", whole);
  EXPECT_EQ(wrong_answers(cache), 0);
  EXPECT_GT(cache.check(true).value().repaired, 0u);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
  EXPECT_EQ(wrong_answers(cache), 0);
  cache.set("new", "1").value();
  EXPECT_EQ(cache.get("new")->bytes(), "1");
}

TEST_F(PitfallsTest, NobodyComesInWhileACutCacheIsInUse) {
  Cache cache = open();
  fill(cache);
  std::filesystem::resize_file(path() / "idx", 0);
  const Result<Cache> other = try_open();
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kCorrupt);
  EXPECT_THAT(other.error().message, HasSubstr("while processes have it open"));
}

TEST_F(PitfallsTest, ARemovedDirectoryIsKeptByThoseWhoHaveItOpen) {
  Cache cache = open();
  fill(cache);
  std::filesystem::remove_all(path());
  EXPECT_EQ(wrong_answers(cache), 0);
  for (int i = 0; i < 40'000; ++i) cache.set(key_of(i % 5000), value_of(i % 5000)).value();  // round the whole log
  EXPECT_EQ(wrong_answers(cache), 0);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
  EXPECT_EQ(in_child([&] {  // no place can be taken in it any more
              const Status written = cache.set("a", "1");
              return !written.ok() && written.error().code == Code::kNotFound && !cache.get(key_of(1)) ? 0 : 1;
            }),
            0);
  // The next opener makes a new one; the two know nothing of each other.
  Cache fresh = open();
  EXPECT_EQ(fresh.stats().entries, 0u);
  fresh.set(key_of(1), "new").value();
  EXPECT_EQ(cache.get(key_of(1))->bytes(), value_of(1));
}

TEST_F(PitfallsTest, ADirectoryThatIsMovedIsFoundByItsNewName) {
  const std::filesystem::path moved = path() / "moved";
  const std::filesystem::path before = path() / "before";
  Cache cache = Cache::open(before, options_).value();
  cache.set("a", "1").value();
  std::filesystem::rename(before, moved);
  Cache other = Cache::open(moved, options_).value();
  other.set("a", "2").value();
  EXPECT_EQ(cache.get("a")->bytes(), "2");
  EXPECT_EQ(cache.stats().processes, 2u);
}

// --- Mounts ---

TEST_F(PitfallsTest, AReadOnlyMountCanBeReadAndRefusesToBeWritten) {
  {
    Cache cache = open();
    fill(cache);
  }
  const int ended = in_child([&] {
    if (!mounts_alone() || ::mount(path().c_str(), path().c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, path().c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return kNotAllowed;
    const Result<Cache> writer = try_open();
    if (writer.ok() || writer.error().code != Code::kDenied) return 1;
    if (writer.error().message.find("Read-only") == std::string::npos) return 2;
    Options reading = options_;
    reading.read_only = true;
    Result<Cache> reader = Cache::open(path(), reading);
    if (!reader.ok()) return 3;
    if (wrong_answers(*reader) != 0 || !reader->get(key_of(7))) return 4;
    if (reader->set("a", "1").error().code != Code::kDenied) return 5;
    const Result<Cache> fresh = Cache::open(path() / "new", options_);
    return !fresh.ok() && fresh.error().code == Code::kDenied ? 0 : 6;
  });
  if (ended == kNotAllowed) GTEST_SKIP() << "this machine lets nobody mount";
  EXPECT_EQ(ended, 0);
}

TEST_F(PitfallsTest, NetworkFileSystemsAreKnown) {
  for (const std::uint32_t kind : {0x6969u, 0x517bu, 0xff534d42u, 0xfe534d42u, 0x01021997u, 0x00c36400u})
    EXPECT_TRUE(engine::is_network(kind)) << std::hex << kind;
  for (const std::uint32_t kind : {0xef53u /* ext4 */, 0x58465342u /* xfs */, 0x9123683eu /* btrfs */,
                                   0x01021994u /* tmpfs */, 0x794c7630u /* overlay */, 0x2fc12fc1u /* zfs */})
    EXPECT_FALSE(engine::is_network(kind)) << std::hex << kind;
}

// --- Creation that did not end ---

TEST_F(PitfallsTest, WhatACreationLeftBehindIsNoHindrance) {
  for (const auto& [name, bytes] : {std::pair{"ctl.new", std::string(70'000, 'x')}, {"idx", std::string(10, 'x')}}) {
    std::ofstream(path() / name) << bytes;
  }
  Cache cache = open();
  fill(cache);
  EXPECT_EQ(wrong_answers(cache), 0);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(path() / "ctl.new"));
}

TEST_F(PitfallsTest, ADeathInTheMiddleOfTheCreationIsNoHindrance) {
  static std::string dies_at;
  for (const char* at : {"ctl.new", ".", "ctl"}) {
    for (const bool ended : {false, true}) {
      const engine::TestDirectory elsewhere;
      dies_at = std::string(at) + (ended ? "+" : "-");
      EXPECT_EQ(in_child([&] {
                  engine::sync_hook.store([](const char* name, bool done) {
                    if (dies_at == std::string(name) + (done ? "+" : "-")) ::kill(::getpid(), SIGKILL);
                  });
                  (void)Cache::open(elsewhere.path(), options_);
                  return 0;
                }),
                -SIGKILL)
          << dies_at;
      Result<Cache> cache = Cache::open(elsewhere.path(), options_);
      ASSERT_TRUE(cache.ok()) << dies_at << ": " << cache.error().message;
      cache->set("a", "1").value();
      EXPECT_EQ(cache->get("a")->bytes(), "1");
      EXPECT_THAT(cache->check().value().findings, IsEmpty());
    }
  }
}

// --- Other builds ---

class VersionsTest : public PitfallsTest {
 protected:
  // The first page as another build would have written it, with a right checksum.
  template <typename Change>
  Error refused_after(Change&& change) {
    const engine::TestDirectory elsewhere;
    { Cache cache = Cache::open(elsewhere.path(), options_).value(); }
    engine::Superblock block;
    const std::string bytes = engine::read_bytes(elsewhere.path() / "ctl", 0, sizeof(block));
    std::memcpy(&block, bytes.data(), sizeof(block));
    change(block);
    block.checksum = 0;
    block.checksum = static_cast<std::uint32_t>(
        hash64(std::string_view(reinterpret_cast<const char*>(&block), sizeof(block)), engine::kFormatVersion));
    engine::write_bytes(elsewhere.path() / "ctl", 0, std::string(reinterpret_cast<const char*>(&block), sizeof(block)));
    const Result<Cache> cache = Cache::open(elsewhere.path(), options_);
    return cache.ok() ? Error{Code::kInternal, "it was opened"} : cache.error();
  }
};

TEST_F(VersionsTest, AnotherFormatIsRefusedWithBothVersions) {
  const Error error = refused_after([](engine::Superblock& block) { block.format_version = 77; });
  EXPECT_EQ(error.code, Code::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("version 77"));
  EXPECT_THAT(error.message, HasSubstr("version " + std::to_string(engine::kFormatVersion)));
}
TEST_F(VersionsTest, OtherStructuresUnderTheSameVersionAreRefused) {
  EXPECT_EQ(refused_after([](engine::Superblock& block) { block.layout_signature ^= 1; }).code, Code::kUnsupported);
}
TEST_F(VersionsTest, FeaturesThatAreNotKnownAreRefused) {
  EXPECT_EQ(refused_after([](engine::Superblock& block) { block.features = 1u << 31; }).code, Code::kUnsupported);
}
TEST_F(VersionsTest, TheOtherByteOrderIsRefused) {
  EXPECT_EQ(refused_after([](engine::Superblock& block) { block.byte_order = 0x04030201; }).code, Code::kUnsupported);
}
TEST_F(VersionsTest, ImpossibleSettingsAreDamage) {
  EXPECT_EQ(refused_after([](engine::Superblock& block) { block.shards = 3; }).code, Code::kCorrupt);
  EXPECT_EQ(refused_after([](engine::Superblock& block) { block.segment_shift = 40; }).code, Code::kCorrupt);
  EXPECT_EQ(refused_after([](engine::Superblock& block) { block.durability = 9; }).code, Code::kCorrupt);
}

// --- Keys chosen to collide ---

class FloodingTest : public PitfallsTest {
 protected:
  std::shared_ptr<engine::Files> files() {
    const Fd fd = engine::Files::open_directory(path(), false).value();
    return engine::Files::open(fd.get(), path(), options_).value();
  }
  // The longest chain of the only shard's index, in buckets.
  int longest_chain() {
    const std::shared_ptr<engine::Files> mapped = files();
    const engine::Index index(mapped, 0);
    int longest = 0;
    for (std::uint64_t i = 0; i < index.bucket_count(); ++i) {
      int length = 1;
      for (const engine::Bucket* at = mapped->buckets(0) + i; (at = index.next(at)) != nullptr && length < 1000;)
        ++length;
      longest = std::max(longest, length);
    }
    return longest;
  }
  // Sets `count` keys whose hash, with this seed, ends in the same 12 bits; how many it took.
  static int set_colliding(Cache& cache, std::uint64_t seed, int count) {
    int set = 0;
    for (int i = 0; set < count; ++i) {
      const std::string key = std::to_string(i);
      if ((hash64(key, seed) & 0xfff) != 7) continue;
      if (!cache.set(key, "").ok()) break;
      ++set;
    }
    return set;
  }
};

TEST_F(FloodingTest, KeysThatCollideElsewhereDoNotHere) {
  Cache cache = open();
  EXPECT_EQ(set_colliding(cache, 0, 2000), 2000);
  EXPECT_LE(longest_chain(), 4);
}
TEST_F(FloodingTest, NeitherDoKeysInARow) {
  Cache cache = open();
  for (int i = 0; i < 50'000; ++i) cache.set(std::string(1, '\0') + std::to_string(i * 4096), "").value();
  EXPECT_LE(longest_chain(), 4);
}
TEST_F(FloodingTest, WhoKnewTheSeedCouldMakeALongChainAndNoMore) {
  Cache cache = open();
  const int set = set_colliding(cache, files()->seed(), 1000);
  EXPECT_GT(longest_chain(), 20);  // so the two tests above would see it
  EXPECT_LE(set, engine::Index::kChainMax * engine::Bucket::kSlots);
  cache.set("another", "1").value();
  EXPECT_EQ(cache.get("another")->bytes(), "1");
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}
TEST_F(FloodingTest, EveryDirectoryHasASeedOfItsOwn) {
  Cache cache = open();
  const std::uint64_t first = files()->seed();
  const engine::TestDirectory elsewhere;
  Cache other = Cache::open(elsewhere.path(), options_).value();
  const Fd fd = engine::Files::open_directory(elsewhere.path(), false).value();
  EXPECT_NE(engine::Files::open(fd.get(), elsewhere.path(), options_).value()->seed(), first);
  EXPECT_NE(first, 0u);
}

// --- The clock ---

TEST_F(PitfallsTest, AClockThatJumpsChangesWhenEntriesEndAndNothingElse) {
  ManualClock clock;
  options_.clock = &clock;
  Cache cache = open();
  for (int i = 0; i < 2000; ++i) cache.set(key_of(i), value_of(i), {.ttl_ms = i % 2 == 0 ? 10'000 : 0}).value();
  std::uint64_t last = cache.info(key_of(1999))->sequence;
  for (const std::int64_t jump : {std::int64_t{-3'600'000}, std::int64_t{86'400'000} * 365 * 50,
                                  std::int64_t{-86'400'000} * 365 * 60, std::int64_t{86'400'000} * 365 * 10}) {
    clock.step_ms(jump);
    for (int i = 0; i < 30'000; ++i) {  // round the whole log, so that what has ended is taken out
      const std::string key = "turn " + std::to_string(i % 3000);
      cache.set(key, value_of(i), {.ttl_ms = 1000}).value();
      ASSERT_EQ(cache.get(key)->bytes(), value_of(i));
    }
    const std::uint64_t now = cache.info("turn 1")->sequence;
    EXPECT_GT(now, last);  // order does not come from the clock
    last = now;
    for (int i = 1; i < 2000; i += 2) ASSERT_EQ(cache.get(key_of(i))->bytes(), value_of(i)) << jump;
    ASSERT_THAT(cache.check().value().findings, IsEmpty());
    clock.advance_ms(1000);
    for (int i = 0; i < 3000; ++i) ASSERT_FALSE(cache.get("turn " + std::to_string(i)).has_value());
  }
  // What had ended and was not yet taken out lives again while the clock is back, and ends again.
  clock.step_ms(86'400'000);
  for (int i = 0; i < 2000; i += 2) ASSERT_FALSE(cache.get(key_of(i)).has_value());
}

}  // namespace
}  // namespace larder
