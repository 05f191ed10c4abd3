// What a column holds: the types of Arrow's columnar format that Larder reads and writes.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "arrow/c_data.h"

namespace larder::arrow {

enum class Kind : std::uint8_t {
  kNull,
  kBool,
  kInt,          // bits, is_signed
  kFloat,        // bits: 32 or 64
  kDecimal,      // 128 bits; precision, scale
  kDate,         // days since 1970-01-01, 32 bits
  kTime,         // since midnight; unit, bits
  kTimestamp,    // since 1970-01-01; unit, timezone
  kInterval,     // months, days and nanoseconds, 16 bytes
  kUtf8,         // is_large: 64-bit offsets
  kBinary,       // is_large
  kFixedBinary,  // width
  kList,         // is_large
  kFixedList,    // width
  kStruct,
  kMap,
  kSparseUnion,  // type_ids
};

enum class Unit : std::uint8_t { kSecond, kMilli, kMicro, kNano };

// Deeper nesting is refused, by the writer and by the reader.
inline constexpr int kNestingMax = 32;

struct Field {
  std::string name;
  Kind kind = Kind::kNull;
  bool nullable = true;
  bool is_signed = false;
  bool is_large = false;
  bool keys_sorted = false;
  Unit unit = Unit::kSecond;
  int bits = 0;
  int precision = 0;
  int scale = 0;
  std::int32_t width = 0;
  std::string timezone;               // empty: a local time of no zone
  std::vector<std::int8_t> type_ids;  // of a union, one a child
  std::vector<Field> children;
  std::vector<std::pair<std::string, std::string>> metadata;
  int index_bits = 0;         // in the C data interface the values are in a dictionary, looked up by an index
  bool index_signed = false;  // of so many bits; in a stream they never are
};

// The columns that a schema of the C data interface describes, whose top is a struct.
// kUnsupported: a type that is not among ours.
Result<std::vector<Field>> fields_of(const ArrowSchema& schema);

// As SQL has it: "DECIMAL(18,3)", "STRUCT(a INTEGER, b VARCHAR[])".
std::string sql_type(const Field& field);

// How many buffers a column of this kind has in a record batch, the validity bits included.
int buffer_count(Kind kind);

// The bytes of one value in the last buffer of a kind whose values all have one size; 0 for the others, and for kBool.
int value_bytes(const Field& field);

}  // namespace larder::arrow
