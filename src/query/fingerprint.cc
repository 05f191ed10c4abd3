// Every part is written with its length or has a fixed size, so no two different asks are the same bytes: ("ab", "c")
// and
// ("a", "bc") differ, as do 1, 1.0, true and "1". The bytes never leave this file; only their hash does.
#include "query/fingerprint.h"

#include "digest/sha256.h"
#include "query/entry.h"

namespace larder::query {
namespace {

template <typename T>
void append_plain(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_text(std::string& bytes, std::string_view text) {
  append_plain(bytes, static_cast<std::uint64_t>(text.size()));
  bytes += text;
}

void append_param(std::string& bytes, const sources::Param& param) {
  bytes += static_cast<char>(param.index());
  if (const auto* b = std::get_if<bool>(&param)) append_plain(bytes, static_cast<char>(*b));
  if (const auto* i = std::get_if<std::int64_t>(&param)) append_plain(bytes, *i);
  if (const auto* d = std::get_if<double>(&param)) append_plain(bytes, *d);
  if (const auto* s = std::get_if<std::string>(&param)) append_text(bytes, *s);
}

}  // namespace

std::string fingerprint(const Ask& ask, std::string_view normal_sql, std::string_view version) {
  static thread_local std::string bytes;  // keeps its space from one hit to the next
  bytes.clear();
  append_plain(bytes, kEntryFormatVersion);
  append_text(bytes, normal_sql);
  append_plain(bytes, static_cast<std::uint64_t>(ask.question.params.size()));
  for (const sources::Param& param : ask.question.params) append_param(bytes, param);
  append_text(bytes, ask.question.source);
  append_text(bytes, ask.scope);
  append_text(bytes, version);
  std::string key(kKeyPrefix);
  key += sha256_hex(bytes);
  if (bytes.capacity() > 64 * 1024) std::string().swap(bytes);
  return key;
}

}  // namespace larder::query
