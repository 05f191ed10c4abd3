// The name of an answer: a SHA-256 over everything that decides it.
#pragma once

#include <string>
#include <string_view>

#include "query/query_cache.h"

namespace larder::query {

// "query:" and 64 hex digits. Two asks have the same one only if an answer to either is an answer to both: the same
// normal SQL, parameters of the same types and bits, source, scope and version of the data.
std::string fingerprint(const Ask& ask, std::string_view normal_sql, std::string_view version);

}  // namespace larder::query
