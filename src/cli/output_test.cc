#include "cli/output.h"

#include <gtest/gtest.h>

namespace larder::cli {
namespace {

TEST(Printable, ShowsTextAsItIs) {
  EXPECT_EQ(printable("user:7 é 日本 😀"), "user:7 é 日本 😀");
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, LetsNothingMoveTheCursorOrTurnTheText) {
  EXPECT_EQ(printable("a\nb\tc"), "a\\nb\\tc");
  EXPECT_EQ(printable("\x1b[2J\r\x7f"), "\\x1b[2J\\x0d\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");           // CSI in one letter
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
}

TEST(Printable, EscapesWhatIsNoUtf8) {
  for (std::string_view bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80", "\x80"})
    EXPECT_EQ(printable(bytes).size(), 4 * bytes.size()) << printable(bytes);
}

TEST(ShownWidth, CountsColumns) {
  EXPECT_EQ(shown_width("abc"), 3u);
  EXPECT_EQ(shown_width("é"), 1u);
  EXPECT_EQ(shown_width("e\xcc\x81"), 1u);  // a mark on the letter
  EXPECT_EQ(shown_width("日本"), 4u);
  EXPECT_EQ(shown_width("😀"), 2u);
}

TEST(Shortened, CutsBetweenLettersAndSaysSo) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "ab…");
  EXPECT_EQ(shortened("日本語", 4), "日…");
  EXPECT_EQ(shortened("abc", 1), "…");
  EXPECT_EQ(shortened("abc", 0), "");
}

Table some_table() {
  Table table({{"KEY"}, {"SIZE", Table::Align::kRight}, {"NOTE"}, {"SQL"}});
  table.add({"é", "1 B", "", "SELECT 1"});
  table.add({"longer", "12 KiB", "", "SELECT 1234567890"});
  return table;
}

TEST(Table, AlignsAndLeavesEmptyColumnsOut) {
  EXPECT_EQ(some_table().text({.width = 80}),
            "KEY       SIZE  SQL\n"
            "é          1 B  SELECT 1\n"
            "longer  12 KiB  SELECT 1234567890\n");
}

TEST(Table, FitsTheTerminal) {
  EXPECT_EQ(some_table().text({.width = 26}),
            "KEY       SIZE  SQL\n"
            "é          1 B  SELECT 1\n"
            "longer  12 KiB  SELECT 12…\n");
}

TEST(Table, PrintsItsHeadBoldInColoursOnly) {
  Table table({{"KEY"}});
  table.add({"a"});
  EXPECT_EQ(table.text({.colours = true}), "\x1b[1mKEY\x1b[0m\na\n");
  EXPECT_EQ(Table({{"KEY"}}).text({}), "");
}

}  // namespace
}  // namespace larder::cli
