// Patterns of keys, as in a shell, for keys of any bytes (fnmatch(3) stops at a zero byte).
#pragma once

#include <larder/cache.h>

#include <string_view>

namespace larder::engine {

// `*` any run, `?` any byte, `[a-z_]` one of, `[!a-z]` or `[^a-z]` none of, `\\` takes the next byte as it is. A `[`
// without `]` stands for itself. Takes time in proportion to the product of both lengths at worst.
bool glob_matches(std::string_view pattern, std::string_view text);

// Whether prefix and pattern of the filter name this key.
inline bool names(const Filter& filter, std::string_view key) {
  return key.substr(0, filter.prefix.size()) == filter.prefix &&
         (filter.pattern.empty() || glob_matches(filter.pattern, key));
}

}  // namespace larder::engine
