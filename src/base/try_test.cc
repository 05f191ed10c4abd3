#include "base/try.h"

#include <gtest/gtest.h>

#include <memory>

namespace larder {
namespace {

Result<std::unique_ptr<int>> box(int n) {
  if (n < 0) return Error{Code::kInvalid, "negative"};
  return std::make_unique<int>(n);
}
Status refuse_odd(int n) {
  if (n % 2 != 0) return Error{Code::kInvalid, "odd"};
  return {};
}
Result<int> half(int n) {
  std::unique_ptr<int> boxed = TRY(box(n));
  TRY(refuse_odd(*boxed));
  return *boxed / 2;
}

TEST(Try, GivesTheValueOrReturnsTheError) {
  EXPECT_EQ(*half(8), 4);
  EXPECT_EQ(half(-1).error().message, "negative");
  EXPECT_EQ(half(7).error().message, "odd");
}

TEST(Error, NamesThePlaceFirst) {
  EXPECT_EQ((Error{Code::kInvalid, "unknown key 'prot'"}.in("larder.yaml:3").message),
            "larder.yaml:3: unknown key 'prot'");
}

TEST(ResultDeathTest, StopsWhenAFailureIsReadAsAValue) { EXPECT_DEATH((void)*half(7), ""); }

}  // namespace
}  // namespace larder
