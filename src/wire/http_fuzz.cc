// Any bytes as a header or an address: no crash, and decoding undoes encoding.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "wire/http.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)wire::negotiate(text);
  (void)wire::accepts_encoding(text, "br");
  (void)wire::etag_matches(text, "\"0123\"");
  (void)wire::percent_decode(text);
  (void)wire::parse_target(text);
  (void)wire::json_string(text);
  LARDER_CHECK(wire::percent_decode(wire::percent_encode(text)) == text);
  return 0;
}
