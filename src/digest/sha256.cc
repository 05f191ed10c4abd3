#include "digest/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"

namespace larder {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // else looked up at each digest
  LARDER_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, kSha256, nullptr) == 1);
  LARDER_CHECK(size == digest.size());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (unsigned char byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace larder
