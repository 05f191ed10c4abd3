#include "query/fingerprint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace larder::query {
namespace {

TEST(Fingerprint, IsAPrefixAndAHash) {
  const std::string key = fingerprint({}, "SELECT 1", "v1");
  EXPECT_EQ(key.size(), 6 + 64u);
  EXPECT_EQ(key.substr(0, 6), "query:");
  EXPECT_EQ(key, fingerprint({}, "SELECT 1", "v1"));
}

TEST(Fingerprint, DoesNotSeeHowTheSqlWasWritten) {
  EXPECT_EQ(fingerprint({.question = {.source = "", .sql = "select 1", .params = {}}}, "SELECT 1", "v1"),
            fingerprint({.question = {.source = "", .sql = "SELECT  1", .params = {}}}, "SELECT 1", "v1"));
}

// Each line differs from every other in one thing that decides an answer, or moves a byte from one part to the next.
TEST(Fingerprint, DiffersWithEverythingThatDecidesTheAnswer) {
  using sources::Param;
  const auto ask = [](std::string source, std::vector<Param> params, std::string scope = "") {
    return Ask{.question = {std::move(source), "", std::move(params)}, .max_age_ms = {}, .scope = std::move(scope)};
  };
  const std::vector<std::string> keys = {
      fingerprint(ask("", {}), "", ""),
      fingerprint(ask("", {}), "a", ""),
      fingerprint(ask("a", {}), "", ""),
      fingerprint(ask("", {}, "a"), "", ""),
      fingerprint(ask("", {}), "", "a"),
      fingerprint(ask("a", {}, "bc"), "", ""),
      fingerprint(ask("ab", {}, "c"), "", ""),
      fingerprint(ask("", {Param{}}), "", ""),
      fingerprint(ask("", {Param{}, Param{}}), "", ""),
      fingerprint(ask("", {false}), "", ""),
      fingerprint(ask("", {true}), "", ""),
      fingerprint(ask("", {std::int64_t{0}}), "", ""),
      fingerprint(ask("", {std::int64_t{1}}), "", ""),
      fingerprint(ask("", {0.0}), "", ""),
      fingerprint(ask("", {-0.0}), "", ""),
      fingerprint(ask("", {1.0}), "", ""),
      fingerprint(ask("", {std::nan("")}), "", ""),
      fingerprint(ask("", {std::string("")}), "", ""),
      fingerprint(ask("", {std::string("1")}), "", ""),
      fingerprint(ask("", {std::string("true")}), "", ""),
      fingerprint(ask("", {std::string("a"), std::string("b")}), "", ""),
      fingerprint(ask("", {std::string("b"), std::string("a")}), "", ""),
      fingerprint(ask("", {std::string("ab"), std::string("")}), "", ""),
  };
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
}

}  // namespace
}  // namespace larder::query
