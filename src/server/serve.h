// The server whole: reads the configuration, opens the store, introduces everybody to everybody, listens, and drains
// when told to stop.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/cancel.h"

namespace larder::server {

struct ServeOptions {
  std::filesystem::path config;                // larder.yaml
  std::optional<std::string> listen;           // in place of server.listen
  std::optional<std::filesystem::path> store;  // in place of store.path
  std::filesystem::path ui_dir;                // the page from this folder, for its developers; empty: the one built in
  std::string log_level = "info";              // debug, info, warn, error, off
  std::int64_t drain_ms = 10'000;              // what runs when told to stop may take this long to end

  // SIGINT and SIGTERM stop the server; a second one ends the process at once. Off for servers inside another program.
  bool signals = true;
  std::optional<Cancel> stop;  // cancelling it stops the server, too

  // Called once, when the server listens, with its address: "http://127.0.0.1:8080/". Default: prints the line
  // "larder: <address>" on standard output.
  std::function<void(const std::string& url)> ready;
};

// Returns when the server was stopped and has drained. kInvalid: configuration, as read_config() says it. kUnavailable:
// the address is taken. Else as the store and the sources say.
Status serve(const ServeOptions& options);

}  // namespace larder::server
