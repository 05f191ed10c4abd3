// What an entry carries beside its value, and the calls that ask for it: tags, cost, format, place, pinning; batches,
// comparing, popping; eviction by tag, prefix and pattern; settings that change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <set>

#include "engine/glob.h"
#include "engine/tags.h"
#include "engine/test_cache.h"
#include "engine/test_files.h"

namespace larder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EntriesTest : public engine::OneCacheTest {
 protected:
  EntriesTest() : OneCacheTest({.size_limit_bytes = 16 << 20, .shards = 2, .durability = Durability::kTimed}) {}

  std::string get(std::string_view key) {
    std::string value = "-";
    cache_->get(key, value);
    return value;
  }
  std::vector<std::string> keys(const Filter& filter = {}) {
    std::vector<std::string> found;
    for (const Item& item : cache_->list(0, 1000, filter)) found.push_back(item.key);
    return found;
  }
  std::vector<std::string> keys_back() {
    std::vector<std::string> found;
    for (const Item& item : cache_->list_back()) found.push_back(item.key);
    return found;
  }
};

TEST_F(EntriesTest, CarriesWhatItIsGiven) {
  cache_->set("a", "1", {.ttl_ms = 500, .tags = {"x", "long tag"}, .cost = 42, .format = 9, .pinned = true}).value();
  for (int i = 0; i < 3; ++i) {
    const EntryInfo info = cache_->info("a").value();
    EXPECT_EQ(info.expires_ms, clock_.now_ms() + 500);
    EXPECT_EQ(info.cost, 42u);
    EXPECT_EQ(info.format, 9);
    EXPECT_TRUE(info.pinned);
    EXPECT_TRUE(info.tagged);
    EXPECT_THAT(cache_->tags("a"), ElementsAre("x", "long tag"));
    EXPECT_THAT(cache_->get("a")->tags(), ElementsAre("x", "long tag"));
    EXPECT_EQ(get("a"), "1");
    EXPECT_THAT(faults(), IsEmpty());
    if (i == 0) open();
    if (i == 1) {
      cache_.reset();
      engine::lose_power(directory_.path());
      open();
    }
  }
}

TEST_F(EntriesTest, RefusesTagsAndFormatsThatDoNotFit) {
  EXPECT_EQ(cache_->set("a", "1", {.tags = {""}}).error().code, Code::kInvalid);
  EXPECT_EQ(cache_->set("a", "1", {.tags = {std::string(256, 'x')}}).error().code, Code::kTooLarge);
  EXPECT_EQ(cache_->set("a", "1", {.tags = std::vector<std::string_view>(17, "x")}).error().code, Code::kTooLarge);
  EXPECT_EQ(cache_->set("a", "1", {.format = 16}).error().code, Code::kInvalid);
  EXPECT_EQ(get("a"), "-");
  const std::string longest(255, 'x');
  cache_->set("a", "1", {.tags = std::vector<std::string_view>(16, longest)}).value();
  EXPECT_EQ(cache_->tags("a").size(), 16u);
}

TEST_F(EntriesTest, EvictsATagAtOnceAndForGood) {
  for (int i = 0; i < 300; ++i) {
    const std::string odd = i % 2 == 1 ? "odd" : "even";
    cache_->set("key " + std::to_string(i), "v", {.tags = {odd, "all"}, .pinned = i % 5 == 0}).value();
  }
  cache_->set("plain", "v").value();
  EXPECT_EQ(cache_->evict({.tag = "odd"}).value(), 150u);
  EXPECT_EQ(get("key 1"), "-");
  EXPECT_EQ(get("key 2"), "v");
  EXPECT_EQ(cache_->stats().entries, 151u);
  cache_->set("key 1", "new", {.tags = {"odd"}}).value();
  EXPECT_EQ(get("key 1"), "new");
  for (const bool power : {false, true}) {
    if (power) {
      cache_.reset();
      engine::lose_power(directory_.path());
    }
    open();
    EXPECT_EQ(get("key 1"), "new");
    EXPECT_EQ(get("key 2"), "v");
    EXPECT_EQ(get("key 3"), "-");
    EXPECT_EQ(get("plain"), "v");
    EXPECT_THAT(faults(), IsEmpty());
  }
  EXPECT_EQ(cache_->evict({.tag = "nobody has it"}).value(), 0u);
  EXPECT_EQ(cache_->evict({.tag = "all"}).value(), 150u);
  EXPECT_THAT(keys(), ElementsAre("plain", "key 1"));
}

TEST_F(EntriesTest, EvictsMoreTagsThanTheTableHolds) {
  options_.durability = Durability::kNone;
  cache_->change({.durability = Durability::kNone}).value();
  for (int i = 0; i < 5000; ++i) {
    const std::string tag = "tag " + std::to_string(i);
    cache_->set("kept", "v", {.tags = {"stays"}}).value();
    cache_->set("goes", "v", {.tags = {tag}}).value();
    // Not evict(): what is dead stays where it is, so that the table alone must tell.
    cache_->evict_tag(tag).value();
    ASSERT_EQ(get("goes"), "-");
    ASSERT_EQ(get("kept"), "v");
  }
}

TEST_F(EntriesTest, EvictsByPrefixAndPattern) {
  for (const char* key : {"user:1", "user:2", "user:12", "group:1", "user"}) cache_->set(key, "v").value();
  cache_->set("user:3", "v", {.tags = {"t"}}).value();
  EXPECT_THAT(keys({.prefix = "user:"}), ElementsAre("user:1", "user:2", "user:12", "user:3"));
  EXPECT_THAT(keys({.pattern = "*:1"}), ElementsAre("user:1", "group:1"));
  EXPECT_THAT(keys({.prefix = "user", .tag = "t"}), ElementsAre("user:3"));
  EXPECT_EQ(cache_->evict({.prefix = "user:", .pattern = "*[12]"}).value(), 3u);
  EXPECT_THAT(keys(), ElementsAre("group:1", "user", "user:3"));
  EXPECT_EQ(cache_->evict({.prefix = "user", .tag = "t"}).value(), 1u);
  EXPECT_EQ(cache_->evict({.prefix = "us"}).value(), 1u);
  EXPECT_THAT(cache_->evict({}).error().message, HasSubstr("clear"));
  EXPECT_THAT(keys(), ElementsAre("group:1"));
  // What was evicted does not come back.
  cache_->flush().value();
  cache_.reset();
  engine::lose_power(directory_.path());
  open();
  EXPECT_THAT(keys(), ElementsAre("group:1"));
}

TEST(Glob, MatchesAsAShellDoes) {
  using engine::glob_matches;
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_FALSE(glob_matches("", "a"));
  EXPECT_TRUE(glob_matches("a*c*e", "abcde"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_FALSE(glob_matches("a*c", "abcd"));
  EXPECT_TRUE(glob_matches("h[a-cx]t", "hxt"));
  EXPECT_FALSE(glob_matches("h[!a-c]t", "hbt"));
  EXPECT_TRUE(glob_matches("[]]", "]"));
  EXPECT_TRUE(glob_matches("\\*", "*"));
  EXPECT_FALSE(glob_matches("\\*", "a"));
  EXPECT_TRUE(glob_matches("[a", "[a"));
  EXPECT_TRUE(glob_matches("a?c", std::string_view("a\0c", 3)));
  EXPECT_TRUE(glob_matches("[^\xff]*", "\xfe\xff"));
  EXPECT_FALSE(glob_matches("*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

TEST_F(EntriesTest, ReplacesOnlyWhatIsThere) {
  EXPECT_FALSE(cache_->replace("a", "1").value());
  EXPECT_EQ(get("a"), "-");
  cache_->set("a", "1", {.ttl_ms = 10}).value();
  EXPECT_TRUE(cache_->replace("a", "2", {.ttl_ms = 10}).value());
  EXPECT_EQ(get("a"), "2");
  clock_.advance_ms(10);
  EXPECT_FALSE(cache_->replace("a", "3").value());
}

TEST_F(EntriesTest, ComparesBeforeItSets) {
  EXPECT_FALSE(cache_->compare_and_set("a", 7, "1").value());
  EXPECT_TRUE(cache_->compare_and_set("a", 0, "1").value());
  const std::uint64_t first = cache_->info("a")->sequence;
  EXPECT_FALSE(cache_->compare_and_set("a", 0, "2").value());
  EXPECT_TRUE(cache_->compare_and_set("a", first, "2").value());
  EXPECT_FALSE(cache_->compare_and_set("a", first, "3").value());
  EXPECT_FALSE(cache_->compare_and_del("a", first).value());
  EXPECT_EQ(get("a"), "2");
  EXPECT_TRUE(cache_->compare_and_del("a", cache_->info("a")->sequence).value());
  EXPECT_EQ(get("a"), "-");
}

TEST_F(EntriesTest, PopsOnce) {
  cache_->set("a", std::string(5000, 'x'), {.tags = {"t"}, .cost = 3}).value();
  const std::optional<Entry> taken = cache_->pop("a").value();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->value, std::string(5000, 'x'));
  EXPECT_EQ(taken->info.cost, 3u);
  EXPECT_THAT(taken->tags, ElementsAre("t"));
  EXPECT_FALSE(cache_->pop("a").value());
  cache_->set("b", "1", {.ttl_ms = 5}).value();
  clock_.advance_ms(5);
  EXPECT_FALSE(cache_->pop("b").value());
}

TEST_F(EntriesTest, TakesAndGivesManyAtOnce) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("key " + std::to_string(i));
  std::vector<KeyValue> entries;
  for (const std::string& name : names) entries.push_back({name, name});
  cache_->set_many(entries, {.tags = {"batch"}}).value();
  std::vector<std::string_view> wanted(names.begin(), names.end());
  wanted.insert(wanted.begin() + 500, "missing");
  wanted.push_back("");
  const std::vector<std::optional<Pin>> pins = cache_->get_many(wanted);
  ASSERT_EQ(pins.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool there = wanted[i] != "missing" && !wanted[i].empty();
    ASSERT_EQ(pins[i].has_value(), there);
    if (there) {
      ASSERT_EQ(pins[i]->bytes(), wanted[i]);
    }
  }
  EXPECT_EQ(cache_->tags("key 7"), std::vector<std::string>{"batch"});
  wanted.pop_back();
  EXPECT_EQ(cache_->del_many(wanted).value(), 1000u);
  EXPECT_EQ(cache_->stats().entries, 0u);
  // One that cannot be refuses all of them.
  const std::vector<KeyValue> bad{{"good", "1"}, {"", "2"}};
  EXPECT_EQ(cache_->set_many(bad).error().code, Code::kInvalid);
  EXPECT_EQ(get("good"), "-");
  cache_->set_many({}).value();
}

TEST_F(EntriesTest, KeepsItsPlaceWhenAsked) {
  for (const char* key : {"a", "b", "c"}) cache_->set(key, "1").value();
  cache_->set("a", "2", {.keeps_place = true}).value();
  cache_->set("b", "2").value();
  EXPECT_THAT(keys(), ElementsAre("a", "c", "b"));
  EXPECT_THAT(keys_back(), ElementsAre("b", "c", "a"));
  cache_->set("a", "3", {.keeps_place = true}).value();
  cache_->touch("a", 1000).value();
  cache_->touch("c", 1000).value();
  EXPECT_THAT(keys(), ElementsAre("a", "c", "b"));
  cache_->flush().value();
  cache_.reset();
  engine::lose_power(directory_.path());
  open();
  EXPECT_THAT(keys(), ElementsAre("a", "c", "b"));
  cache_->del("a").value();
  cache_->set("a", "4", {.keeps_place = true}).value();
  EXPECT_THAT(keys(), ElementsAre("c", "b", "a"));
}

TEST_F(EntriesTest, PinnedEntriesOutliveEverything) {
  for (int i = 0; i < 500; ++i)
    cache_->set("pinned " + std::to_string(i), std::string(4000, 'p'), {.pinned = true}).value();
  for (int i = 0; i < 20'000; ++i) cache_->set("key " + std::to_string(i), std::string(3000, 'x')).value();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(get("pinned " + std::to_string(i)).size(), 4000u) << i;
  EXPECT_GT(cache_->stats().evictions, 10'000u);
  EXPECT_GE(cache_->stats().pinned_bytes, 500u * 4000);
  // Counting and touching leave it pinned; setting it again without decides anew.
  cache_->set("n", "1", {.pinned = true}).value();
  cache_->incr("n").value();
  cache_->touch("n", 100'000).value();
  EXPECT_TRUE(cache_->info("n")->pinned);
  cache_->set("n", "1").value();
  EXPECT_FALSE(cache_->info("n")->pinned);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(EntriesTest, CountsFromNothingAsItIsTold) {
  EXPECT_EQ(cache_->incr("n", 3, {.ttl_ms = 50'000, .tags = {"t"}, .cost = 9, .format = 2, .pinned = true}).value(), 3);
  const EntryInfo made = cache_->info("n").value();
  EXPECT_EQ(made.expires_ms - made.stored_ms, 50'000);
  EXPECT_THAT(cache_->tags("n"), ElementsAre("t"));
  EXPECT_TRUE(made.format == 2 && made.cost == 9 && made.pinned);
  // What is there stays as it is.
  EXPECT_EQ(cache_->incr("n", 4, {.format = 5}).value(), 7);
  const EntryInfo kept = cache_->info("n").value();
  EXPECT_TRUE(kept.format == 2 && kept.pinned && kept.expires_ms == made.expires_ms);
  EXPECT_EQ(cache_->incr("m", 1, {.format = 16}).error().code, Code::kInvalid);
  EXPECT_FALSE(cache_->contains("m"));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(EntriesTest, ACacheFullOfPinnedEntriesSaysSo) {
  Status status;
  int written = 0;
  while (status.ok() && written < 10'000) {
    status = cache_->set("pinned " + std::to_string(written), std::string(4000, 'p'), {.pinned = true});
    written += status.ok() ? 1 : 0;
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kNoSpace);
  EXPECT_GT(written, 2000);
  for (int i = 0; i < written; ++i) ASSERT_EQ(get("pinned " + std::to_string(i)).size(), 4000u) << i;
  EXPECT_THAT(faults(), IsEmpty());
  // Deleting makes room again.
  for (int i = 0; i < written; i += 2) EXPECT_TRUE(cache_->del("pinned " + std::to_string(i)).value()) << i;
  cache_->set("after", std::string(4000, 'a')).value();
  for (int i = 1; i < written; i += 2) ASSERT_EQ(get("pinned " + std::to_string(i)).size(), 4000u) << i;
}

TEST_F(EntriesTest, CullTakesWhatIsOver) {
  for (int i = 0; i < 100; ++i) cache_->set("key " + std::to_string(i), "v", {.ttl_ms = i % 2 == 0 ? 10 : 0}).value();
  clock_.advance_ms(10);
  EXPECT_EQ(cache_->stats().entries, 100u);
  EXPECT_EQ(cache_->cull().value(), 50u);
  EXPECT_EQ(cache_->stats().entries, 50u);
  EXPECT_EQ(cache_->stats().expirations, 50u);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(EntriesTest, SettingsChangeForAllOpeners) {
  Cache other = Cache::open(directory_.path(), options_).value();
  const std::string value(100'000, 'x');
  for (int i = 0; i < 1000; ++i) cache_->set("key " + std::to_string(i), value).value();
  EXPECT_LE(cache_->stats().disk_bytes, 17u << 20);
  other.change({.size_limit_bytes = 48 << 20, .durability = Durability::kNone, .flush_every_ms = 50}).value();
  EXPECT_EQ(cache_->options().size_limit_bytes, 48u << 20);
  EXPECT_EQ(cache_->options().durability, Durability::kNone);
  EXPECT_EQ(cache_->options().flush_every_ms, 50u);
  for (int i = 0; i < 1000; ++i) cache_->set("key " + std::to_string(i), value).value();
  EXPECT_GT(cache_->stats().disk_bytes, 30u << 20);
  EXPECT_LE(cache_->stats().disk_bytes, 49u << 20);
  open();
  EXPECT_EQ(cache_->options().size_limit_bytes, 48u << 20);
  other.change({.size_limit_bytes = 16 << 20}).value();
  EXPECT_GT(cache_->cull().value(), 100u);
  EXPECT_LE(cache_->stats().disk_bytes, 17u << 20);
  EXPECT_THAT(cache_->change({.size_limit_bytes = 65 << 20}).error().message, HasSubstr("was made for"));
  EXPECT_EQ(cache_->change({.policy = static_cast<Policy>(9)}).error().code, Code::kInvalid);
  EXPECT_EQ(cache_->change({.flush_every_ms = 0}).error().code, Code::kInvalid);
  EXPECT_EQ(cache_->options().flush_every_ms, 50u);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(EntriesTest, KeepsToALimitOnEntries) {
  cache_->change({.entry_limit = 100}).value();
  for (int i = 0; i < 10; ++i) cache_->set("pinned " + std::to_string(i), "v", {.pinned = true}).value();
  for (int i = 0; i < 5000; ++i) {
    cache_->set("key " + std::to_string(i), "v").value();
    ASSERT_LE(cache_->stats().entries, 100u);
    // What is read stays; what was just written is there.
    ASSERT_EQ(get("key " + std::to_string(i)), "v");
    if (i % 10 == 0) (void)get("key 3");
  }
  EXPECT_GT(cache_->stats().entries, 90u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("pinned " + std::to_string(i)), "v");
  cache_->change({.entry_limit = 40}).value();
  cache_->cull().value();
  EXPECT_LE(cache_->stats().entries, 40u);
  // An entry that is there may be set at the limit, with any policy.
  cache_->change({.policy = Policy::kNone}).value();
  cache_->set("pinned 1", "w", {.pinned = true}).value();
  Status refused;
  for (int i = 0; refused.ok() && i < 100; ++i) refused = cache_->set("more " + std::to_string(i), "v");
  EXPECT_THAT(refused.error().message, HasSubstr("policy is none"));
  EXPECT_EQ(cache_->change({.entry_limit = 1}).error().code, Code::kInvalid);
  // What was evicted stays away.
  cache_->flush().value();
  const std::uint64_t entries = cache_->stats().entries;
  cache_.reset();
  engine::lose_power(directory_.path());
  open();
  EXPECT_EQ(cache_->stats().entries, entries);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(EntriesTest, CountsByShardAndByTag) {
  cache_->set("a", "12345", {.tags = {"x", "y"}}).value();
  cache_->set("b", "12345", {.tags = {"y"}}).value();
  cache_->set("c", "1").value();
  std::uint64_t entries = 0;
  for (const Stats& shard : cache_->shard_stats()) entries += shard.entries;
  EXPECT_EQ(cache_->shard_stats().size(), 2u);
  EXPECT_EQ(entries, 3u);
  const std::vector<TagStats> tags = cache_->tag_stats();
  ASSERT_EQ(tags.size(), 2u);
  EXPECT_EQ(tags[0].tag, "x");
  EXPECT_EQ(tags[0].entries, 1u);
  EXPECT_EQ(tags[1].entries, 2u);
  EXPECT_EQ(tags[1].bytes, 12u);
}

TEST(TagsArea, IsReadAsHostileInput) {
  const std::vector<std::string_view> tags{"one", "two"};
  const std::string area = engine::encode_tags(tags, 1).value();
  EXPECT_THAT(engine::decode_tags(area), ElementsAre("one", "two"));
  for (std::size_t cut = 0; cut < area.size(); ++cut) (void)engine::decode_tags(std::string_view(area).substr(0, cut));
  for (std::size_t at = 0; at < area.size(); ++at) {
    std::string damaged = area;
    damaged[at] = static_cast<char>(0xff);
    EXPECT_LE(engine::decode_tags(damaged).size(), 16u);
  }
}

}  // namespace
}  // namespace larder
