#include "query/entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace larder::query {
namespace {

using testing::ElementsAre;

const std::string kKey = "query:" + std::string(64, 'a');

EntryMeta some_meta() {
  return {.sql = "SELECT 1 -- é",
          .params_json = "[1]",
          .source = "flights",
          .reads = {"airports", "flights"},
          .version = "v1",
          .rows = 3,
          .created_ms = 1'700'000'000'000,
          .cost_ms = 12.5};
}

std::string entry(const EntryMeta& meta, std::string_view stream) {
  return entry_head(meta, stream.size()).append(stream);
}

TEST(Entry, TellsWhatWasWritten) {
  const std::string value = entry(some_meta(), "ARROW");
  const std::optional<EntryMeta> meta = describe(kKey, value);
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->sql, "SELECT 1 -- é");
  EXPECT_EQ(meta->params_json, "[1]");
  EXPECT_EQ(meta->source, "flights");
  EXPECT_THAT(meta->reads, ElementsAre("airports", "flights"));
  EXPECT_EQ(meta->version, "v1");
  EXPECT_EQ(meta->rows, 3u);
  EXPECT_EQ(meta->created_ms, 1'700'000'000'000);
  EXPECT_EQ(meta->cost_ms, 12.5);

  const std::optional<EntryFacts> facts = read_entry(value);
  ASSERT_TRUE(facts);
  EXPECT_EQ(value.substr(facts->stream_offset), "ARROW");
  EXPECT_EQ(facts->rows, 3u);
  EXPECT_EQ(facts->created_ms, 1'700'000'000'000);
  EXPECT_EQ(facts->cost_ms, 12.5);
}

TEST(Entry, KeepsTheStreamAligned) {
  EntryMeta meta = some_meta();
  for (int i = 0; i < 200; ++i) {
    meta.sql += 'x';
    EXPECT_EQ(read_entry(entry(meta, "ARROW"))->stream_offset % 64, 0u);
  }
}

TEST(Entry, MayBeEmptyEverywhere) {
  const std::optional<EntryMeta> meta = describe(kKey, entry({}, ""));
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->sql, "");
  EXPECT_TRUE(meta->reads.empty());
}

TEST(Entry, CutsLongSqlBetweenLetters) {
  EntryMeta meta = some_meta();
  meta.sql = "x";
  for (int i = 0; i < 20'000; ++i) meta.sql += "é";
  const std::string kept = describe(kKey, entry(meta, ""))->sql;
  EXPECT_EQ(kept.size(), 16 * 1024 - 1u);
  EXPECT_EQ(kept.substr(kept.size() - 2), "é");
}

TEST(Entry, IsNoneWhenCutAnywhere) {
  const std::string value = entry(some_meta(), "ARROW");
  for (std::size_t bytes = 0; bytes < value.size(); ++bytes) {
    EXPECT_FALSE(read_entry(std::string_view(value).substr(0, bytes))) << bytes;
    EXPECT_FALSE(describe(kKey, std::string_view(value).substr(0, bytes))) << bytes;
  }
  EXPECT_FALSE(read_entry(value + "x"));
}

TEST(Entry, IsNoneWithAnyBitOfItsHeadTurned) {
  std::string value = entry(some_meta(), "ARROW");
  for (std::size_t bit = 0; bit < (value.size() - 5) * 8; ++bit) {
    value[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_FALSE(read_entry(value)) << bit;
    value[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
  EXPECT_TRUE(read_entry(value));
}

TEST(Entry, IsDescribedUnderAKeyOfItsKindOnly) {
  const std::string value = entry(some_meta(), "ARROW");
  EXPECT_TRUE(describe(kKey, value));
  for (const std::string& key : {std::string("user:7"), kKey + "a", kKey.substr(1), "query:" + std::string(64, 'A'),
                                 "Query:" + std::string(64, 'a'), std::string()})
    EXPECT_FALSE(describe(key, value)) << key;
}

TEST(ParamsJson, WritesEachTypeAsPeopleReadIt) {
  EXPECT_EQ(params_json({}), "[]");
  EXPECT_EQ(params_json({std::monostate{}, true, std::int64_t{1}, 1.0, 0.1, std::string("1")}),
            R"([null,true,1,1.0,0.1,"1"])");
  EXPECT_EQ(params_json({std::nan(""), INFINITY, -INFINITY}), R"(["NaN","Infinity","-Infinity"])");
  EXPECT_EQ(params_json({std::string("\xff\"")}), "[\"\xef\xbf\xbd\\\"\"]");
}

}  // namespace
}  // namespace larder::query
