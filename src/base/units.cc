#include "base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace larder {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 10> kByteUnits = {{{"", 1},
                                              {"b", 1},
                                              {"kb", 1e3},
                                              {"mb", 1e6},
                                              {"gb", 1e9},
                                              {"tb", 1e12},
                                              {"kib", 1024.0},
                                              {"mib", 1048576.0},
                                              {"gib", 1073741824.0},
                                              {"tib", 1099511627776.0}}};
constexpr std::array<Unit, 5> kTimeUnits = {{{"ms", 1}, {"s", 1e3}, {"min", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};

// The value in the base unit; negative: not written as it may be.
double parse(std::string_view text, const Unit* units, std::size_t count) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (problem != std::errc{} || !std::isfinite(number) || std::signbit(number)) return -1;
  std::string unit(rest, end);
  unit.erase(0, unit.find_first_not_of(' '));
  for (char& c : unit)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (std::size_t i = 0; i < count; ++i)
    if (units[i].name == unit) return number * units[i].factor;
  return -1;
}

std::string three_digits(double number, std::string_view unit) {
  char text[64];
  const int decimals = number < 10 ? 2 : number < 100 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f", decimals, number);
  std::string result = text;
  if (result.find('.') != std::string::npos) {
    result.erase(result.find_last_not_of('0') + 1);
    if (result.back() == '.') result.pop_back();
  }
  return result.append(" ").append(unit);
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const double bytes = parse(text, kByteUnits.data(), kByteUnits.size());
  if (bytes < 0)
    return Error{Code::kInvalid,
                 "'" + std::string(text) + "' is no size; write a number and a unit, as in 64MiB or 1.5GB"};
  if (bytes >= 9.2e18) return Error{Code::kInvalid, "'" + std::string(text) + "' is too large a size"};
  return static_cast<std::uint64_t>(bytes);
}

Result<std::int64_t> parse_duration_ms(std::string_view text) {
  const double ms = std::ceil(parse(text, kTimeUnits.data(), kTimeUnits.size()));
  if (ms < 0)
    return Error{Code::kInvalid, "'" + std::string(text) +
                                     "' is no duration; write a number and one of ms, s, min, h, d, as in 30s or 1.5h"};
  if (ms >= 9.2e18) return Error{Code::kInvalid, "'" + std::string(text) + "' is too long a duration"};
  return static_cast<std::int64_t>(ms);
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 7> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double number = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (number >= 999.5 && unit + 1 < kNames.size() && (unit > 0 || bytes >= 1000)) {
    number /= 1024;
    ++unit;
  }
  return three_digits(number, kNames[unit]);
}

std::string format_duration(double ms) {
  if (ms < 1) return three_digits(ms, "ms");
  for (std::size_t i = kTimeUnits.size(); i-- > 0;)
    if (ms >= kTimeUnits[i].factor) return three_digits(ms / kTimeUnits[i].factor, kTimeUnits[i].name);
  return three_digits(ms, "ms");
}

}  // namespace larder
