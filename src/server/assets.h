// The page's files: built into the binary, or read from a folder while the page is being developed.
#pragma once

#include <larder/result.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace larder::server {

struct Asset {
  std::string_view path;  // "/assets/index-DiwrgTda.js"
  std::string_view mime;
  std::string_view hash;  // of the content, 32 hex digits
  bool immutable;         // its name changes with its content, so it may be kept for ever
  std::string_view plain;
  std::string_view gzip;    // empty: no such copy
  std::string_view brotli;  // empty: no such copy
};

// Sorted by path; "/index.html" is among them. Made by tools/embed.py when Larder is built.
std::span<const Asset> built_in_assets();

class Assets {
 public:
  // `files` must outlive this.
  explicit Assets(std::span<const Asset> files);
  // Reads the folder's files whenever they are asked for. kNotFound: it has no index.html.
  static Result<Assets> from_folder(const std::filesystem::path& folder);

  // The answer to GET of this path, in the best encoding the client takes; 304 when it has it already. "/" and paths
  // without a dot are views of the page, so they get index.html. status 0: there is no such file.
  net::HttpAnswer answer(std::string_view path, std::string_view accept_encoding, std::string_view if_none_match) const;

 private:
  Assets() = default;
  net::HttpAnswer from_folder(std::string_view path, std::string_view if_none_match) const;

  std::map<std::string_view, const Asset*, std::less<>> built_in_;
  std::filesystem::path folder_;  // empty: built in
};

}  // namespace larder::server
