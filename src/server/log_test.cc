#include "server/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "server/history.h"

namespace larder::server {
namespace {

TEST(Log, WritesAJsonObjectALine) {
  std::ostringstream out;
  Log log("info", LogStyle::kJson, &out);
  log.request({.id = "1",
               .peer = "::1",
               .method = "GET",
               .path = "/a\"b\xff\n",
               .status = 404,
               .ms = 1.5,
               .bytes = 7,
               .code = "not_found"});
  log.event(LogLevel::kWarn, "low", {{"space", "1 \"GiB\""}});
  log.event(LogLevel::kDebug, "never");
  std::istringstream lines(out.str());
  std::string line;
  std::getline(lines, line);
  auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["event"], "request");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["path"], "/a\"b\xEF\xBF\xBD\n");
  EXPECT_EQ(json["status"], 404);
  EXPECT_EQ(json["ms"], 1.5);
  EXPECT_EQ(json["bytes"], 7);
  EXPECT_EQ(json["code"], "not_found");
  EXPECT_FALSE(json.contains("cache"));
  EXPECT_EQ(json["time"].get<std::string>().size(), std::string("2026-01-31T12:00:00.123Z").size());
  std::getline(lines, line);
  json = nlohmann::json::parse(line);
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["space"], "1 \"GiB\"");
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(Log, KeepsStrangersFromMovingTheCursor) {
  std::ostringstream out;
  Log log("debug", LogStyle::kText, &out);
  log.request({.id = "1",
               .method = "GET",
               .path = "/\x1b[2J\r\nfake line",
               .status = 200,
               .ms = 0.25,
               .bytes = 2048,
               .cache = "hit"});
  EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
  EXPECT_EQ(out.str().find('\r'), std::string::npos);
  EXPECT_EQ(out.str().find('\n'), out.str().size() - 1);
  EXPECT_NE(out.str().find("  200  GET /?[2J??fake line  hit  "), std::string::npos) << out.str();
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  std::ostringstream out;
  Log log("off", LogStyle::kText, &out);
  log.event(LogLevel::kError, "lost");
  EXPECT_EQ(out.str(), "");
  EXPECT_FALSE(log.wants(LogLevel::kError));
  EXPECT_TRUE(Log("no such level", LogStyle::kText, &out).wants(LogLevel::kInfo));
}

TEST(History, ForgetsTheOldest) {
  History history;
  EXPECT_TRUE(history.points().empty());
  for (std::uint64_t i = 0; i < History::kPointsMax + 5; ++i) history.add({.hits = i});
  const auto points = history.points();
  ASSERT_EQ(points.size(), History::kPointsMax);
  for (std::size_t i = 0; i < points.size(); ++i) EXPECT_EQ(points[i].hits, i + 5);
}

}  // namespace
}  // namespace larder::server
