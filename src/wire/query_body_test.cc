#include "wire/query_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::wire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What the body is refused with, or "" when it is taken.
std::string refusal(std::string_view body) {
  const Result<QueryRequest> result = parse_query_body(body);
  return result.ok() ? "" : result.error().message;
}

TEST(QueryBody, IsReadWhole) {
  const QueryRequest request = parse_query_body(R"({"sql": "select $1", "source": "flights", "format": "json",
      "params": [null, true, -7, 1, 1.0, "1", 9223372036854775807], "max_age": 1.5})")
                                   .value();
  EXPECT_EQ(request.sql, "select $1");
  EXPECT_EQ(request.source, "flights");
  EXPECT_EQ(request.format, Format::kJson);
  EXPECT_EQ(request.max_age_ms, 1500);
  EXPECT_THAT(request.params, ElementsAre(Param{}, Param{true}, Param{std::int64_t{-7}}, Param{std::int64_t{1}},
                                          Param{1.0}, Param{std::string("1")}, Param{INT64_MAX}));
}

TEST(QueryBody, NeedsOnlySql) {
  const QueryRequest request = parse_query_body(R"({"sql":"select 1"})").value();
  EXPECT_EQ(request.source, "");
  EXPECT_TRUE(request.params.empty());
  EXPECT_EQ(request.format, std::nullopt);
  EXPECT_EQ(request.max_age_ms, std::nullopt);
  EXPECT_EQ(refusal("{}"), "body: 'sql' is missing");
}

TEST(QueryBody, RoundsAgesUpSoThatNothingBecomesZero) {
  EXPECT_EQ(parse_query_body(R"({"sql":"", "max_age": 0})").value().max_age_ms, 0);
  EXPECT_EQ(parse_query_body(R"({"sql":"", "max_age": 0.0001})").value().max_age_ms, 1);
  EXPECT_EQ(parse_query_body(R"({"sql":"", "max_age": 1e300})").value().max_age_ms, 1'000'000'000'000'000);
}

TEST(QueryBody, RefusesUnknownAndRepeatedKeys) {
  EXPECT_EQ(refusal(R"({"sqll": "select 1"})"), "body: unknown key 'sqll' (did you mean 'sql'?)");
  EXPECT_EQ(refusal(R"({"maxage": 1})"), "body: unknown key 'maxage' (did you mean 'max_age'?)");
  EXPECT_EQ(refusal(R"({"colour": 1})"), "body: unknown key 'colour'");
  EXPECT_EQ(refusal(R"({"sql": "a", "sql": "b"})"), "body: key 'sql' is given twice");
  EXPECT_THAT(refusal("{\"" + std::string(39, 'k') + "\xc3\xa9\": 1}"), HasSubstr("'" + std::string(39, 'k') + "...'"));
}

TEST(QueryBody, RefusesWrongTypesAndSaysWhere) {
  EXPECT_EQ(refusal(R"({"sql": 1})"), "body: 'sql' is a number; it must be a string");
  EXPECT_EQ(refusal(R"({"sql": null})"), "body: 'sql' is null; it must be a string");
  EXPECT_EQ(refusal(R"({"source": []})"), "body: 'source' is an array; it must be a string");
  EXPECT_EQ(refusal(R"({"params": {}})"), "body: 'params' is an object; it must be an array");
  EXPECT_EQ(refusal(R"({"params": "x"})"), "body: 'params' is a string; it must be an array");
  EXPECT_EQ(refusal(R"({"params": [1, {}]})"),
            "body: params[1] is an object; a parameter is null, a boolean, a number or a string");
  EXPECT_THAT(refusal(R"({"params": [[]]})"), HasSubstr("params[0] is an array"));
  EXPECT_EQ(refusal(R"({"max_age": "1"})"), "body: 'max_age' is a string; it must be a number of seconds");
  EXPECT_THAT(refusal(R"({"max_age": -1})"), HasSubstr("'max_age' is negative"));
  EXPECT_EQ(refusal(R"({"format": "xml"})"), "body: 'format' is 'xml'; it is one of arrow, json and csv");
  EXPECT_THAT(refusal("[]"), HasSubstr("it is an array; it must be an object"));
  EXPECT_THAT(refusal("7"), HasSubstr("it is a number; it must be an object"));
}

TEST(QueryBody, NeverRoundsAnInteger) {
  EXPECT_THAT(refusal(R"({"params": [9223372036854775808]})"), HasSubstr("params[0] is '9223372036854775808', which"));
  EXPECT_THAT(refusal(R"({"params": [1, 123456789012345678901234567890]})"), HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(refusal(R"({"params": [-9223372036854775809]})"), HasSubstr("does not fit in 64 bits"));
  EXPECT_EQ(refusal(R"({"sql": "", "params": [-9223372036854775808, 1e20]})"), "");
}

TEST(QueryBody, RefusesWhatIsNoJson) {
  for (std::string_view body :
       {"", " ", "{", "{\"sql\"}", "{\"sql\":\"a\"", "{\"sql\":\"a\",}", "{'sql':'a'}", "{\"sql\":\"a\"} x",
        "{\"sql\":\"a\"}{}", "{\"params\":[1e999]}", "{\"sql\":\"\\ud800\"}"})
    EXPECT_THAT(refusal(body), HasSubstr("no JSON at byte")) << body;
}

TEST(QueryBody, RefusesBytesThatAreNotUtf8) {
  for (std::string_view bytes : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc3"})
    EXPECT_THAT(refusal("{\"sql\":\"" + std::string(bytes) + "\"}"), HasSubstr("no JSON at byte"));
}

TEST(QueryBody, RefusesNul) {
  EXPECT_EQ(refusal(R"({"sql": "select 1\u0000; drop"})"), "body: 'sql' has a NUL character in it");
}

TEST(QueryBody, KeepsItsLimits) {
  const QueryBodyLimits limits = {.sql_bytes_max = 8, .source_bytes_max = 4, .params_max = 2};
  EXPECT_TRUE(parse_query_body(R"({"sql":"12345678","source":"1234","params":[1,2]})", limits).ok());
  EXPECT_EQ(parse_query_body(R"({"sql":"123456789"})", limits).error().code, Code::kTooLarge);
  EXPECT_EQ(parse_query_body(R"({"source":"12345"})", limits).error().code, Code::kTooLarge);
  EXPECT_EQ(parse_query_body(R"({"params":[1,2,3]})", limits).error().code, Code::kTooLarge);
}

TEST(QueryBody, DoesNotGoDeep) {
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("it is an array"));
  EXPECT_THAT(refusal("{\"params\":" + std::string(1'000'000, '[')), HasSubstr("params[0] is an array"));
}

}  // namespace
}  // namespace larder::wire
