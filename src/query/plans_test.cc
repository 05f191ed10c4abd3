#include "query/plans.h"

#include <gtest/gtest.h>

namespace larder::query {
namespace {

std::shared_ptr<const sources::Plan> plan(std::string sql) {
  return std::make_shared<const sources::Plan>(sources::Plan{std::move(sql), {}, true});
}

TEST(Plans, AreKnownBySourceAndExactWords) {
  Plans plans(10, 1000);
  plans.keep("a", "b", plan("AB"));
  EXPECT_EQ(plans.find("a", "b")->normal_sql, "AB");
  EXPECT_EQ(plans.find("b", "a"), nullptr);
  EXPECT_EQ(plans.find("", "ab"), nullptr);
  EXPECT_EQ(plans.find("a", "B"), nullptr);
}

TEST(Plans, ForgetTheLeastRecentlyUsed) {
  Plans plans(2, 1000);
  plans.keep("", "one", plan(""));
  plans.keep("", "two", plan(""));
  EXPECT_NE(plans.find("", "one"), nullptr);
  plans.keep("", "three", plan(""));
  EXPECT_EQ(plans.find("", "two"), nullptr);
  EXPECT_NE(plans.find("", "one"), nullptr);
  EXPECT_NE(plans.find("", "three"), nullptr);
}

TEST(Plans, HoldNoMoreThanTheirBytes) {
  Plans plans(100, 1000);
  for (int i = 0; i < 100; ++i) plans.keep("", std::to_string(i) + std::string(100, 'x'), plan(""));
  EXPECT_EQ(plans.size(), 9u);
  plans.keep("", std::string(2000, 'x'), plan(""));
  EXPECT_EQ(plans.find("", std::string(2000, 'x')), nullptr) << "larger than all of it: not kept";
  EXPECT_EQ(plans.size(), 9u);
}

TEST(Plans, KeepTheFirstOfTwoMadeAtOnce) {
  Plans plans(10, 1000);
  plans.keep("", "one", plan("first"));
  plans.keep("", "one", plan("second"));
  EXPECT_EQ(plans.size(), 1u);
  EXPECT_EQ(plans.find("", "one")->normal_sql, "first");
}

TEST(Plans, OutliveTheirPlaceInTheTable) {
  Plans plans(1, 1000);
  plans.keep("", "one", plan("ONE"));
  const auto held = plans.find("", "one");
  plans.keep("", "two", plan("TWO"));
  EXPECT_EQ(plans.find("", "one"), nullptr);
  EXPECT_EQ(held->normal_sql, "ONE");
}

}  // namespace
}  // namespace larder::query
