// What a reader's SQL may do: read the tables it was given, with functions that only compute. Everything else is
// refused before DuckDB binds it. How, and what remains: docs/design/sql-guard.md.
#pragma once

#include <larder/result.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "duck/duck.h"

namespace larder::duck {

struct Checked {
  std::string normal;               // equal for SQL that differs in layout, comments and case of keywords only
  std::vector<std::string> tables;  // that it reads, as declared, sorted, each once
  bool repeatable = true;           // false: the clock or chance plays a part
  std::size_t params = 0;           // placeholders
};

inline constexpr std::size_t kSqlBytesMax = 64 << 10;

// `tables`: those that the reader may name, in any letter case. kInvalid: not SQL, or not one statement; says where.
// kDenied: not a SELECT, or it uses what it may not. kNotFound: no such table. kTooLarge: longer, deeper or more
// tangled than the limits.
Result<Checked> check_sql(Connection& connection, std::string_view sql, std::span<const std::string> tables);

// The same for a statement that DuckDB's json_serialize_sql has turned into its syntax tree.
Result<Checked> check_tree(std::string_view json, std::span<const std::string> tables);

}  // namespace larder::duck
