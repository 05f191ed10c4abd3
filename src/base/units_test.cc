#include "base/units.h"

#include <gtest/gtest.h>

namespace larder {
namespace {

TEST(Units, ReadsSizes) {
  EXPECT_EQ(*parse_bytes("0"), 0u);
  EXPECT_EQ(*parse_bytes("512"), 512u);
  EXPECT_EQ(*parse_bytes("1GiB"), 1073741824u);
  EXPECT_EQ(*parse_bytes("1.5 KiB"), 1536u);
  EXPECT_EQ(*parse_bytes("2kB"), 2000u);
  EXPECT_EQ(*parse_bytes("3MB"), 3'000'000u);
  EXPECT_EQ(*parse_bytes("3mib"), 3u << 20);
  EXPECT_EQ(*parse_bytes("1TiB"), 1ull << 40);
}

TEST(Units, ReadsDurations) {
  EXPECT_EQ(*parse_duration_ms("250ms"), 250);
  EXPECT_EQ(*parse_duration_ms("30s"), 30'000);
  EXPECT_EQ(*parse_duration_ms("5 min"), 300'000);
  EXPECT_EQ(*parse_duration_ms("1.5h"), 5'400'000);
  EXPECT_EQ(*parse_duration_ms("2d"), 172'800'000);
  EXPECT_EQ(*parse_duration_ms("0s"), 0);
  EXPECT_EQ(*parse_duration_ms("0.2ms"), 1) << "more than nothing stays more than nothing";
}

TEST(Units, RefusesWhatIsNeither) {
  for (const char* text : {"", "GiB", "-1", "-0", "1XB", "1 2", "1e3", "nan", "inf", "0x10", "1GiB ", "99999999TiB"})
    EXPECT_FALSE(parse_bytes(text).ok()) << text;
  for (const char* text : {"", "5", "s", "-1s", "1m", "1e3s", "infs", "1s1", "999999999999999d"})
    EXPECT_FALSE(parse_duration_ms(text).ok()) << text;
}

TEST(Units, WritesForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1024), "1 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(12u << 20), "12 MiB");
  EXPECT_EQ(format_bytes(1ull << 40), "1 TiB");
  EXPECT_EQ(format_bytes(~0ull), "16 EiB");
  EXPECT_EQ(format_duration(0), "0 ms");
  EXPECT_EQ(format_duration(0.4), "0.4 ms");
  EXPECT_EQ(format_duration(830), "830 ms");
  EXPECT_EQ(format_duration(3000), "3 s");
  EXPECT_EQ(format_duration(270'000), "4.5 min");
  EXPECT_EQ(format_duration(7'200'000), "2 h");
  EXPECT_EQ(format_duration(86400e3 * 12), "12 d");
}

}  // namespace
}  // namespace larder
