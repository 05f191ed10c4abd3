#include "base/nearest.h"

#include <gtest/gtest.h>

#include <array>

namespace larder {
namespace {

TEST(EditDistance, CountsInsertDeleteReplaceAndSwap) {
  EXPECT_EQ(edit_distance("port", "port"), 0u);
  EXPECT_EQ(edit_distance("prot", "port"), 1u);  // a swap is one
  EXPECT_EQ(edit_distance("pot", "port"), 1u);
  EXPECT_EQ(edit_distance("ports", "port"), 1u);
  EXPECT_EQ(edit_distance("pork", "port"), 1u);
  EXPECT_EQ(edit_distance("PORT", "port"), 0u);
  EXPECT_EQ(edit_distance("", "port"), 4u);
  EXPECT_EQ(edit_distance("port", ""), 4u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

constexpr std::array<std::string_view, 5> kWords = {"path", "size", "listen", "rows_max", "bytes_max"};

TEST(Nearest, GuessesWhatIsNearAndNothingElse) {
  EXPECT_EQ(nearest("pth", kWords), "path");
  EXPECT_EQ(nearest("lisetn", kWords), "listen");
  EXPECT_EQ(nearest("row_max", kWords), "rows_max");
  EXPECT_EQ(nearest("byte_max", kWords), "bytes_max");
  EXPECT_EQ(nearest("colour", kWords), "");
  EXPECT_EQ(nearest("x", kWords), "");
  EXPECT_EQ(nearest("", kWords), "");
  EXPECT_EQ(nearest(std::string(100'000, 'p'), kWords), "");
}

TEST(Nearest, NeverGuessesAWordOfWhichNothingIsLeft) {
  constexpr std::array<std::string_view, 1> kShort = {"q"};
  EXPECT_EQ(nearest("x", kShort), "");
}

TEST(DidYouMean, ReadsAsTheEndOfASentence) {
  EXPECT_EQ(did_you_mean("sise", kWords), " (did you mean 'size'?)");
  EXPECT_EQ(did_you_mean("colour", kWords), "");
}

}  // namespace
}  // namespace larder
