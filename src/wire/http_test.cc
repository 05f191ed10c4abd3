#include "wire/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::wire {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Negotiate, TakesTheBestLikedFormat) {
  EXPECT_EQ(negotiate(""), Format::kArrow);
  EXPECT_EQ(negotiate("*/*"), Format::kArrow);
  EXPECT_EQ(negotiate("application/json"), Format::kJson);
  EXPECT_EQ(negotiate("Text/CSV; charset=utf-8"), Format::kCsv);
  EXPECT_EQ(negotiate("text/*"), Format::kCsv);
  EXPECT_EQ(negotiate("application/*"), Format::kArrow);
  EXPECT_EQ(negotiate("text/csv;q=0.5, application/json;q=0.9"), Format::kJson);
  EXPECT_EQ(negotiate("text/csv;q=0.9, application/json;q=0.5"), Format::kCsv);
  EXPECT_EQ(negotiate("application/vnd.apache.arrow.stream"), Format::kArrow);
}

TEST(Negotiate, PrefersWhatIsNamedToWhatAStarLetsIn) {
  EXPECT_EQ(negotiate("application/json, text/plain, */*"), Format::kJson);
  EXPECT_EQ(negotiate("text/csv, application/*"), Format::kCsv);
}

TEST(Negotiate, LetsTheMostExactRangeDecide) {
  EXPECT_EQ(negotiate("*/*, application/vnd.apache.arrow.stream;q=0"), Format::kJson);
  EXPECT_EQ(negotiate("application/*;q=0.1, */*;q=0.5"), Format::kCsv);
}

TEST(Negotiate, SaysWhenNothingFits) {
  EXPECT_EQ(negotiate("text/html"), std::nullopt);
  EXPECT_EQ(negotiate("application/json;q=0"), std::nullopt);
  EXPECT_EQ(negotiate("application/json;q=2"), std::nullopt) << "a quality that is none";
  EXPECT_EQ(negotiate("image/*;x=\"a,b;c\""), std::nullopt);
  EXPECT_EQ(negotiate("application/jso"), std::nullopt);
}

TEST(Encoding, IsTakenWhenNamedOrByStar) {
  EXPECT_TRUE(accepts_encoding("gzip, deflate, br", "br"));
  EXPECT_TRUE(accepts_encoding("*", "br"));
  EXPECT_FALSE(accepts_encoding("*, br;q=0", "br"));
  EXPECT_FALSE(accepts_encoding("gzip", "br"));
  EXPECT_FALSE(accepts_encoding("", "br"));
  EXPECT_FALSE(accepts_encoding("brotli", "br"));
}

TEST(Json, EscapesAndMends) {
  EXPECT_EQ(json_string("a\"b\\\n"), R"("a\"b\\\n")");
  EXPECT_EQ(json_string("\xff"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(error_body({Code::kNotFound, "no table 'x'"}, "7f"),
            R"({"error":{"code":"not_found","message":"no table 'x'","request_id":"7f"}})");
}

TEST(CacheStatus, ReadsAsRfc9211Has) {
  EXPECT_EQ(cache_status({.hit = true, .stored = true}), "larder; hit");
  EXPECT_EQ(cache_status({.stored = true}), "larder; fwd=miss; stored");
  EXPECT_EQ(cache_status({.stored = true, .collapsed = true}), "larder; fwd=miss; stored; collapsed");
  EXPECT_EQ(cache_status({.detail = "too-large"}), "larder; fwd=miss; detail=too-large");
}

TEST(ServerTiming, ListsMilliseconds) {
  EXPECT_EQ(server_timing({{"lookup", 0.0123}, {"source", 1234.56}}), "lookup;dur=0.012, source;dur=1234.6");
  EXPECT_EQ(server_timing({}), "");
}

TEST(Etag, IsHalfTheHashAndTheFormat) {
  const std::string key = "query:" + std::string(32, 'a') + std::string(32, 'b');
  EXPECT_EQ(etag(key, Format::kArrow), '"' + std::string(32, 'a') + '"');
  EXPECT_EQ(etag(key, Format::kJson), '"' + std::string(32, 'a') + "-json\"");
  EXPECT_EQ(etag("", Format::kArrow), "");
}

TEST(Etag, MatchesInListsAndWeakly) {
  EXPECT_TRUE(etag_matches("\"x\"", "\"x\""));
  EXPECT_TRUE(etag_matches("\"a,b\", W/\"x\"", "\"x\""));
  EXPECT_TRUE(etag_matches(" * ", "\"x\""));
  EXPECT_FALSE(etag_matches("\"y\", \"xx\"", "\"x\""));
  EXPECT_FALSE(etag_matches("x", "\"x\""));
  EXPECT_FALSE(etag_matches("", "\"x\""));
  EXPECT_FALSE(etag_matches("\"open, \"x", "\"x\""));
}

TEST(Percent, GoesThereAndBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a b/c"), "a%20b%2Fc");
  EXPECT_EQ(percent_decode("a%2fb+c"), "a/b+c");
}

TEST(Percent, RefusesHalfEscapes) {
  for (const char* text : {"%", "%4", "a%", "%zz", "%4g", "%-1"}) EXPECT_EQ(percent_decode(text), std::nullopt) << text;
}

TEST(Target, ComesApart) {
  const Target target = parse_target("/api/v1/entries/a%2Fb?after=7&prefix=x+y%26z&&flag").value();
  EXPECT_EQ(target.path, "/api/v1/entries/a%2Fb");
  EXPECT_THAT(target.query, ElementsAre(Pair("after", "7"), Pair("prefix", "x y&z"), Pair("flag", "")));
  EXPECT_EQ(parse_target("/").value().path, "/");
  EXPECT_TRUE(parse_target("/?").value().query.empty());
}

TEST(Target, RefusesBadEscapesAndTooMuch) {
  EXPECT_FALSE(parse_target("/?a=%").ok());
  EXPECT_FALSE(parse_target("/?%zz=1").ok());
  std::string long_one = "/?";
  for (int i = 0; i < 64; ++i) long_one += "a&";
  EXPECT_TRUE(parse_target(long_one).ok());
  EXPECT_FALSE(parse_target(long_one + "a").ok());
}

}  // namespace
}  // namespace larder::wire
