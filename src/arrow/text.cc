// Everything a value can be as text has one spelling, here, and JSON, CSV and tables all use it. The spellings can be
// read back to the same value: numbers are the shortest that round-trip, times keep every digit they have.
#include "arrow/text.h"

#include <array>
#include <charconv>
#include <cmath>

namespace larder::arrow {
namespace {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

// Beyond these a double, and so a reader of JSON, no longer tells neighbours apart.
constexpr std::int64_t kSafeMax = (std::int64_t{1} << 53) - 1;

template <typename T>
void append_number(T value, std::string& out) {
  std::array<char, 32> digits;
  auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), end);
}

// At least `width` digits, zeros first.
void append_padded(std::uint64_t value, int width, std::string& out) {
  std::array<char, 20> digits;
  auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  const auto size = static_cast<int>(end - digits.data());
  if (size < width) out.append(static_cast<std::size_t>(width - size), '0');
  out.append(digits.data(), end);
}

// For b above zero; rounded down, with a rest of zero or more, for times before 1970 too.
std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
std::int64_t floor_rest(std::int64_t a, std::int64_t b) { return a % b + (a % b < 0 ? b : 0); }

void append_decimal(Int128 value, int scale, std::string& out) {
  Uint128 rest = value < 0 ? ~static_cast<Uint128>(value) + 1 : static_cast<Uint128>(value);
  std::array<char, 48> digits;
  std::size_t at = digits.size();
  int written = 0;
  do {
    if (written == scale && scale != 0) digits[--at] = '.';
    digits[--at] = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
    ++written;
  } while (rest != 0 || written <= scale);
  if (value < 0) out += '-';
  out.append(&digits[at], digits.size() - at);
}

// Days since 1970-01-01 as a date of the proleptic Gregorian calendar. Years count in eras of 400, which have 146,097
// days, and start in March, so that the leap day is a year's last.
void append_days(std::int64_t days, std::string& out) {
  const std::int64_t shifted = days + 719'468;  // since 0000-03-01
  const std::int64_t era = floor_div(shifted, 146'097);
  const std::int64_t day_of_era = shifted - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t march_month = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  const std::int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  if (year < 0 || year > 9999) {  // ISO 8601's expanded years, six digits as ECMAScript reads them
    out += year < 0 ? '-' : '+';
    append_padded(static_cast<std::uint64_t>(year < 0 ? -year : year), 6, out);
  } else {
    append_padded(static_cast<std::uint64_t>(year), 4, out);
  }
  out += '-';
  append_padded(static_cast<std::uint64_t>(month), 2, out);
  out += '-';
  append_padded(static_cast<std::uint64_t>(day), 2, out);
}

struct Scale {
  std::int64_t per_second;
  int digits;
};
Scale scale_of(Unit unit) {
  switch (unit) {
    case Unit::kSecond:
      return {1, 0};
    case Unit::kMilli:
      return {1000, 3};
    case Unit::kMicro:
      return {1'000'000, 6};
    case Unit::kNano:
      return {1'000'000'000, 9};
  }
  return {1, 0};
}

// A fraction of a second in 0, 3, 6 or 9 digits, as few as keep it whole.
void append_fraction(std::int64_t fraction, int digits, std::string& out) {
  if (fraction == 0) return;
  while (digits > 3 && fraction % 1000 == 0) {
    fraction /= 1000;
    digits -= 3;
  }
  out += '.';
  append_padded(static_cast<std::uint64_t>(fraction), digits, out);
}

void append_clock(std::int64_t seconds, std::int64_t fraction, int digits, std::string& out) {
  append_padded(static_cast<std::uint64_t>(seconds / 3600), 2, out);
  out += ':';
  append_padded(static_cast<std::uint64_t>(seconds / 60 % 60), 2, out);
  out += ':';
  append_padded(static_cast<std::uint64_t>(seconds % 60), 2, out);
  append_fraction(fraction, digits, out);
}

void append_timestamp(std::int64_t value, const Field& field, std::string& out) {
  if (value == INT64_MAX || value == -INT64_MAX) {  // as DuckDB keeps them
    out += value < 0 ? "-infinity" : "infinity";
    return;
  }
  const Scale scale = scale_of(field.unit);
  const std::int64_t seconds = floor_div(value, scale.per_second);
  const std::int64_t days = floor_div(seconds, 86'400);
  append_days(days, out);
  out += 'T';
  append_clock(floor_rest(seconds, 86'400), floor_rest(value, scale.per_second), scale.digits, out);
  if (!field.timezone.empty()) out += 'Z';  // what is kept is a moment; the zone is only how to show it
}

// ISO 8601 with PostgreSQL's signs: each part has its own. "P1Y2M-3DT4H0.5S"
void append_interval(std::int32_t months, std::int32_t days, std::int64_t nanos, std::string& out) {
  const std::size_t start = out.size();
  auto part = [&out](std::int64_t count, char letter) {
    if (count == 0) return;
    append_number(count, out);
    out += letter;
  };
  out += 'P';
  part(months / 12, 'Y');
  part(months % 12, 'M');
  part(days, 'D');
  if (nanos != 0) {
    out += 'T';
    const std::int64_t seconds = nanos / 1'000'000'000;
    const std::int64_t fraction = nanos % 1'000'000'000;
    part(seconds / 3600, 'H');
    part(seconds / 60 % 60, 'M');
    if (seconds % 60 != 0 || fraction != 0) {
      if (nanos < 0) out += '-';
      append_number(std::abs(seconds % 60), out);
      append_fraction(std::abs(fraction), 9, out);
      out += 'S';
    }
  }
  if (out.size() == start + 1) out += "T0S";
}

void append_base64(std::string_view bytes, std::string& out) {
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::size_t i = 0;
  auto at = [&](std::size_t j) { return j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0u; };
  for (; i < bytes.size(); i += 3) {
    const unsigned group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out += kLetters[group >> 18];
    out += kLetters[(group >> 12) & 63];
    out += i + 1 < bytes.size() ? kLetters[(group >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? kLetters[group & 63] : '=';
  }
}

template <typename T>
void append_float(T value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    append_number(value, out);
  }
}

std::int64_t signed_at(const Column& column, std::int64_t i) {
  switch (column.field->bits) {
    case 8:
      return column.get<std::int8_t>(i);
    case 16:
      return column.get<std::int16_t>(i);
    case 32:
      return column.get<std::int32_t>(i);
    default:
      return column.get<std::int64_t>(i);
  }
}

std::uint64_t unsigned_at(const Column& column, std::int64_t i) {
  switch (column.field->bits) {
    case 8:
      return column.get<std::uint8_t>(i);
    case 16:
      return column.get<std::uint16_t>(i);
    case 32:
      return column.get<std::uint32_t>(i);
    default:
      return column.get<std::uint64_t>(i);
  }
}

// Whether JSON has a number for just this value; else it is a string.
bool is_json_number(const Column& column, std::int64_t i) {
  const Field& field = *column.field;
  switch (field.kind) {
    case Kind::kInt:
      if (field.bits < 64) return true;
      return field.is_signed ? std::abs(std::max(signed_at(column, i), -INT64_MAX)) <= kSafeMax
                             : unsigned_at(column, i) <= static_cast<std::uint64_t>(kSafeMax);
    case Kind::kDecimal: {
      const auto value = column.get<Int128>(i);
      return field.scale == 0 && value <= kSafeMax && value >= -kSafeMax;
    }
    case Kind::kFloat:
      return std::isfinite(field.bits == 32 ? column.get<float>(i) : column.get<double>(i));
    default:
      return false;
  }
}

bool has_names(const Field& field) {
  for (const Field& child : field.children)
    if (!child.name.empty()) return true;
  return false;
}

void append_json_list(const Column& column, std::int64_t i, std::string& out) {
  auto [begin, end] = column.range(i);
  out += '[';
  for (std::int64_t j = begin; j < end; ++j) {
    if (j != begin) out += ',';
    append_json(column.children[0], j, out);
  }
  out += ']';
}

// An object where the members have names, an array where they have none: row(1, 2).
void append_json_struct(const Column& column, std::int64_t i, std::string& out) {
  const bool named = has_names(*column.field);
  out += named ? '{' : '[';
  for (const Column& child : column.children) {
    if (&child != column.children.data()) out += ',';
    if (named) {
      append_json_string(child.field->name, out);
      out += ':';
    }
    append_json(child, i, out);
  }
  out += named ? '}' : ']';
}

// An object where the keys are text; else an array of pairs, since only text can name a member.
void append_json_map(const Column& column, std::int64_t i, std::string& out) {
  const Column& keys = column.children[0].children[0];
  const Column& values = column.children[0].children[1];
  const bool object = keys.field->kind == Kind::kUtf8;
  auto [begin, end] = column.range(i);
  out += object ? '{' : '[';
  for (std::int64_t j = begin; j < end; ++j) {
    if (j != begin) out += ',';
    if (!object) out += '[';
    if (object)
      append_json_string(keys.is_null(j) ? std::string_view() : keys.text(j), out);
    else
      append_json(keys, j, out);
    out += object ? ':' : ',';
    append_json(values, j, out);
    if (!object) out += ']';
  }
  out += object ? '}' : ']';
}

}  // namespace

Character next_character(std::string_view text) {
  const Character none = {0xFFFD, 1};
  auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = at(0);
  if (first < 0x80) return {first, 1};
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return none;
  char32_t code = first & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xC0) != 0x80) return none;
    code = code << 6 | (at(i) & 0x3F);
  }
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return none;
  return {code, bytes};
}

void append_json_string(std::string_view text, std::string& out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    // Most text is plain: take it in one piece.
    std::size_t plain = 0;
    while (plain < text.size() && static_cast<unsigned char>(text[plain]) >= 0x20 && text[plain] != '"' &&
           text[plain] != '\\' && static_cast<unsigned char>(text[plain]) < 0x80)
      ++plain;
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const Character character = next_character(text);
    switch (character.code) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (character.code < 0x20) {
          out += "\\u00";
          out += kHex[character.code >> 4];
          out += kHex[character.code & 15];
        } else if (character.code == 0xFFFD) {
          out += "\xEF\xBF\xBD";
        } else {
          out.append(text.substr(0, character.bytes));
        }
    }
    text.remove_prefix(character.bytes);
  }
  out += '"';
}

void append_text(const Column& column, std::int64_t i, std::string& out) {
  const Field& field = *column.field;
  switch (field.kind) {
    case Kind::kNull:
      return;
    case Kind::kBool:
      out += column.boolean(i) ? "true" : "false";
      return;
    case Kind::kInt:
      field.is_signed ? append_number(signed_at(column, i), out) : append_number(unsigned_at(column, i), out);
      return;
    case Kind::kFloat:
      field.bits == 32 ? append_float(column.get<float>(i), out) : append_float(column.get<double>(i), out);
      return;
    case Kind::kDecimal:
      append_decimal(column.get<Int128>(i), field.scale, out);
      return;
    case Kind::kDate: {
      const auto days = column.get<std::int32_t>(i);
      if (days == INT32_MAX || days == -INT32_MAX)
        out += days < 0 ? "-infinity" : "infinity";
      else
        append_days(days, out);
      return;
    }
    case Kind::kTime: {
      const Scale scale = scale_of(field.unit);
      const std::int64_t value = signed_at(column, i);
      if (value < 0 || value / scale.per_second > 86'400) {  // no time of day: only a damaged stream has it
        append_number(value, out);
        return;
      }
      append_clock(value / scale.per_second, value % scale.per_second, scale.digits, out);
      return;
    }
    case Kind::kTimestamp:
      append_timestamp(column.get<std::int64_t>(i), field, out);
      return;
    case Kind::kInterval: {
      struct Parts {
        std::int32_t months;
        std::int32_t days;
        std::int64_t nanos;
      };
      const auto parts = column.get<Parts>(i);
      append_interval(parts.months, parts.days, parts.nanos, out);
      return;
    }
    case Kind::kUtf8:
      out += column.text(i);
      return;
    case Kind::kBinary:
    case Kind::kFixedBinary:
      append_base64(column.text(i), out);
      return;
    case Kind::kList:
    case Kind::kFixedList:
      append_json_list(column, i, out);
      return;
    case Kind::kStruct:
      append_json_struct(column, i, out);
      return;
    case Kind::kMap:
      append_json_map(column, i, out);
      return;
    case Kind::kSparseUnion: {
      const Column& member = column.children[column.member(i)];
      out += '{';
      append_json_string(member.field->name, out);
      out += ':';
      append_json(member, i, out);
      out += '}';
      return;
    }
  }
}

void append_json(const Column& column, std::int64_t i, std::string& out) {
  if (column.is_null(i)) {
    out += "null";
    return;
  }
  switch (column.field->kind) {
    case Kind::kUtf8:
      append_json_string(column.text(i), out);
      return;
    case Kind::kBool:
    case Kind::kList:
    case Kind::kFixedList:
    case Kind::kStruct:
    case Kind::kMap:
    case Kind::kSparseUnion:
      append_text(column, i, out);
      return;
    default: {
      // None of these spellings has a character that JSON escapes.
      const bool bare = is_json_number(column, i);
      if (!bare) out += '"';
      append_text(column, i, out);
      if (!bare) out += '"';
    }
  }
}

}  // namespace larder::arrow
