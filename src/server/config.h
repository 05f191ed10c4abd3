// larder.yaml, read and checked. docs/format/larder.schema.json says the same to editors.
//
//   store:
//     path: cache
//     size: 1GiB
//   sources:
//     flights: {kind: files, path: "data/*.parquet"}
//
// Paths are relative to the file. An unknown key, a wrong type, a value out of range is refused with file, line and,
// where one is near, the word that was probably meant; nothing is guessed and nothing ignored.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace larder::server {

struct Config {
  struct Store {
    std::filesystem::path path = "cache";
    std::uint64_t size_bytes = std::uint64_t{1} << 30;
  };
  struct Server {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;       // 0: any free one
    std::vector<std::string> hosts;  // Host names allowed beside localhost, 127.0.0.1, [::1] and the address itself
    std::uint64_t body_bytes_max = std::uint64_t{1} << 20;
  };
  struct Query {
    std::uint64_t rows_max = 1'000'000;
    std::uint64_t bytes_max = std::uint64_t{256} << 20;
    std::int64_t timeout_ms = 30'000;
    std::uint64_t memory_bytes = std::uint64_t{2} << 30;  // for the engine that runs queries
    std::uint32_t threads = 2;
  };
  struct Source {
    std::string name;            // its table's name in SQL
    std::string kind;            // "files"
    std::filesystem::path path;  // a file, a glob or a directory; absolute
    std::string format;          // "parquet", "csv", "json"; empty: by the ending
    int line = 0;                // where it stands in the file, for errors that come later
  };

  Store store;
  Server server;
  Query query;
  std::vector<Source> sources;  // in the order of the file
};

// kNotFound, kIo, kDenied: the file. kInvalid: what it says, as "larder.yaml:7: ...".
Result<Config> read_config(const std::filesystem::path& path);

// The same from text; `path` is for errors and as the place that paths are relative to.
Result<Config> parse_config(std::string_view text, const std::filesystem::path& path);

// "127.0.0.1:8080", "[::1]:0", "localhost:8080" into address and port, as server.listen and --listen take it.
Status parse_listen(std::string_view text, Config::Server& server);

// Every key that the reader knows, as "store.path"; "*" stands for a name that the user gives.
std::vector<std::string> config_keys();

}  // namespace larder::server
