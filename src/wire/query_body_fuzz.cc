// Any bytes as the body of a query: no crash, and what is taken keeps the promises of query_body.h.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "wire/query_body.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const wire::QueryBodyLimits limits{.sql_bytes_max = 64, .source_bytes_max = 16, .params_max = 8};
  const Result<wire::QueryRequest> request = wire::parse_query_body(body, limits);
  if (request.ok()) {
    LARDER_CHECK(request->sql.size() <= 64 && request->source.size() <= 16 && request->params.size() <= 8);
    LARDER_CHECK(request->sql.find('\0') == std::string::npos);
    LARDER_CHECK(!request->max_age_ms || *request->max_age_ms >= 0);
  } else {
    LARDER_CHECK(request.error().code == Code::kInvalid || request.error().code == Code::kTooLarge);
    LARDER_CHECK(!wire::error_body(request.error(), "1").empty());
  }
  return 0;
}
