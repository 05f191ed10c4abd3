#include "arrow/type.h"

#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/try.h"

namespace larder::arrow {
namespace {

std::optional<int> number(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Pairs in the layout of the C data interface: a count, then lengths and bytes in turn, all in the machine's order.
std::vector<std::pair<std::string, std::string>> metadata_of(const char* bytes) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (bytes == nullptr) return pairs;
  auto take_int = [&bytes] {
    std::int32_t value = 0;
    std::memcpy(&value, bytes, sizeof value);
    bytes += sizeof value;
    return value;
  };
  auto take_text = [&] {
    std::int32_t size = take_int();
    std::string text(bytes, static_cast<std::size_t>(size));
    bytes += size;
    return text;
  };
  std::int32_t count = take_int();
  for (std::int32_t i = 0; i < count; ++i) {
    std::string key = take_text();
    pairs.emplace_back(std::move(key), take_text());
  }
  return pairs;
}

struct Simple {
  std::string_view format;
  Kind kind;
  int bits;
  bool is_signed;
  bool is_large;
};

constexpr std::array<Simple, 21> kSimple = {{
    {"n", Kind::kNull, 0, false, false},    {"b", Kind::kBool, 1, false, false},
    {"c", Kind::kInt, 8, true, false},      {"C", Kind::kInt, 8, false, false},
    {"s", Kind::kInt, 16, true, false},     {"S", Kind::kInt, 16, false, false},
    {"i", Kind::kInt, 32, true, false},     {"I", Kind::kInt, 32, false, false},
    {"l", Kind::kInt, 64, true, false},     {"L", Kind::kInt, 64, false, false},
    {"f", Kind::kFloat, 32, true, false},   {"g", Kind::kFloat, 64, true, false},
    {"u", Kind::kUtf8, 0, false, false},    {"U", Kind::kUtf8, 0, false, true},
    {"z", Kind::kBinary, 0, false, false},  {"Z", Kind::kBinary, 0, false, true},
    {"tdD", Kind::kDate, 32, true, false},  {"tin", Kind::kInterval, 128, true, false},
    {"+l", Kind::kList, 0, false, false},   {"+L", Kind::kList, 0, false, true},
    {"+s", Kind::kStruct, 0, false, false},
}};

// "s", "m", "u", "n" as the time formats spell their unit.
std::optional<Unit> unit_of(char letter) {
  switch (letter) {
    case 's':
      return Unit::kSecond;
    case 'm':
      return Unit::kMilli;
    case 'u':
      return Unit::kMicro;
    case 'n':
      return Unit::kNano;
    default:
      return std::nullopt;
  }
}

bool parse_sized(std::string_view format, Field& field) {
  if (format.substr(0, 2) == "w:" || format.substr(0, 3) == "+w:") {
    field.kind = format[0] == 'w' ? Kind::kFixedBinary : Kind::kFixedList;
    auto width = number(format.substr(format.find(':') + 1));
    if (!width || *width < 0) return false;
    field.width = *width;
    return true;
  }
  if (format.substr(0, 2) == "d:") {
    std::string_view rest = format.substr(2);
    std::size_t comma = rest.find(',');
    if (comma == std::string_view::npos) return false;
    std::string_view scale = rest.substr(comma + 1);
    if (scale.find(',') != std::string_view::npos) {  // a third number is the bits, 128 when it is absent
      if (scale.substr(scale.find(',')) != ",128") return false;
      scale = scale.substr(0, scale.find(','));
    }
    auto precision = number(rest.substr(0, comma));
    auto digits = number(scale);
    if (!precision || !digits || *precision < 1 || *precision > 38 || *digits < 0 || *digits > *precision) return false;
    field.kind = Kind::kDecimal;
    field.bits = 128;
    field.precision = *precision;
    field.scale = *digits;
    return true;
  }
  if (format.size() == 3 && format.substr(0, 2) == "tt") {
    auto unit = unit_of(format[2]);
    if (!unit) return false;
    field.kind = Kind::kTime;
    field.unit = *unit;
    field.bits = *unit == Unit::kSecond || *unit == Unit::kMilli ? 32 : 64;
    return true;
  }
  if (format.size() >= 4 && format.substr(0, 2) == "ts" && format[3] == ':') {
    auto unit = unit_of(format[2]);
    if (!unit) return false;
    field.kind = Kind::kTimestamp;
    field.unit = *unit;
    field.bits = 64;
    field.timezone = format.substr(4);
    return true;
  }
  if (format.substr(0, 4) == "+us:") {
    field.kind = Kind::kSparseUnion;
    std::string_view ids = format.substr(4);
    while (!ids.empty()) {
      auto id = number(ids.substr(0, ids.find(',')));
      if (!id || *id < 0 || *id > 127) return false;
      field.type_ids.push_back(static_cast<std::int8_t>(*id));
      ids = ids.find(',') == std::string_view::npos ? std::string_view() : ids.substr(ids.find(',') + 1);
    }
    return true;
  }
  return false;
}

bool parse_format(std::string_view format, Field& field) {
  for (const Simple& row : kSimple) {
    if (row.format != format) continue;
    field.kind = row.kind;
    field.bits = row.bits;
    field.is_signed = row.is_signed;
    field.is_large = row.is_large;
    return true;
  }
  if (format == "+m") {
    field.kind = Kind::kMap;
    return true;
  }
  return parse_sized(format, field);
}

Result<Field> field_of(const ArrowSchema& schema, int depth) {
  Field field;
  field.name = schema.name == nullptr ? "" : schema.name;
  auto unsupported = [&](const char* format) {
    return Error{Code::kUnsupported, "column '" + field.name + "' has the Arrow type '" + format +
                                         "', which Larder does not carry; cast it to VARCHAR"};
  };
  if (depth > kNestingMax)
    return Error{Code::kUnsupported,
                 "column '" + field.name + "' is nested more than " + std::to_string(kNestingMax) + " deep"};
  field.nullable = (schema.flags & ARROW_FLAG_NULLABLE) != 0;
  field.keys_sorted = (schema.flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0;
  field.metadata = metadata_of(schema.metadata);
  const ArrowSchema* values = &schema;
  if (schema.dictionary != nullptr) {
    Field index;
    if (!parse_format(schema.format, index) || index.kind != Kind::kInt) return unsupported(schema.format);
    field.index_bits = index.bits;
    field.index_signed = index.is_signed;
    values = schema.dictionary;
  }
  if (!parse_format(values->format, field)) return unsupported(values->format);
  if (field.index_bits != 0 && field.kind != Kind::kUtf8) return unsupported(values->format);
  for (std::int64_t i = 0; i < values->n_children; ++i)
    field.children.push_back(TRY(field_of(*values->children[i], depth + 1)));
  if (field.kind == Kind::kSparseUnion && field.type_ids.size() != field.children.size())
    return unsupported(values->format);
  return field;
}

// A name as SQL must write it to get it back.
std::string quoted(const std::string& name) {
  bool plain = !name.empty() && !(name[0] >= '0' && name[0] <= '9');
  for (char c : name) plain = plain && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
  if (plain) return name;
  std::string text = "\"";
  for (char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + "\"";
}

std::string members(const char* word, const Field& field, bool named) {
  std::string text = word;
  text += '(';
  for (const Field& child : field.children) {
    if (&child != &field.children.front()) text += ", ";
    if (named && !child.name.empty()) text += quoted(child.name) + ' ';
    text += sql_type(child);
  }
  return text + ')';
}

}  // namespace

Result<std::vector<Field>> fields_of(const ArrowSchema& schema) {
  Field top = TRY(field_of(schema, 0));
  if (top.kind != Kind::kStruct) return Error{Code::kUnsupported, "a record batch is a struct of its columns"};
  return std::move(top.children);
}

std::string sql_type(const Field& field) {
  switch (field.kind) {
    case Kind::kNull:
      return "\"NULL\"";
    case Kind::kBool:
      return "BOOLEAN";
    case Kind::kInt:
      switch (field.bits) {
        case 8:
          return field.is_signed ? "TINYINT" : "UTINYINT";
        case 16:
          return field.is_signed ? "SMALLINT" : "USMALLINT";
        case 32:
          return field.is_signed ? "INTEGER" : "UINTEGER";
        default:
          return field.is_signed ? "BIGINT" : "UBIGINT";
      }
    case Kind::kFloat:
      return field.bits == 32 ? "FLOAT" : "DOUBLE";
    case Kind::kDecimal:
      return "DECIMAL(" + std::to_string(field.precision) + "," + std::to_string(field.scale) + ")";
    case Kind::kDate:
      return "DATE";
    case Kind::kTime:
      return field.unit == Unit::kNano ? "TIME_NS" : "TIME";
    case Kind::kTimestamp:
      if (!field.timezone.empty()) return "TIMESTAMP WITH TIME ZONE";
      switch (field.unit) {
        case Unit::kSecond:
          return "TIMESTAMP_S";
        case Unit::kMilli:
          return "TIMESTAMP_MS";
        case Unit::kMicro:
          return "TIMESTAMP";
        case Unit::kNano:
          return "TIMESTAMP_NS";
      }
      return "TIMESTAMP";
    case Kind::kInterval:
      return "INTERVAL";
    case Kind::kUtf8:
      return "VARCHAR";
    case Kind::kBinary:
    case Kind::kFixedBinary:
      return "BLOB";
    case Kind::kList:
      return field.children.empty() ? "LIST" : sql_type(field.children[0]) + "[]";
    case Kind::kFixedList:
      return field.children.empty() ? "ARRAY" : sql_type(field.children[0]) + "[" + std::to_string(field.width) + "]";
    case Kind::kStruct:
      return members("STRUCT", field, true);
    case Kind::kMap:
      return field.children.empty() ? "MAP" : members("MAP", field.children[0], false);
    case Kind::kSparseUnion:
      return members("UNION", field, true);
  }
  return "";
}

int buffer_count(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return 0;
    case Kind::kStruct:
    case Kind::kFixedList:
    case Kind::kSparseUnion:
      return 1;  // the union's one holds its type ids: it has no validity bits
    case Kind::kUtf8:
    case Kind::kBinary:
      return 3;
    default:
      return 2;
  }
}

int value_bytes(const Field& field) {
  switch (field.kind) {
    case Kind::kInt:
    case Kind::kFloat:
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimestamp:
      return field.bits / 8;
    case Kind::kDecimal:
    case Kind::kInterval:
      return 16;
    case Kind::kFixedBinary:
      return field.width;
    default:
      return 0;
  }
}

}  // namespace larder::arrow
