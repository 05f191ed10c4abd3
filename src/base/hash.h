// The two hashes: xxh3 for speed (index, keys; not for strangers' input without a secret seed), and SHA-256 for
// names that nobody must be able to forge (query fingerprints, ETags).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder {

// XXH3, 64 bits, seeded.
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed);

// SHA-256 (FIPS 180-4) in lower-case hex, 64 characters.
std::string sha256_hex(std::string_view bytes);

}  // namespace larder
