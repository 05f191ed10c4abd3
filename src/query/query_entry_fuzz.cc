// Any bytes as an entry: no crash, and a head that is believed describes the whole value. The checksum stops nearly all
// that a fuzzer can think of, so each input is also tried with the checksum put right.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "query/entry.h"

namespace {

void read(const std::string& value) {
  using namespace larder;
  static const std::string key = "query:" + std::string(64, '0');
  const auto facts = query::read_entry(value);
  if (facts) LARDER_CHECK(facts->stream_offset <= value.size() && facts->cost_ms >= 0 && facts->created_ms >= 0);
  const auto meta = query::describe(key, value);
  LARDER_CHECK(facts.has_value() || !meta.has_value());
  if (meta) LARDER_CHECK(meta->sql.size() + meta->params_json.size() + meta->version.size() <= value.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using larder::query::EntryHead;
  std::string value(reinterpret_cast<const char*>(data), size);
  read(value);
  EntryHead head;
  if (value.size() < sizeof head) return 0;
  std::memcpy(&head, value.data(), sizeof head);
  head.magic = {'L', 'Q', 'E', '1'};
  head.format = larder::query::kEntryFormatVersion;
  head.head_bytes = static_cast<std::uint32_t>(value.size() / 64 * 64);
  head.stream_bytes = value.size() % 64;
  std::memcpy(value.data(), &head, sizeof head);
  head.checksum = larder::hash64(std::string_view(value).substr(16, head.head_bytes - 16), 0);
  std::memcpy(value.data(), &head, sizeof head);
  read(value);
  return 0;
}
