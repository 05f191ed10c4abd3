// Sizes and durations as people write them ("1GiB", "250 ms") and as people like to read them.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace larder {

// A number, fractions allowed, and a unit: B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024).
// Without a unit: bytes. Letter case does not count. kInvalid otherwise; the error says what may be written.
Result<std::uint64_t> parse_bytes(std::string_view text);

// A number, fractions allowed, and a unit: ms, s, min, h, d; the unit is needed. Rounded up to a whole millisecond, so
// that what is more than nothing stays so. kInvalid otherwise.
Result<std::int64_t> parse_duration_ms(std::string_view text);

// Three digits and a unit: "0 B", "999 B", "1.5 KiB", "12 MiB", "1 TiB".
std::string format_bytes(std::uint64_t bytes);

// The largest unit that fits, three digits: "0.4 ms", "830 ms", "3 s", "4.5 min", "2 h", "12 d". `ms` may have
// fractions.
std::string format_duration(double ms);

}  // namespace larder
