// One process, one thread: what each call answers.
#include <larder/cache.h>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/test_cache.h"

namespace larder {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CacheTest : public engine::OneCacheTest {
 protected:
  CacheTest() : OneCacheTest({.size_limit_bytes = 16 << 20, .durability = Durability::kNone}) {}

  // The value, or "-".
  std::string get(std::string_view key) {
    std::string value = "-";
    const bool hit = cache_->get(key, value);
    const std::optional<Pin> pin = cache_->get(key);
    EXPECT_EQ(hit, pin.has_value());
    EXPECT_EQ(hit, cache_->info(key).has_value());
    if (pin) {
      EXPECT_EQ(pin->bytes(), value);
    }
    return value;
  }
  std::vector<std::string> keys(std::uint64_t after = 0, std::size_t limit = 1000) {
    std::vector<std::string> found;
    for (const Item& item : cache_->list(after, limit)) found.push_back(item.key);
    return found;
  }
};

TEST_F(CacheTest, KeepsWhatIsSet) {
  EXPECT_EQ(get("a"), "-");
  cache_->set("a", "1").value();
  cache_->set("b", "").value();
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "");
  cache_->set("a", "another").value();
  EXPECT_EQ(get("a"), "another");
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, KeepsKeysAndValuesOfEverySize) {
  // Around every border: words, the aligned values, the long copies, the segment.
  std::vector<std::size_t> sizes{0,   1,   7,   8,   9,    15,   16,   23,   255,    256,
                                 257, 767, 768, 769, 1023, 1024, 1025, 4095, 100'000};
  sizes.push_back(cache_->value_bytes_max());
  for (std::size_t key_size : {1u, 2u, 7u, 8u, 9u, 15u, 16u, 17u, 300u, 65536u}) {
    for (std::size_t size : sizes) {
      std::string key(key_size, 'k');
      std::string value(size, '\0');
      for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 7 + key_size);
      cache_->set(key, value, {.ttl_ms = static_cast<std::int64_t>(size % 2) * 1000}).value();
      ASSERT_EQ(get(key), value) << key_size << " " << size;
    }
  }
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, RefusesWhatItCannotKeep) {
  EXPECT_EQ(cache_->set("", "1").error().code, Code::kInvalid);
  EXPECT_EQ(cache_->set("a", "1", {.ttl_ms = -1}).error().code, Code::kInvalid);
  EXPECT_EQ(cache_->set(std::string(65537, 'k'), "1").error().code, Code::kTooLarge);
  EXPECT_EQ(cache_->set("a", std::string(cache_->value_bytes_max() + 1, 'v')).error().code, Code::kTooLarge);
  EXPECT_EQ(get("a"), "-");
}

TEST_F(CacheTest, AddsOnlyWhatIsAbsent) {
  EXPECT_TRUE(cache_->add("a", "1").value());
  EXPECT_FALSE(cache_->add("a", "2").value());
  EXPECT_EQ(get("a"), "1");
  cache_->set("b", "1", {.ttl_ms = 10}).value();
  clock_.advance_ms(10);
  EXPECT_TRUE(cache_->add("b", "2").value());
  EXPECT_EQ(get("b"), "2");
}

TEST_F(CacheTest, DeletesOnce) {
  cache_->set("a", "1").value();
  EXPECT_TRUE(cache_->del("a").value());
  EXPECT_FALSE(cache_->del("a").value());
  EXPECT_EQ(get("a"), "-");
  cache_->set("a", "2").value();
  EXPECT_EQ(get("a"), "2");
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, EntriesEndAtTheirTime) {
  cache_->set("a", "1", {.ttl_ms = 1000}).value();
  EXPECT_EQ(cache_->info("a")->expires_ms, clock_.now_ms() + 1000);
  clock_.advance_ms(999);
  EXPECT_EQ(get("a"), "1");
  clock_.advance_ms(1);
  EXPECT_EQ(get("a"), "-");
  EXPECT_FALSE(cache_->del("a").value());
  EXPECT_EQ(cache_->stats().expirations, 1u);
}

TEST_F(CacheTest, TouchMovesTheEnd) {
  cache_->set("timed", "1", {.ttl_ms = 1000}).value();
  cache_->set("forever", "2").value();
  EXPECT_TRUE(cache_->touch("timed", 5000).value());
  EXPECT_TRUE(cache_->touch("forever", 5000).value());  // gets the room for an end by being written again
  EXPECT_FALSE(cache_->touch("missing", 5000).value());
  clock_.advance_ms(4999);
  EXPECT_EQ(get("timed"), "1");
  EXPECT_EQ(get("forever"), "2");
  EXPECT_TRUE(cache_->touch("timed", 0).value());
  clock_.advance_ms(1);
  EXPECT_EQ(get("timed"), "1");
  EXPECT_EQ(get("forever"), "-");
  EXPECT_FALSE(cache_->touch("forever", 1).value());
  EXPECT_EQ(cache_->info("timed")->expires_ms, 0);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, SurvivesAClockThatIsSetBack) {
  cache_->set("a", "1", {.ttl_ms = 1000}).value();
  clock_.step_ms(-60'000);
  EXPECT_EQ(get("a"), "1");
  cache_->set("b", "2", {.ttl_ms = 1000}).value();
  clock_.step_ms(61'000);
  EXPECT_EQ(get("b"), "-");
}

TEST_F(CacheTest, CountsUpAndDown) {
  EXPECT_EQ(cache_->incr("n").value(), 1);
  EXPECT_EQ(cache_->incr("n", 41).value(), 42);
  EXPECT_EQ(cache_->incr("n", -50).value(), -8);
  EXPECT_EQ(get("n"), "-8");
  cache_->set("top", "9223372036854775807").value();
  EXPECT_EQ(cache_->incr("top").error().code, Code::kInvalid);
  EXPECT_EQ(get("top"), "9223372036854775807");
  for (const char* no_number : {"", "x", "1x", " 1", "1.5", "99999999999999999999", "12345678901234567890123"}) {
    cache_->set("text", no_number).value();
    EXPECT_EQ(cache_->incr("text").error().code, Code::kInvalid) << no_number;
    EXPECT_EQ(get("text"), no_number);
  }
}

TEST_F(CacheTest, CountingKeepsTheExpiry) {
  cache_->set("n", "1", {.ttl_ms = 100}).value();
  cache_->incr("n").value();
  EXPECT_EQ(cache_->info("n")->expires_ms, clock_.now_ms() + 100);
  clock_.advance_ms(100);
  EXPECT_EQ(cache_->incr("n").value(), 1);
}

TEST_F(CacheTest, ClearEmptiesItForGood) {
  for (int i = 0; i < 10'000; ++i) cache_->set(std::to_string(i), std::string(100, 'v')).value();
  const std::uint64_t full = cache_->stats().disk_bytes;
  EXPECT_EQ(cache_->clear().value(), 10'000u);
  EXPECT_EQ(cache_->stats().entries, 0u);
  EXPECT_LT(cache_->stats().disk_bytes, full / 2);
  EXPECT_EQ(get("7"), "-");
  EXPECT_THAT(keys(), IsEmpty());
  cache_->set("7", "again").value();
  EXPECT_EQ(get("7"), "again");
  EXPECT_THAT(faults(), IsEmpty());
  open();
  EXPECT_THAT(keys(), ElementsAre("7"));
}

TEST_F(CacheTest, ListsInTheOrderOfWriting) {
  for (const char* key : {"c", "a", "b"}) cache_->set(key, "1").value();
  EXPECT_THAT(keys(), ElementsAre("c", "a", "b"));
  cache_->set("a", "2").value();
  EXPECT_THAT(keys(), ElementsAre("c", "b", "a"));
  cache_->del("c").value();
  EXPECT_THAT(keys(), ElementsAre("b", "a"));
  EXPECT_THAT(keys(0, 1), ElementsAre("b"));
  EXPECT_THAT(keys(cache_->info("b")->sequence), ElementsAre("a"));
}

TEST_F(CacheTest, ListsEverythingPageByPage) {
  for (int i = 0; i < 5000; ++i) cache_->set("key " + std::to_string(i), std::string(i % 300, 'v')).value();
  std::vector<std::string> seen;
  std::uint64_t after = 0;
  for (;;) {
    const std::vector<Item> page = cache_->list(after, 333);
    if (page.empty()) break;
    for (const Item& item : page) {
      EXPECT_GT(item.info.sequence, after);
      after = item.info.sequence;
      seen.push_back(item.key);
    }
  }
  ASSERT_EQ(seen.size(), 5000u);
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(seen[i], "key " + std::to_string(i));
}

TEST_F(CacheTest, TellsAboutAnEntry) {
  cache_->set("a", "12345", {.ttl_ms = 50}).value();
  const EntryInfo info = *cache_->info("a");
  EXPECT_EQ(info.value_bytes, 5u);
  EXPECT_EQ(info.stored_ms, clock_.now_ms());
  EXPECT_EQ(info.expires_ms, clock_.now_ms() + 50);
  EXPECT_GT(info.sequence, 0u);
}

TEST_F(CacheTest, PeeksWithoutLeavingATrace) {
  cache_->set("a", "1").value();
  EXPECT_EQ(cache_->peek("a")->bytes(), "1");
  EXPECT_EQ(cache_->peek("b"), std::nullopt);
  EXPECT_EQ(cache_->stats().hits, 0u);
  EXPECT_EQ(cache_->stats().misses, 0u);
}

TEST_F(CacheTest, Counts) {
  cache_->set("a", "1").value();
  cache_->set("b", "1").value();
  cache_->del("b").value();
  std::string value;
  cache_->get("a", value);
  cache_->get("b", value);
  EXPECT_TRUE(cache_->contains("a"));
  const Stats stats = cache_->stats();
  EXPECT_EQ(stats.entries, 1u);
  EXPECT_EQ(stats.hits, 2u);
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.sets, 2u);
  EXPECT_EQ(stats.deletes, 1u);
  EXPECT_EQ(stats.processes, 1u);
  EXPECT_GT(stats.disk_bytes, 0u);
  EXPECT_EQ(stats.value_bytes, 32u);
}

TEST_F(CacheTest, KeepsEverythingWhenReopened) {
  for (int i = 0; i < 20'000; ++i) cache_->set(std::to_string(i), std::to_string(i * i)).value();
  open();
  for (int i = 0; i < 20'000; ++i) ASSERT_EQ(get(std::to_string(i)), std::to_string(i * i));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, KeepsTheOptionsItWasCreatedWith) {
  options_.size_limit_bytes = 64 << 20;
  options_.shards = 4;
  open();
  EXPECT_EQ(cache_->options().size_limit_bytes, 16u << 20);
  EXPECT_EQ(cache_->options().shards, 1u);
  EXPECT_EQ(cache_->options().durability, Durability::kNone);
}

// --- The size limit ---

TEST_F(CacheTest, StaysWithinItsLimit) {
  const std::string value(1000, 'v');
  for (int i = 0; i < 60'000; ++i) cache_->set(std::to_string(i), value).value();
  const Stats stats = cache_->stats();
  EXPECT_LE(stats.disk_bytes, stats.size_limit_bytes + (1 << 19));
  EXPECT_GT(stats.value_bytes, stats.size_limit_bytes / 2);
  EXPECT_GT(stats.evictions, 30'000u);
  EXPECT_EQ(get("59999"), value);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, KeepsWhatIsRead) {
  const std::string value(1000, 'v');
  for (int i = 0; i < 100; ++i) cache_->set("hot " + std::to_string(i), value).value();
  for (int i = 0; i < 60'000; ++i) {
    cache_->set(std::to_string(i), value).value();
    cache_->contains("hot " + std::to_string(i % 100));
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get("hot " + std::to_string(i)), value) << i;
}

TEST_F(CacheTest, EvictsNothingWhileThereIsRoom) {
  // Overwriting fills the log many times over; the live data stays at a third.
  const std::string value(1000, 'v');
  for (int i = 0; i < 100'000; ++i) cache_->set(std::to_string(i % 5000), value).value();
  EXPECT_EQ(cache_->stats().entries, 5000u);
  EXPECT_EQ(cache_->stats().evictions, 0u);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, DeletingAndSettingForEverNeedsNoRoom) {
  for (int i = 0; i < 400'000; ++i) {
    cache_->set("key " + std::to_string(i), "12345678901234567890123456789012345678901234567890").value();
    ASSERT_TRUE(cache_->del("key " + std::to_string(i)).value());
  }
  EXPECT_EQ(cache_->stats().entries, 0u);
  EXPECT_EQ(cache_->stats().evictions, 0u);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, ExpiredEntriesGiveTheirRoomBack) {
  const std::string value(1000, 'v');
  for (int i = 0; i < 5000; ++i) cache_->set("keep " + std::to_string(i), value).value();
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 5000; ++i) cache_->set(std::to_string(round * 5000 + i), value, {.ttl_ms = 10}).value();
    clock_.advance_ms(10);
  }
  EXPECT_EQ(cache_->stats().evictions, 0u);
  EXPECT_GT(cache_->stats().expirations, 30'000u);
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(get("keep " + std::to_string(i)), value);
}

// --- Pins ---

TEST_F(CacheTest, APinKeepsItsBytesThroughEverything) {
  const std::string value(10'000, 'p');
  cache_->set("a", value).value();
  {
    const Pin pin = *cache_->get("a");
    cache_->set("a", "other").value();
    cache_->del("a").value();
    for (int i = 0; i < 60'000; ++i) cache_->set(std::to_string(i), std::string(1000, 'v')).value();
    EXPECT_EQ(pin.bytes(), value);
    cache_->clear().value();
    for (int i = 0; i < 60'000; ++i) cache_->set(std::to_string(i), std::string(1000, 'v')).value();
    EXPECT_EQ(pin.bytes(), value);
  }
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, SaysSoWhenPinsHoldEverything) {
  std::vector<Pin> pins;
  Status last;
  for (int i = 0; i < 60'000 && last.ok(); ++i) {
    const std::string key = std::to_string(i);
    last = cache_->set(key, std::string(1000, 'v'));
    if (auto pin = cache_->get(key)) pins.push_back(std::move(*pin));
  }
  ASSERT_FALSE(last.ok());
  EXPECT_EQ(last.error().code, Code::kNoSpace);
  EXPECT_THAT(last.error().message, HasSubstr("pinned"));
  pins.clear();
  cache_->set("a", "1").value();
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(CacheTest, PinsAndCachesCanBeMoved) {
  cache_->set("a", "1").value();
  cache_->set("b", "2").value();
  Pin pin = *cache_->get("a");
  pin = *cache_->get("b");
  EXPECT_EQ(pin.bytes(), "2");
  Pin& itself = pin;
  pin = std::move(itself);
  EXPECT_EQ(pin.bytes(), "2");
  engine::TestDirectory elsewhere;
  Cache other = Cache::open(elsewhere.path(), {.size_limit_bytes = 16 << 20}).value();
  other = open_another().value();
  EXPECT_EQ(other.directory(), directory_.path());
  EXPECT_EQ(other.get("b")->bytes(), "2");
}

// --- Openers ---

TEST_F(CacheTest, TwoOpenersShareOneCache) {
  Cache other = open_another().value();
  cache_->set("a", "1").value();
  std::string value;
  EXPECT_TRUE(other.get("a", value));
  other.set("a", "2").value();
  EXPECT_EQ(get("a"), "2");
  EXPECT_EQ(other.stats().processes, 2u);
}

TEST_F(CacheTest, ReadOnlyReadsAndRefusesToWrite) {
  cache_->set("a", std::string(5000, 'v')).value();
  cache_->set("b", "2").value();
  options_.read_only = true;
  Cache reader = open_another().value();
  std::string value;
  EXPECT_TRUE(reader.get("a", value));
  EXPECT_EQ(value, std::string(5000, 'v'));
  EXPECT_EQ(reader.get("b")->bytes(), "2");
  EXPECT_EQ(reader.list().size(), 2u);
  EXPECT_EQ(reader.set("a", "1").error().code, Code::kDenied);
  EXPECT_EQ(reader.del("a").error().code, Code::kDenied);
  EXPECT_EQ(reader.clear().error().code, Code::kDenied);
}

TEST_F(CacheTest, ReadOnlyChecksWhatNobodyWrites) {
  cache_->set("a", "a value that will be damaged").value();
  cache_->set("b", "2").value();
  options_.read_only = true;
  {
    Cache reader = open_another().value();
    const Error busy = reader.check().error();
    EXPECT_EQ(busy.code, Code::kUnavailable);
    EXPECT_THAT(busy.message, HasSubstr("1 process has it open for writing"));
  }
  cache_.reset();
  Cache reader = open_another().value();
  EXPECT_THAT(reader.check().value().findings, IsEmpty());
  EXPECT_EQ(reader.check().value().entries, 2u);

  std::fstream log(directory_.path() / "log", std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes(1 << 20, '\0');
  log.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  log.seekp(static_cast<std::streamoff>(bytes.find("will be damaged")));
  log << "WILL" << std::flush;
  EXPECT_THAT(reader.check().value().findings, Contains(HasSubstr("damaged record")));
  EXPECT_EQ(reader.check(true).error().code, Code::kDenied);
  EXPECT_THAT(reader.check().value().findings, Contains(HasSubstr("damaged record")));
  options_.read_only = false;
  open();  // nobody waits for a lock that the check took
  cache_->set("b", "3").value();
}

TEST_F(CacheTest, IsMadeOnlyWhereNothingElseIs) {
  engine::TestDirectory elsewhere;
  std::ofstream(elsewhere.path() / "diary") << "mine";
  const Error refused = Cache::open(elsewhere.path(), options_).error();
  EXPECT_EQ(refused.code, Code::kExists);
  EXPECT_THAT(refused.message, HasSubstr("holds other files (diary) and no cache"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(elsewhere.path()), {}), 1);

  // What a creation left that did not come to its end is ours, and so is what the file system itself puts there.
  std::filesystem::remove(elsewhere.path() / "diary");
  for (const char* name : {"ctl.new", "idx", "log"}) std::ofstream(elsewhere.path() / name) << "";
  std::filesystem::create_directory(elsewhere.path() / "lost+found");
  Cache::open(elsewhere.path(), options_).value();
  std::ofstream(elsewhere.path() / "diary") << "mine";
  Cache::open(elsewhere.path(), options_).value();
}

TEST_F(CacheTest, OpensOnlyWhatIsThere) {
  engine::TestDirectory elsewhere;
  EXPECT_EQ(Cache::open(elsewhere.path() / "none", {.create = false}).error().code, Code::kNotFound);
  EXPECT_EQ(Cache::open(elsewhere.path(), {.create = false}).error().code, Code::kNotFound);
  EXPECT_EQ(Cache::open(elsewhere.path(), {.read_only = true}).error().code, Code::kNotFound);
}

TEST_F(CacheTest, RefusesOptionsOutOfRange) {
  const auto open_with = [](const Options& options) {
    engine::TestDirectory elsewhere;
    return Cache::open(elsewhere.path(), options).error();
  };
  EXPECT_EQ(open_with({.size_limit_bytes = 1 << 20}).code, Code::kInvalid);
  EXPECT_EQ(open_with({.size_limit_bytes = 16 << 20, .shards = 3}).code, Code::kInvalid);
  EXPECT_THAT(open_with({.size_limit_bytes = 16 << 20, .shards = 8}).message, HasSubstr("4 MiB"));
  EXPECT_EQ(open_with({.flush_every_ms = 0}).code, Code::kInvalid);
}

TEST_F(CacheTest, RefusesWhatIsNoCache) {
  cache_->set("a", "1").value();
  cache_.reset();
  const auto overwrite = [&](std::uint64_t at, const std::string& bytes) {
    std::fstream file(directory_.path() / "ctl", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  };
  overwrite(40, "?");  // damage
  EXPECT_EQ(open_another().error().code, Code::kCorrupt);
  overwrite(8, std::string(1, 9));  // another version
  EXPECT_EQ(open_another().error().code, Code::kUnsupported);
  EXPECT_THAT(open_another().error().message, HasSubstr("version 9"));
  overwrite(0, "SQLite");
  EXPECT_EQ(open_another().error().code, Code::kCorrupt);
  std::filesystem::resize_file(directory_.path() / "ctl", 10);
  EXPECT_EQ(open_another().error().code, Code::kCorrupt);
  // A log with entries and no ctl: nothing is overwritten.
  std::filesystem::remove(directory_.path() / "ctl");
  EXPECT_EQ(open_another().error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace larder
