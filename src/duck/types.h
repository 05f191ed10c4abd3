// DuckDB's types: their names in SQL, and which of them Arrow cannot carry whole. For duck.cc alone.
#pragma once

#include <duckdb.h>
#include <larder/result.h>

#include <string>
#include <utility>
#include <vector>

#include "duck/duck.h"

namespace larder::duck {

// Move-only.
class LogicalType {
 public:
  explicit LogicalType(duckdb_logical_type type) : type_(type) {}
  LogicalType(LogicalType&& other) noexcept : type_(std::exchange(other.type_, nullptr)) {}
  LogicalType& operator=(LogicalType&& other) noexcept {
    std::swap(type_, other.type_);
    return *this;
  }
  ~LogicalType() { duckdb_destroy_logical_type(&type_); }
  duckdb_logical_type get() const { return type_; }
  duckdb_type id() const { return duckdb_get_type_id(type_); }

 private:
  duckdb_logical_type type_;
};

ColumnType column_type(std::string name, const LogicalType& type);

// Arrow's intervals count nanoseconds in 64 bits, DuckDB's microseconds: from 292 years on they would wrap around
// unseen. Looks at every interval of a chunk, at any depth, when a column has any.
class IntervalCheck {
 public:
  IntervalCheck() = default;
  explicit IntervalCheck(const std::vector<LogicalType>& types);
  Status check(duckdb_data_chunk chunk) const;

 private:
  std::vector<idx_t> columns_;  // that have intervals inside
};

}  // namespace larder::duck
