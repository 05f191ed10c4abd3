// XXH3: a hash for speed (index, keys); not for strangers' input without a secret seed.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

// XXH3, 64 bits, seeded.
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed);

}  // namespace larder
