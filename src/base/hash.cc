#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace larder {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

struct Hasher64::State {
  XXH3_state_t xxh;
};

Hasher64::Hasher64(std::uint64_t seed) : state_(std::make_unique<State>()) {
  XXH3_64bits_reset_withSeed(&state_->xxh, seed);
}
Hasher64::Hasher64(Hasher64&&) noexcept = default;
Hasher64& Hasher64::operator=(Hasher64&&) noexcept = default;
Hasher64::~Hasher64() = default;
void Hasher64::add(std::string_view bytes) { XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size()); }
std::uint64_t Hasher64::sum() const { return XXH3_64bits_digest(&state_->xxh); }

}  // namespace larder
