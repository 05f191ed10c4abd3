// The head is checked whole by its checksum before anything in it is believed, and the lengths in it are checked again
// while it is read: a checksum finds damage, not malice. The stream's own bytes are not looked at, since a hit must
// cost the same for a kilobyte and for a hundred megabytes; the engine's checksum covers them.
#include "query/entry.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/hash.h"

namespace larder::query {
namespace {

constexpr std::array<char, 4> kMagic = {'L', 'Q', 'E', '1'};
constexpr std::size_t kStreamAlignment = 64;  // what Arrow asks of buffers
constexpr std::size_t kChecksummedFrom = offsetof(EntryHead, head_bytes);
constexpr std::size_t kSqlBytesKept = 16 * 1024;
constexpr std::size_t kParamsBytesKept = 4 * 1024;

// Not more than `bytes_max`, cut between letters.
std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80) --bytes_max;
  return text.substr(0, bytes_max);
}

void append_text(std::string& head, std::string_view text) {
  const auto bytes = static_cast<std::uint32_t>(text.size());
  head.append(reinterpret_cast<const char*>(&bytes), sizeof bytes).append(text);
}

// Takes a text off the front of `rest`.
bool take_text(std::string_view& rest, std::string& text) {
  std::uint32_t bytes = 0;
  if (rest.size() < sizeof bytes) return false;
  std::memcpy(&bytes, rest.data(), sizeof bytes);
  rest.remove_prefix(sizeof bytes);
  if (rest.size() < bytes) return false;
  text.assign(rest.substr(0, bytes));
  rest.remove_prefix(bytes);
  return true;
}

std::uint64_t checksum(std::string_view head) { return hash64(head.substr(kChecksummedFrom), 0); }

// The fixed part when all that can be told from it is right.
std::optional<EntryHead> read_head(std::string_view value) {
  EntryHead head;
  if (value.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, value.data(), sizeof head);
  if (head.magic != kMagic || head.format != kEntryFormatVersion) return std::nullopt;
  if (head.head_bytes < sizeof head || head.head_bytes % kStreamAlignment != 0) return std::nullopt;
  if (head.head_bytes > value.size() || value.size() - head.head_bytes != head.stream_bytes) return std::nullopt;
  if (checksum(value.substr(0, head.head_bytes)) != head.checksum) return std::nullopt;
  if (head.created_ms < 0 || !std::isfinite(head.cost_ms) || head.cost_ms < 0) return std::nullopt;
  return head;
}

bool is_entry_key(std::string_view key) {
  if (key.size() != kKeyPrefix.size() + 64 || key.substr(0, kKeyPrefix.size()) != kKeyPrefix) return false;
  return key.find_first_not_of("0123456789abcdef", kKeyPrefix.size()) == std::string_view::npos;
}

}  // namespace

std::string entry_head(const EntryMeta& meta, std::uint64_t stream_bytes) {
  std::string head(sizeof(EntryHead), '\0');
  append_text(head, cut(meta.sql, kSqlBytesKept));
  append_text(head, cut(meta.params_json, kParamsBytesKept));
  append_text(head, meta.source);
  append_text(head, meta.version);
  for (const std::string& name : meta.reads) append_text(head, name);
  head.resize((head.size() + kStreamAlignment - 1) / kStreamAlignment * kStreamAlignment);

  EntryHead fixed{};
  fixed.magic = kMagic;
  fixed.format = kEntryFormatVersion;
  fixed.head_bytes = static_cast<std::uint32_t>(head.size());
  fixed.reads_count = static_cast<std::uint32_t>(meta.reads.size());
  fixed.stream_bytes = stream_bytes;
  fixed.rows = meta.rows;
  fixed.created_ms = meta.created_ms;
  fixed.cost_ms = meta.cost_ms;
  std::memcpy(head.data(), &fixed, sizeof fixed);
  fixed.checksum = checksum(head);
  std::memcpy(head.data(), &fixed, sizeof fixed);
  return head;
}

std::optional<EntryFacts> read_entry(std::string_view value) {
  const std::optional<EntryHead> head = read_head(value);
  if (!head) return std::nullopt;
  return EntryFacts{head->head_bytes, head->rows, head->created_ms, head->cost_ms};
}

std::optional<EntryMeta> describe(std::string_view key, std::string_view value) {
  if (!is_entry_key(key)) return std::nullopt;
  const std::optional<EntryHead> head = read_head(value);
  if (!head) return std::nullopt;
  std::string_view rest = value.substr(sizeof(EntryHead), head->head_bytes - sizeof(EntryHead));
  EntryMeta meta;
  if (!take_text(rest, meta.sql) || !take_text(rest, meta.params_json) || !take_text(rest, meta.source) ||
      !take_text(rest, meta.version))
    return std::nullopt;
  for (std::uint32_t i = 0; i < head->reads_count; ++i)
    if (!take_text(rest, meta.reads.emplace_back())) return std::nullopt;
  if (rest.size() >= kStreamAlignment || rest.find_first_not_of('\0') != std::string_view::npos) return std::nullopt;
  meta.rows = head->rows;
  meta.created_ms = head->created_ms;
  meta.cost_ms = head->cost_ms;
  return meta;
}

std::string params_json(const std::vector<sources::Param>& params) {
  nlohmann::json list = nlohmann::json::array();
  for (const sources::Param& param : params) {
    if (const auto* b = std::get_if<bool>(&param)) {
      list.push_back(*b);
    } else if (const auto* i = std::get_if<std::int64_t>(&param)) {
      list.push_back(*i);
    } else if (const auto* d = std::get_if<double>(&param)) {
      if (std::isfinite(*d))
        list.push_back(*d);
      else
        list.push_back(std::isnan(*d) ? "NaN" : *d > 0 ? "Infinity" : "-Infinity");
    } else if (const auto* s = std::get_if<std::string>(&param)) {
      list.push_back(cut(*s, kParamsBytesKept));
    } else {
      list.push_back(nullptr);
    }
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace larder::query
