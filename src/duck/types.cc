#include "duck/types.h"

#include <limits>

#include "base/try.h"

namespace larder::duck {
namespace {

// A type as SQL writes it, twice: as it is, and with every part that Arrow cannot carry whole replaced by VARCHAR.
struct Names {
  std::string exact;
  std::string carried;
  void append(const Names& other) {
    exact += other.exact;
    carried += other.carried;
  }
  void append(std::string_view text) {
    exact += text;
    carried += text;
  }
};

Names same(std::string name) { return {name, name}; }
Names as_text(std::string name) { return {std::move(name), "VARCHAR"}; }

std::string take(char* text) {
  std::string taken = text == nullptr ? "" : text;
  duckdb_free(text);
  return taken;
}

Names names_of(const LogicalType& type);

Names members(std::string_view word, const LogicalType& type, idx_t count, char* (*name)(duckdb_logical_type, idx_t),
              duckdb_logical_type (*member)(duckdb_logical_type, idx_t)) {
  Names names;
  names.append(word);
  for (idx_t i = 0; i < count; ++i) {
    names.append(i == 0 ? "(" : ", ");
    const std::string text = take(name(type.get(), i));
    if (!text.empty()) names.append(quote_name(text) + " ");
    names.append(names_of(LogicalType(member(type.get(), i))));
  }
  names.append(")");
  return names;
}

Names names_of(const LogicalType& type) {
  switch (type.id()) {
    case DUCKDB_TYPE_BOOLEAN:
      return same("BOOLEAN");
    case DUCKDB_TYPE_TINYINT:
      return same("TINYINT");
    case DUCKDB_TYPE_SMALLINT:
      return same("SMALLINT");
    case DUCKDB_TYPE_INTEGER:
      return same("INTEGER");
    case DUCKDB_TYPE_BIGINT:
      return same("BIGINT");
    case DUCKDB_TYPE_UTINYINT:
      return same("UTINYINT");
    case DUCKDB_TYPE_USMALLINT:
      return same("USMALLINT");
    case DUCKDB_TYPE_UINTEGER:
      return same("UINTEGER");
    case DUCKDB_TYPE_UBIGINT:
      return same("UBIGINT");
    case DUCKDB_TYPE_HUGEINT:
      return same("HUGEINT");
    case DUCKDB_TYPE_FLOAT:
      return same("FLOAT");
    case DUCKDB_TYPE_DOUBLE:
      return same("DOUBLE");
    case DUCKDB_TYPE_TIMESTAMP:
      return same("TIMESTAMP");
    case DUCKDB_TYPE_TIMESTAMP_S:
      return same("TIMESTAMP_S");
    case DUCKDB_TYPE_TIMESTAMP_MS:
      return same("TIMESTAMP_MS");
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return same("TIMESTAMP_NS");
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return same("TIMESTAMP WITH TIME ZONE");
    case DUCKDB_TYPE_DATE:
      return same("DATE");
    case DUCKDB_TYPE_TIME:
      return same("TIME");
    case DUCKDB_TYPE_TIME_NS:
      return same("TIME_NS");
    case DUCKDB_TYPE_INTERVAL:
      return same("INTERVAL");
    case DUCKDB_TYPE_BLOB:
      return same("BLOB");
    case DUCKDB_TYPE_UUID:
      return same("UUID");
    case DUCKDB_TYPE_SQLNULL:
      return same("\"NULL\"");
    case DUCKDB_TYPE_ENUM:
      return {"ENUM", "VARCHAR"};
    case DUCKDB_TYPE_VARCHAR: {
      const std::string alias = take(duckdb_logical_type_get_alias(type.get()));
      return same(alias == "JSON" ? "JSON" : "VARCHAR");
    }
    case DUCKDB_TYPE_DECIMAL:
      return same("DECIMAL(" + std::to_string(duckdb_decimal_width(type.get())) + "," +
                  std::to_string(duckdb_decimal_scale(type.get())) + ")");
    // Arrow's decimal128 is signed, its times have no zone, and the others come as bytes of DuckDB's own layout.
    case DUCKDB_TYPE_UHUGEINT:
      return as_text("UHUGEINT");
    case DUCKDB_TYPE_TIME_TZ:
      return as_text("TIME WITH TIME ZONE");
    case DUCKDB_TYPE_BIT:
      return as_text("BIT");
    case DUCKDB_TYPE_BIGNUM:
      return as_text("BIGNUM");
    case DUCKDB_TYPE_LIST: {
      Names names = names_of(LogicalType(duckdb_list_type_child_type(type.get())));
      names.append("[]");
      return names;
    }
    case DUCKDB_TYPE_ARRAY: {
      Names names = names_of(LogicalType(duckdb_array_type_child_type(type.get())));
      names.append("[" + std::to_string(duckdb_array_type_array_size(type.get())) + "]");
      return names;
    }
    case DUCKDB_TYPE_MAP: {
      Names names = same("MAP(");
      names.append(names_of(LogicalType(duckdb_map_type_key_type(type.get()))));
      names.append(", ");
      names.append(names_of(LogicalType(duckdb_map_type_value_type(type.get()))));
      names.append(")");
      return names;
    }
    case DUCKDB_TYPE_STRUCT:
      return members("STRUCT", type, duckdb_struct_type_child_count(type.get()), duckdb_struct_type_child_name,
                     duckdb_struct_type_child_type);
    case DUCKDB_TYPE_UNION:
      return members("UNION", type, duckdb_union_type_member_count(type.get()), duckdb_union_type_member_name,
                     duckdb_union_type_member_type);
    default:  // VARIANT, GEOMETRY and what later versions bring
      return as_text("type " + std::to_string(static_cast<int>(type.id())));
  }
}

bool has_interval(const LogicalType& type) {
  switch (type.id()) {
    case DUCKDB_TYPE_INTERVAL:
      return true;
    case DUCKDB_TYPE_LIST:
      return has_interval(LogicalType(duckdb_list_type_child_type(type.get())));
    case DUCKDB_TYPE_ARRAY:
      return has_interval(LogicalType(duckdb_array_type_child_type(type.get())));
    case DUCKDB_TYPE_MAP:
      return has_interval(LogicalType(duckdb_map_type_key_type(type.get()))) ||
             has_interval(LogicalType(duckdb_map_type_value_type(type.get())));
    case DUCKDB_TYPE_STRUCT:
      for (idx_t i = 0; i < duckdb_struct_type_child_count(type.get()); ++i)
        if (has_interval(LogicalType(duckdb_struct_type_child_type(type.get(), i)))) return true;
      return false;
    case DUCKDB_TYPE_UNION:
      for (idx_t i = 0; i < duckdb_union_type_member_count(type.get()); ++i)
        if (has_interval(LogicalType(duckdb_union_type_member_type(type.get(), i)))) return true;
      return false;
    default:
      return false;
  }
}

Status check_vector(duckdb_vector vector, idx_t count) {
  LogicalType type(duckdb_vector_get_column_type(vector));
  if (!has_interval(type)) return {};
  switch (type.id()) {
    case DUCKDB_TYPE_INTERVAL: {
      constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 1000;
      const auto* values = static_cast<const duckdb_interval*>(duckdb_vector_get_data(vector));
      std::uint64_t* valid = duckdb_vector_get_validity(vector);
      for (idx_t i = 0; i < count; ++i) {
        if (valid != nullptr && !duckdb_validity_row_is_valid(valid, i)) continue;
        if (values[i].micros > kMax || values[i].micros < -kMax)
          return Error{Code::kUnsupported,
                       "an interval's hours are more than 292 years, which Arrow cannot carry; cast it to VARCHAR"};
      }
      return {};
    }
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_MAP:  // a list of structs
      return check_vector(duckdb_list_vector_get_child(vector), duckdb_list_vector_get_size(vector));
    case DUCKDB_TYPE_ARRAY:
      return check_vector(duckdb_array_vector_get_child(vector), count * duckdb_array_type_array_size(type.get()));
    case DUCKDB_TYPE_STRUCT:
      for (idx_t i = 0; i < duckdb_struct_type_child_count(type.get()); ++i)
        TRY(check_vector(duckdb_struct_vector_get_child(vector, i), count));
      return {};
    case DUCKDB_TYPE_UNION:  // a struct whose first member is the tag
      for (idx_t i = 0; i < duckdb_union_type_member_count(type.get()); ++i)
        TRY(check_vector(duckdb_struct_vector_get_child(vector, i + 1), count));
      return {};
    default:
      return {};
  }
}

}  // namespace

ColumnType column_type(std::string name, const LogicalType& type) {
  ColumnType column;
  column.name = std::move(name);
  if (type.get() == nullptr || type.id() == DUCKDB_TYPE_INVALID || type.id() == DUCKDB_TYPE_ANY) {
    column.resolved = false;
    return column;
  }
  Names names = names_of(type);
  column.type = names.exact;
  if (names.exact != names.carried) column.exact_type = names.carried;
  return column;
}

IntervalCheck::IntervalCheck(const std::vector<LogicalType>& types) {
  for (std::size_t i = 0; i < types.size(); ++i)
    if (has_interval(types[i])) columns_.push_back(i);
}

Status IntervalCheck::check(duckdb_data_chunk chunk) const {
  for (idx_t column : columns_)
    TRY(check_vector(duckdb_data_chunk_get_vector(chunk, column), duckdb_data_chunk_get_size(chunk)));
  return {};
}

}  // namespace larder::duck
