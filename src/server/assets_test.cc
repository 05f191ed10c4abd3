#include "server/assets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "digest/sha256.h"

namespace larder::server {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Asset kFiles[] = {
    {"/assets/app-12345678.js", "text/javascript", "aaaa", true, "plain script", "gz", "br"},
    {"/icon.svg", "image/svg+xml", "bbbb", false, "<svg/>", {}, {}},
    {"/index.html", "text/html; charset=utf-8", "cccc", false, "<html>", "gz", {}},
};

TEST(Assets, ServesViewsOfThePageWithItsIndex) {
  const Assets assets(kFiles);
  for (const char* path : {"/", "/index.html", "/admin", "/flights/delays"}) {
    const net::HttpAnswer answer = assets.answer(path, "", "");
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.body, "<html>") << path;
    EXPECT_THAT(answer.headers, HasSubstr("Cache-Control: no-cache\r\n")) << path;
    EXPECT_THAT(answer.headers, HasSubstr("Content-Security-Policy: default-src 'self';")) << path;
  }
  for (const char* path : {"/missing.js", "/../etc/passwd", "/assets/../index.html", "//index.html"})
    EXPECT_EQ(assets.answer(path, "", "").status, 0) << path;
}

TEST(Assets, LetsHashedNamesBeKeptForEver) {
  const Assets assets(kFiles);
  EXPECT_THAT(assets.answer("/assets/app-12345678.js", "", "").headers,
              HasSubstr("Cache-Control: public, max-age=31536000, immutable\r\n"));
  EXPECT_THAT(assets.answer("/icon.svg", "", "").headers, HasSubstr("Cache-Control: no-cache\r\n"));
}

TEST(Assets, GivesTheBestEncodingTheClientTakes) {
  const Assets assets(kFiles);
  const auto body = [&](const char* path, const char* accept) { return assets.answer(path, accept, "").body; };
  EXPECT_EQ(body("/assets/app-12345678.js", "gzip, deflate, br"), "br");
  EXPECT_EQ(body("/assets/app-12345678.js", "gzip, br;q=0"), "gz");
  EXPECT_EQ(body("/assets/app-12345678.js", "identity"), "plain script");
  EXPECT_EQ(body("/", "br"), "<html>");
  EXPECT_EQ(body("/icon.svg", "br, gzip"), "<svg/>");
  EXPECT_THAT(assets.answer("/", "gzip", "").headers, HasSubstr("Content-Encoding: gzip\r\n"));
  EXPECT_THAT(assets.answer("/", "", "").headers, HasSubstr("Vary: Accept-Encoding\r\n"));
  EXPECT_THAT(assets.answer("/icon.svg", "", "").headers, Not(HasSubstr("Vary")));
}

TEST(Assets, SaysWhenTheClientHasItAlready) {
  const Assets assets(kFiles);
  const net::HttpAnswer same = assets.answer("/", "", "\"other\", \"cccc\"");
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_THAT(same.headers, HasSubstr("ETag: \"cccc\"\r\n"));
  EXPECT_EQ(assets.answer("/", "gzip", "\"cccc\"").status, 200);  // another encoding, other bytes
  EXPECT_EQ(assets.answer("/", "gzip", "\"cccc-gzip\"").status, 304);
}

TEST(Assets, AreBuiltIn) {
  bool index = false;
  for (const Asset& file : built_in_assets()) {
    EXPECT_EQ(sha256_hex(file.plain).substr(0, 32), file.hash) << file.path;
    EXPECT_LT(file.gzip.size(), file.plain.size()) << file.path;
    EXPECT_LT(file.brotli.size(), file.plain.size()) << file.path;
    if (!file.gzip.empty()) {
      EXPECT_EQ(file.gzip.substr(0, 2), "\x1f\x8b") << file.path;
    }
    if (file.path == "/index.html") {
      index = true;
      EXPECT_THAT(std::string(file.plain), HasSubstr("<html"));
      EXPECT_FALSE(file.immutable);
    }
  }
  EXPECT_TRUE(index);
}

TEST(Assets, ComeFromAFolderToo) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "larder_assets_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "ui/assets");
  std::ofstream(folder / "secret.txt") << "secret";
  EXPECT_FALSE(Assets::from_folder(folder / "ui").ok());
  std::ofstream(folder / "ui/index.html") << "one";
  std::ofstream(folder / "ui/assets/a.js") << "script";
  const Result<Assets> assets = Assets::from_folder(folder / "ui");
  ASSERT_TRUE(assets.ok()) << assets.error().message;
  EXPECT_EQ(assets->answer("/any", "br", "").body, "one");
  const net::HttpAnswer script = assets->answer("/assets/a.js", "", "");
  EXPECT_EQ(script.body, "script");
  EXPECT_THAT(script.headers, HasSubstr("Content-Type: text/javascript"));
  std::ofstream(folder / "ui/index.html") << "two";
  EXPECT_EQ(assets->answer("/", "", "").body, "two");
  for (const char* path : {"/../secret.txt", "/assets/../../secret.txt", "/assets", "/assets/b.js"})
    EXPECT_NE(assets->answer(path, "", "").body, "secret") << path;
  EXPECT_EQ(assets->answer("/../secret.txt", "", "").status, 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace larder::server
