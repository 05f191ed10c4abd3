#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

namespace larder::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Config good(std::string_view text) {
  Result<Config> config = parse_config(text, "/etc/app/larder.yaml");
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? *config : Config();
}

TEST(Config, HasDefaults) {
  const Config config = good("");
  EXPECT_EQ(config.store.path, "/etc/app/cache");
  EXPECT_EQ(config.store.size_bytes, 1u << 30);
  EXPECT_EQ(config.server.address, "127.0.0.1");
  EXPECT_EQ(config.server.port, 8080);
  EXPECT_EQ(config.server.body_bytes_max, 1u << 20);
  EXPECT_EQ(config.query.timeout_ms, 30'000);
  EXPECT_TRUE(config.sources.empty());
}

TEST(Config, ReadsEveryKey) {
  const Config config = good(R"(
store:
  path: ../store
  size: 64MiB
server:
  listen: "[::1]:0"
  hosts: [Data.Example, other.example]
  body_max: 2MB
query:
  rows_max: 7
  bytes_max: 1GiB
  timeout: 1.5s
  memory: 3GiB
  threads: 4
sources:
  flights:
    kind: files
    path: data/*.parquet
  people: {kind: files, path: /srv/people, format: csv}
)");
  EXPECT_EQ(config.store.path, "/etc/store");
  EXPECT_EQ(config.store.size_bytes, 64u << 20);
  EXPECT_EQ(config.server.address, "::1");
  EXPECT_EQ(config.server.port, 0);
  EXPECT_THAT(config.server.hosts, testing::ElementsAre("data.example", "other.example"));
  EXPECT_EQ(config.server.body_bytes_max, 2'000'000u);
  EXPECT_EQ(config.query.rows_max, 7u);
  EXPECT_EQ(config.query.bytes_max, 1u << 30);
  EXPECT_EQ(config.query.timeout_ms, 1500);
  EXPECT_EQ(config.query.memory_bytes, 3ull << 30);
  EXPECT_EQ(config.query.threads, 4u);
  ASSERT_EQ(config.sources.size(), 2u);
  EXPECT_EQ(config.sources[0].name, "flights");
  EXPECT_EQ(config.sources[0].path, "/etc/app/data/*.parquet");
  EXPECT_EQ(config.sources[0].format, "");
  EXPECT_EQ(config.sources[0].line, 16);
  EXPECT_EQ(config.sources[1].path, "/srv/people");
  EXPECT_EQ(config.sources[1].format, "csv");
}

struct Wrong {
  const char* text;
  const char* place;
  const char* says;
};

TEST(Config, SaysWhatIsWrongAndWhere) {
  const Wrong cases[] = {
      {"serve: {}", ":1", "unknown key 'serve' (did you mean 'server'?); known here: store, server, query, sources"},
      {"\n\nserver:\n  lisen: 1:1\n", ":4", "server: unknown key 'lisen' (did you mean 'listen'?)"},
      {"server:\n  prot: 80", ":2", "unknown key 'prot'; known here: listen, hosts, body_max"},
      {"store:\n  path: a\n  path: b", ":3", "store: key 'path' is given twice, first in line 2"},
      {"store: 7", ":1", "store: keys with values are needed here"},
      {"[1, 2]", ":1", "keys with values are needed here"},
      {"store: {size: huge}", ":1", "store.size: "},
      {"store: {size: 1MiB}", ":1", "store.size: must be at least 16 MiB"},
      {"store: {size: [1]}", ":1", "store.size: a text is needed here"},
      {"store: {path: ''}", ":1", "store.path: a text is needed here"},
      {"store: {path: \"a\\0b\"}", ":1", "store.path: a zero byte may not be here"},
      {"server:\n  listen: 8080", ":2", "server.listen: '8080' is no address; write it as 127.0.0.1:8080"},
      {"server: {listen: 'example.com:80'}", ":1", "server.listen: 'example.com:80' is no address"},
      {"server: {listen: '127.0.0.1:70000'}", ":1", "server.listen: "},
      {"server: {listen: ':80'}", ":1", "server.listen: "},
      {"server: {listen: '[::1:80'}", ":1", "server.listen: "},
      {"server: {hosts: a.example}", ":1", "server.hosts: a list of host names"},
      {"server:\n  hosts:\n    - a.example\n    - http://b.example", ":4", "'http://b.example' is no host name"},
      {"server: {hosts: ['a:80']}", ":1", "'a:80' is no host name"},
      {"server: {body_max: 1TB}", ":1", "server.body_max: must be at most 1 GiB"},
      {"query: {rows_max: -1}", ":1", "query.rows_max: '-1' is no whole number from 1"},
      {"query: {rows_max: 1.5}", ":1", "query.rows_max: '1.5' is no whole number"},
      {"query: {threads: 0}", ":1", "query.threads: '0' is no whole number from 1 to 1024"},
      {"query:\n  threads: 1\n  timeout: 30", ":3", "query.timeout: "},
      {"query: {timeout: 0s}", ":1", "query.timeout: must be more than 0"},
      {"sources:\n  flights:\n    kind: file\n    path: a", ":3",
       "sources.flights.kind: unknown kind 'file' (did you mean 'files'?)"},
      {"sources:\n  flights:\n    path: a", ":2", "sources.flights: key 'kind' is missing"},
      {"sources:\n  flights:\n    kind: files", ":2", "sources.flights: key 'path' is missing"},
      {"sources:\n  flights: {kind: files, path: a, fromat: csv}", ":2", "(did you mean 'format'?)"},
      {"sources:\n  flights: {kind: files, path: a, format: parqet}", ":2", "(did you mean 'parquet'?)"},
      {"sources:\n  my-flights: {kind: files, path: a}", ":2", "sources: 'my-flights' cannot be a table's name"},
      {"sources:\n  1st: {kind: files, path: a}", ":2", "cannot be a table's name"},
      {"sources:\n  a: {kind: files, path: a}\n  A: {kind: files, path: b}", ":3",
       "sources.A: SQL cannot tell it from the source in line 2"},
      {"sources: [a]", ":1", "sources: keys with values"},
      {"store: {}\n---\nstore: {}", ":2", "a second document begins"},
      {",", ":1", "a second document begins"},  // endless ones, to yaml-cpp
      {"store: {", ":1", "this is no YAML: "},
      {"a: b: c", ":1", "this is no YAML: "},
      {"\tstore: 1", ":1", "this is no YAML: "},
      {"? [a]\n: b", ":1", "a key must be a text"},
  };
  for (const Wrong& wrong : cases) {
    const Result<Config> config = parse_config(wrong.text, "conf/larder.yaml");
    ASSERT_FALSE(config.ok()) << wrong.text;
    EXPECT_EQ(config.error().code, Code::kInvalid) << wrong.text;
    EXPECT_THAT(config.error().message, StartsWith("conf/larder.yaml" + std::string(wrong.place) + ": ")) << wrong.text;
    EXPECT_THAT(config.error().message, HasSubstr(wrong.says)) << wrong.text;
  }
}

TEST(Config, SaysWhichFileCannotBeRead) {
  const auto missing = read_config("/nonexistent/larder.yaml");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("/nonexistent/larder.yaml"));
  const auto directory = read_config("/");
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().code, Code::kInvalid);
}

TEST(Config, ReadsAFile) {
  const std::string path = testing::TempDir() + "larder_config_test.yaml";
  std::ofstream(path) << "query: {threads: 3}\n";
  const auto config = read_config(path);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->query.threads, 3u);
  std::ofstream(path) << std::string((1 << 20) + 1, '\n');
  const auto large = read_config(path);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::kTooLarge);
  std::filesystem::remove(path);
}

TEST(Config, SurvivesDepth) {
  for (const char* opening : {"[", "{", "- ", "? ", "a: [", "[{"}) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += opening;
    EXPECT_FALSE(parse_config(text, "larder.yaml").ok());
  }
}

// The keys of a JSON Schema as config_keys() writes them.
void keys_of(const nlohmann::json& schema, const std::string& prefix, std::vector<std::string>& out) {
  const auto add = [&](const std::string& name, const nlohmann::json& inner) {
    if (name != "*") out.push_back(prefix + name);
    keys_of(inner, prefix + name + ".", out);
  };
  if (schema.contains("properties"))
    for (const auto& [name, inner] : schema["properties"].items()) add(name, inner);
  if (schema.contains("patternProperties"))
    for (const auto& [pattern, inner] : schema["patternProperties"].items()) add("*", inner);
  if (schema.value("type", nlohmann::json()) == "object") {
    EXPECT_EQ(schema.value("additionalProperties", true), false) << prefix;
  }
}

TEST(Config, AgreesWithItsSchema) {
  std::ifstream file(LARDER_ROOT "/docs/format/larder.schema.json");
  const nlohmann::json schema = nlohmann::json::parse(file);
  std::vector<std::string> written;
  keys_of(schema, "", written);
  EXPECT_THAT(written, testing::UnorderedElementsAreArray(config_keys()));
}

}  // namespace
}  // namespace larder::server
