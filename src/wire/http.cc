// Headers are lists of items with parameters; for_each_item takes them apart once, with quoted strings honoured, and
// the functions below only compare. What cannot be understood in a header is passed over, as RFC 9110 wishes of
// readers.
#include "wire/http.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error_table.h"

namespace larder::wire {
namespace {

struct FormatRow {
  Format format;
  std::string_view name;
  std::string_view content_type;
  std::string_view media;  // what an Accept header calls it
};

// In the order of our liking.
constexpr std::array<FormatRow, 3> kFormats = {{
    {Format::kArrow, "arrow", "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"},
    {Format::kJson, "json", "application/json", "application/json"},
    {Format::kCsv, "csv", "text/csv; charset=utf-8; header=present", "text/csv"},
}};

constexpr std::size_t kQueryParametersMax = 64;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes what lies before the next `separator` that is not inside a quoted string off the front of `text`.
std::string_view take_until(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t i = 0;
  for (; i < text.size() && (quoted || text[i] != separator); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
  }
  i = std::min(i, text.size());
  const std::string_view taken = trim(text.substr(0, i));
  text.remove_prefix(std::min(i + 1, text.size()));
  return taken;
}

// A qvalue (RFC 9110 12.4.2) in thousandths; what is none counts as 0, so that nobody gets what he may have refused.
int quality(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = take_until(parameters, ';');
    const std::string_view name = trim(take_until(value, '='));
    if (!same_word(name, "q")) continue;
    double q = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), q, std::chars_format::fixed);
    if (problem != std::errc{} || end != value.data() + value.size() || !(q >= 0 && q <= 1)) return 0;
    return static_cast<int>(std::lround(q * 1000));
  }
  return 1000;
}

// Calls take(name, quality) for each item of a list such as "text/csv;q=0.5, */*".
template <typename Take>
void for_each_item(std::string_view list, Take take) {
  while (!list.empty()) {
    std::string_view item = take_until(list, ',');
    const std::string_view name = take_until(item, ';');
    if (!name.empty()) take(name, quality(item));
  }
}

// How exactly a media range names a type: 3 the type itself, 2 "type/*", 1 "*/*", 0 not at all.
int exactness(std::string_view range, std::string_view media) {
  if (same_word(range, media)) return 3;
  if (range == "*/*") return 1;
  const std::string_view type = media.substr(0, media.find('/') + 1);
  return range.size() == type.size() + 1 && range.back() == '*' && same_word(range.substr(0, type.size()), type) ? 2
                                                                                                                 : 0;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string_view weak(std::string_view tag) { return tag.substr(0, 2) == "W/" ? tag.substr(2) : tag; }

}  // namespace

std::string_view format_name(Format format) { return kFormats[static_cast<std::size_t>(format)].name; }

std::string_view content_type(Format format) { return kFormats[static_cast<std::size_t>(format)].content_type; }

std::optional<Format> format_of(std::string_view name) {
  for (const FormatRow& row : kFormats)
    if (row.name == name) return row.format;
  return std::nullopt;
}

std::optional<Format> negotiate(std::string_view accept) {
  if (trim(accept).empty()) return Format::kArrow;
  std::optional<Format> best;
  std::pair<int, int> best_rank{0, 0};  // quality, then how exactly it was named: "application/json, */*" means JSON
  for (const FormatRow& row : kFormats) {
    std::pair<int, int> named{0, 0};  // exactness, then quality: the most exact range decides for a type
    for_each_item(accept, [&](std::string_view range, int q) {
      named = std::max(named, {exactness(range, row.media), q});
    });
    const std::pair<int, int> rank{named.second, named.first};
    if (named.first > 0 && named.second > 0 && rank > best_rank) {
      best = row.format;
      best_rank = rank;
    }
  }
  return best;
}

bool accepts_encoding(std::string_view accept_encoding, std::string_view coding) {
  std::optional<int> named, any;
  for_each_item(accept_encoding, [&](std::string_view name, int q) {
    if (same_word(name, coding)) named = q;
    if (name == "*") any = q;
  });
  return named.value_or(any.value_or(0)) > 0;
}

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string error_body(const Error& error, std::string_view request_id) {
  std::string body = R"({"error":{"code":)";
  body += json_string(error_row(error.code).name);
  body += R"(,"message":)" + json_string(error.message);
  body += R"(,"request_id":)" + json_string(request_id);
  return body += "}}";
}

std::string cache_status(const CacheStatus& status) {
  std::string text = "larder";
  text += status.hit ? "; hit" : "; fwd=miss";
  if (status.stored && !status.hit) text += "; stored";
  if (status.collapsed) text += "; collapsed";
  if (!status.detail.empty()) text.append("; detail=").append(status.detail);
  return text;
}

std::string server_timing(std::initializer_list<Timing> timings) {
  std::string text;
  for (const Timing& timing : timings) {
    char dur[48];
    std::snprintf(dur, sizeof dur, ";dur=%.*f", timing.ms < 100 ? 3 : 1, timing.ms);
    if (!text.empty()) text += ", ";
    text.append(timing.name).append(dur);
  }
  return text;
}

std::string etag(std::string_view entry_key, Format format) {
  if (entry_key.empty()) return {};
  const std::size_t colon = entry_key.find(':');
  std::string tag = "\"";
  tag += entry_key.substr(colon == std::string_view::npos ? 0 : colon + 1, 32);
  if (format != Format::kArrow) tag.append("-").append(format_name(format));
  return tag += '"';
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
  if (trim(if_none_match) == "*") return true;
  while (!if_none_match.empty())
    if (weak(take_until(if_none_match, ',')) == weak(etag)) return true;
  return false;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return bytes;
}

std::string percent_encode(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size());
  for (char c : bytes) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return text;
}

Result<Target> parse_target(std::string_view target) {
  const std::size_t question = target.find('?');
  Target parts;
  parts.path = target.substr(0, question);
  std::string_view rest = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  while (!rest.empty()) {
    std::string pair(rest.substr(0, rest.find('&')));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (pair.empty()) continue;
    if (parts.query.size() == kQueryParametersMax)
      return Error{Code::kInvalid, "more than " + std::to_string(kQueryParametersMax) + " parameters in the address"};
    std::replace(pair.begin(), pair.end(), '+', ' ');
    const std::size_t equals = pair.find('=');
    std::optional<std::string> name = percent_decode(std::string_view(pair).substr(0, equals));
    std::optional<std::string> value =
        percent_decode(equals == std::string::npos ? std::string_view() : std::string_view(pair).substr(equals + 1));
    if (!name || !value) return Error{Code::kInvalid, "a % in the address is not followed by two hex digits"};
    parts.query.emplace_back(*std::move(name), *std::move(value));
  }
  return parts;
}

}  // namespace larder::wire
