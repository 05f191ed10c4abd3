// One row per error code: its name and what it becomes on each face. The faces read this table and keep no other.
#pragma once

#include <larder/result.h>

#include <array>
#include <string_view>

namespace larder {

struct ErrorRow {
  Code code;
  std::string_view name;      // in JSON answers and logs
  int http_status;            // RFC 9110
  int exit_code;              // of the command line program; 2 is usage, as shells have it
  std::string_view resp;      // first word of a Redis error reply
  std::string_view sqlstate;  // PostgreSQL, appendix A
};

inline constexpr std::array<ErrorRow, 13> kErrorTable = {{
    // code              name           http exit resp          sqlstate
    {Code::kInvalid, "invalid", 400, 2, "ERR", "22023"},
    {Code::kNotFound, "not_found", 404, 1, "ERR", "42704"},
    {Code::kExists, "exists", 409, 1, "ERR", "42710"},
    {Code::kUnsupported, "unsupported", 501, 3, "ERR", "0A000"},
    {Code::kCorrupt, "corrupt", 500, 4, "ERR", "XX001"},
    {Code::kNoSpace, "no_space", 507, 5, "OOM", "53100"},
    {Code::kTooLarge, "too_large", 413, 6, "ERR", "54000"},
    {Code::kTimeout, "timeout", 504, 7, "ERR", "57014"},
    {Code::kCancelled, "cancelled", 499, 8, "ERR", "57014"},
    {Code::kDenied, "denied", 403, 9, "NOPERM", "42501"},
    {Code::kUnavailable, "unavailable", 503, 10, "TRYAGAIN", "57P03"},
    {Code::kIo, "io", 500, 11, "ERR", "58030"},
    {Code::kInternal, "internal", 500, 70, "ERR", "XX000"},
}};

constexpr const ErrorRow& error_row(Code code) { return kErrorTable[static_cast<std::size_t>(code)]; }

}  // namespace larder
