#include "server/gate.h"

#include <gtest/gtest.h>

namespace larder::server {
namespace {

int status(const Gate& gate, std::string_view host, std::optional<std::string_view> origin = std::nullopt) {
  const auto refusal = gate.check(host, origin);
  return refusal ? refusal->status : 200;
}

TEST(Gate, KnowsItsOwnNames) {
  const Gate gate("192.168.1.5", {"Data.Example"});
  for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080",
                           "192.168.1.5:8080", "data.example", "DATA.example:443"})
    EXPECT_EQ(status(gate, host), 200) << host;
  for (const char* host : {"", "evil.example", "localhost.evil.example", "evil.example:8080", "127.0.0.2", "::1",
                           "[::1", "[::2]", "192.168.1.50", "data.example.", "localhost@evil", " localhost"})
    EXPECT_EQ(status(gate, host), 421) << host;
}

TEST(Gate, DoesNotTakeEveryNameWhenItListensEverywhere) {
  for (const char* address : {"0.0.0.0", "::"}) {
    const Gate gate(address, {});
    EXPECT_EQ(status(gate, "localhost"), 200);
    EXPECT_EQ(status(gate, "0.0.0.0"), 421);
    EXPECT_EQ(status(gate, "[::]"), 421);
  }
  EXPECT_EQ(status(Gate("fe80::1", {}), "[FE80::1]:80"), 200);
}

TEST(Gate, AnswersPagesOfItsOwnOriginOnly) {
  const Gate gate("127.0.0.1", {"data.example"});
  EXPECT_EQ(status(gate, "localhost:8080", "http://localhost:8080"), 200);
  EXPECT_EQ(status(gate, "localhost:8080", "http://LOCALHOST:8080"), 200);
  EXPECT_EQ(status(gate, "data.example", "https://data.example"), 200);  // behind a proxy that ends TLS
  for (const char* origin : {"http://evil.example", "http://localhost", "http://localhost:8081",
                             "http://127.0.0.1:8080", "null", "", "localhost:8080", "file://localhost:8080",
                             "http://localhost:8080.evil.example", "chrome-extension://localhost:8080"})
    EXPECT_EQ(status(gate, "localhost:8080", origin), 403) << origin;
}

TEST(Gate, KnowsJson) {
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8", "application/json "})
    EXPECT_TRUE(Gate::is_json(type)) << type;
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "application/json+x", "text/json",
                           "application/jsonp", "multipart/form-data; boundary=application/json"})
    EXPECT_FALSE(Gate::is_json(type)) << type;
}

}  // namespace
}  // namespace larder::server
