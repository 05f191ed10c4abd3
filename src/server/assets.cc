// Everything a file's answer says is decided by its name when the page is built: a name with a hash may be kept for
// ever, the rest is asked for again and answered with 304 while it is the same. A compressed copy is another
// representation, so its entity tag differs.
#include "server/assets.h"

#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "digest/sha256.h"
#include "wire/http.h"

namespace larder::server {
namespace {

constexpr std::string_view kIndex = "/index.html";

// What a page may do: its own scripts and calls and nothing of anybody else's. Charts write style attributes and draw
// images of their own making, hence the two exceptions.
constexpr std::string_view kPolicy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'";

// The file that a path asks for: views of the page have paths of their own, without a dot.
std::string_view file_of(std::string_view path) { return path.find('.') == std::string_view::npos ? kIndex : path; }

std::string_view mime_of(const std::filesystem::path& file) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".json", "application/json"},
      {".map", "application/json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".woff2", "font/woff2"},
  };
  const std::string ending = file.extension().string();
  for (const auto& [known, mime] : kTypes)
    if (known == ending) return mime;
  return "application/octet-stream";
}

net::HttpAnswer answer_with(const Asset& asset, std::string_view accept_encoding, std::string_view if_none_match) {
  std::string_view body = asset.plain, encoding, suffix;
  if (!asset.brotli.empty() && wire::accepts_encoding(accept_encoding, "br"))
    body = asset.brotli, encoding = "br", suffix = "-br";
  else if (!asset.gzip.empty() && wire::accepts_encoding(accept_encoding, "gzip"))
    body = asset.gzip, encoding = "gzip", suffix = "-gzip";

  net::HttpAnswer answer;
  const std::string etag = std::string("\"").append(asset.hash).append(suffix).append("\"");
  answer.header("ETag", etag);
  answer.header("Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (!asset.gzip.empty() || !asset.brotli.empty()) answer.header("Vary", "Accept-Encoding");
  if (wire::etag_matches(if_none_match, etag)) {
    answer.status = 304;
    return answer;
  }
  answer.header("Content-Type", asset.mime);
  if (!encoding.empty()) answer.header("Content-Encoding", encoding);
  answer.header("Content-Security-Policy", kPolicy);
  answer.header("Referrer-Policy", "no-referrer");
  answer.header("Cross-Origin-Opener-Policy", "same-origin");
  answer.body = body;
  return answer;
}

}  // namespace

Assets::Assets(std::span<const Asset> files) {
  for (const Asset& file : files) built_in_.emplace(file.path, &file);
}

Result<Assets> Assets::from_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(folder / "index.html", error))
    return Error{Code::kNotFound, folder.string() + ": has no index.html; build the page, or leave the folder out"};
  Assets assets;
  assets.folder_ = folder;
  return assets;
}

net::HttpAnswer Assets::answer(std::string_view path, std::string_view accept_encoding,
                               std::string_view if_none_match) const {
  path = file_of(path);
  if (!folder_.empty()) return from_folder(path, if_none_match);
  const auto found = built_in_.find(path);
  if (found == built_in_.end()) return {.status = 0};
  return answer_with(*found->second, accept_encoding, if_none_match);
}

net::HttpAnswer Assets::from_folder(std::string_view path, std::string_view if_none_match) const {
  // Only what a walk through the folder meets can be asked for, so no path leads out of it.
  std::error_code error;
  for (auto file = std::filesystem::recursive_directory_iterator(folder_, error);
       !error && file != std::filesystem::recursive_directory_iterator(); file.increment(error)) {
    if (!file->is_regular_file(error) || "/" + file->path().lexically_relative(folder_).generic_string() != path)
      continue;
    std::ifstream stream(file->path(), std::ios::binary);
    std::string content{std::istreambuf_iterator<char>(stream), {}};
    const std::string hash = sha256_hex(content).substr(0, 32);
    const Asset asset{path, mime_of(file->path()), hash, false, content, {}, {}};
    net::HttpAnswer answer = answer_with(asset, {}, if_none_match);
    if (answer.status == 200) answer.keep(std::move(content));
    return answer;
  }
  return {.status = 0};
}

}  // namespace larder::server
