// The server whole, in this process: a file of data, a larder.yaml, requests, an end.
#include "server/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "net/raw_client.h"

namespace larder::server {
namespace {

using testing::HasSubstr;

class ServeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "larder_serve_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(folder_ / "data");
    write("data/numbers.csv", "n,name\n1,one\n2,two\n");
    write("larder.yaml", R"(
store: {path: cache, size: 32MiB}
server: {listen: "127.0.0.1:0"}
query: {memory: 128MiB, threads: 1}
sources:
  numbers: {kind: files, path: data/*.csv}
)");
    options_.config = folder_ / "larder.yaml";
    options_.signals = false;
    options_.log_level = "off";
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(folder_);
  }

  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  void start() {
    std::promise<std::string> url;
    options_.stop.emplace();
    options_.ready = [&](const std::string& listening) { url.set_value(listening); };
    auto listening = url.get_future();
    thread_ = std::thread([this] { ended_ = serve(options_); });
    url_ = listening.get();
    port_ = static_cast<std::uint16_t>(std::stoi(url_.substr(url_.rfind(':') + 1)));
  }
  void stop() {
    if (!thread_.joinable()) return;
    options_.stop->cancel();
    thread_.join();
    EXPECT_TRUE(ended_.ok()) << ended_.error().message;
  }

  net::RawClient::Answer ask(const std::string& method, const std::string& target, const std::string& body = {}) const {
    return net::RawClient(port_).ask(method + " " + target +
                                     " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
                                     "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  net::RawClient::Answer query() const {
    return ask("POST", "/api/v1/query",
               R"({"sql":"SELECT sum(n) AS total FROM numbers WHERE n >= $1","params":[1],"format":"json"})");
  }

  std::filesystem::path folder_;
  ServeOptions options_;
  std::thread thread_;
  Status ended_;
  std::string url_;
  std::uint16_t port_ = 0;
};

TEST_F(ServeTest, AnswersFromTheFilesThenFromTheStoreAndAfterARestartToo) {
  start();
  EXPECT_EQ(url_, "http://127.0.0.1:" + std::to_string(port_) + "/");
  const auto miss = query();
  EXPECT_EQ(miss.status, 200) << miss.body;
  EXPECT_EQ(miss.header("cache-status"), "larder; fwd=miss; stored");
  EXPECT_EQ(query().header("cache-status"), "larder; hit");
  stop();
  start();
  // The first call plans anew; what it finds is the answer of before.
  const auto hit = query();
  EXPECT_EQ(hit.header("cache-status"), "larder; hit");
  EXPECT_EQ(hit.body, miss.body);
  write("data/more.csv", "n,name\n40,forty\n");
  const auto changed = query();
  EXPECT_EQ(changed.header("cache-status"), "larder; fwd=miss; stored");
  EXPECT_NE(changed.body, miss.body);
}

TEST_F(ServeTest, TellsOfItsSourcesAndItself) {
  start();
  const auto sources = nlohmann::json::parse(ask("GET", "/api/v1/sources").body)["sources"];
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0]["name"], "numbers");
  EXPECT_EQ(sources[0]["format"], "csv");
  EXPECT_EQ(sources[0]["columns"][1]["name"], "name");
  const auto stats = nlohmann::json::parse(ask("GET", "/api/v1/stats").body);
  EXPECT_EQ(stats["store"]["path"], (folder_ / "cache").string());
  EXPECT_EQ(stats["store"]["size_limit_bytes"], 32 << 20);
  EXPECT_GE(stats["history"].size(), 1u);
  EXPECT_THAT(ask("GET", "/").body, HasSubstr("<html"));
}

TEST_F(ServeTest, TakesWhatTheCommandLineSaysInPlaceOfTheFile) {
  options_.store = folder_ / "elsewhere";
  options_.listen = "127.0.0.1:0";
  options_.ui_dir = folder_ / "ui";
  std::filesystem::create_directory(options_.ui_dir);
  write("ui/index.html", "my own page");
  start();
  EXPECT_EQ(ask("GET", "/").body, "my own page");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "elsewhere"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache"));
}

TEST_F(ServeTest, SaysWhyItCannot) {
  const auto says = [](const ServeOptions& options, Code code) {
    const Status ended = serve(options);
    EXPECT_FALSE(ended.ok());
    if (ended.ok()) return std::string();
    EXPECT_EQ(ended.error().code, code) << ended.error().message;
    return ended.error().message;
  };
  start();
  ServeOptions other = options_;
  other.ready = [](const std::string&) { ADD_FAILURE() << "it serves"; };
  other.listen = "127.0.0.1:" + std::to_string(port_);
  other.store = folder_ / "other";
  EXPECT_THAT(says(other, Code::kUnavailable), HasSubstr(*other.listen));
  other.listen = "nowhere";
  EXPECT_THAT(says(other, Code::kInvalid), HasSubstr("'nowhere' is no address"));
  other.listen = "127.0.0.1:0";
  other.ui_dir = folder_ / "data";
  EXPECT_THAT(says(other, Code::kNotFound), HasSubstr("index.html"));
  other.config = folder_ / "missing.yaml";
  EXPECT_THAT(says(other, Code::kNotFound), HasSubstr("missing.yaml"));
  write("larder.yaml", "serve: {}");
  other.config = folder_ / "larder.yaml";
  EXPECT_THAT(says(other, Code::kInvalid), HasSubstr("larder.yaml:1: unknown key 'serve'"));
}

}  // namespace
}  // namespace larder::server
