// What HTTP's headers and addresses say, as values: formats, entity tags, Cache-Status, Server-Timing, escapes.
#pragma once

#include <larder/result.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::wire {

// --- Formats of an answer ---

enum class Format { kArrow, kJson, kCsv };

std::string_view format_name(Format format);   // "arrow", as in a query's body
std::string_view content_type(Format format);  // for the header Content-Type
std::optional<Format> format_of(std::string_view name);

// The format that an Accept header (RFC 9110 12.5.1) likes best; kArrow when it is empty or leaves the choice open.
// nullopt: it takes none of ours.
std::optional<Format> negotiate(std::string_view accept);

// Whether an Accept-Encoding header names `coding` ("br", "gzip") or * and does not refuse it.
bool accepts_encoding(std::string_view accept_encoding, std::string_view coding);

// --- JSON ---

// A JSON string, quotes included; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
// {"error":{"code":"invalid","message":"...","request_id":"..."}}
std::string error_body(const Error& error, std::string_view request_id);

// --- What the cache did, for readers ---

// RFC 9211: "larder; hit", "larder; fwd=miss; stored", "larder; fwd=miss; stored; collapsed",
// "larder; fwd=miss; detail=too-large".
struct CacheStatus {
  bool hit = false;
  bool stored = false;
  bool collapsed = false;   // the answer to another request, that was running, served this one too
  std::string_view detail;  // why it was not stored; a token
};
std::string cache_status(const CacheStatus& status);

// "lookup;dur=0.012, source;dur=123.4" (https://www.w3.org/TR/server-timing/). Names are tokens.
struct Timing {
  std::string_view name;
  double ms = 0;
};
std::string server_timing(std::initializer_list<Timing> timings);

// --- Entity tags ---

// The tag of an answer whose entry has the key "query:" and 64 hex digits, quotes included: the first 32 of them, and
// the format where it is not Arrow, as the bytes differ. Another version of the data gives another key, so another tag.
// Empty for an empty key: such an answer has no tag.
std::string etag(std::string_view entry_key, Format format);
// Whether an If-None-Match header (a list, or *) names the tag, compared weakly as RFC 9110 13.1.2 asks.
bool etag_matches(std::string_view if_none_match, std::string_view etag);

// --- Addresses ---

// nullopt: a % without two hex digits.
std::optional<std::string> percent_decode(std::string_view text);
// All but letters, digits and -._~ escaped.
std::string percent_encode(std::string_view bytes);

// The target of a request, "/entries/a%2Fb?after=7&prefix=x+y", in its parts.
struct Target {
  std::string_view path;  // as sent: decode one segment at a time, so that a %2F stays inside its segment
  std::vector<std::pair<std::string, std::string>> query;  // decoded, + as a space, in their order
};
// kInvalid: a bad escape, or more than 64 parameters. Points into `target`.
Result<Target> parse_target(std::string_view target);

}  // namespace larder::wire
