// SHA-256, for names that nobody must be able to forge (query fingerprints, ETags, versions of data).
//
// A module of its own because it is all that needs OpenSSL below the network: the cache (base and engine) is linked by
// programs that have none.
#pragma once

#include <string>
#include <string_view>

namespace larder {

// SHA-256 (FIPS 180-4) in lower-case hex, 64 characters.
std::string sha256_hex(std::string_view bytes);

}  // namespace larder
