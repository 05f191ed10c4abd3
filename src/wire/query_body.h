// The JSON body of POST /api/v1/query, read strictly: it comes from strangers.
//
//   {"sql": "select origin, count(*) from flights where delay > $1 group by 1", "params": [15], "max_age": 60}
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/http.h"

namespace larder::wire {

// The same alternatives as sources::Param, so the same type.
using Param = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

struct QueryRequest {
  std::string sql;
  std::string source;  // empty: any that is declared
  std::vector<Param> params;
  std::optional<Format> format;            // nullopt: by the Accept header
  std::optional<std::int64_t> max_age_ms;  // rounded up to a whole millisecond; 0: ask the source anew
};

struct QueryBodyLimits {
  std::size_t sql_bytes_max = 256 * 1024;
  std::size_t source_bytes_max = 256;
  std::size_t params_max = 1000;
};

// kInvalid: no JSON, not UTF-8, a key unknown (the nearest known is named) or given twice, a value of the wrong type.
// kTooLarge: over a limit. The size of the body as a whole is the caller's to limit, before it is read.
Result<QueryRequest> parse_query_body(std::string_view body, const QueryBodyLimits& limits = {});

}  // namespace larder::wire
