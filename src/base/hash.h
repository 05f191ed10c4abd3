// XXH3: a hash for speed (index, keys); not for strangers' input without a secret seed.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace larder {

// XXH3, 64 bits, seeded.
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed);

// The same, of bytes that come in parts.
class Hasher64 {
 public:
  explicit Hasher64(std::uint64_t seed);
  Hasher64(Hasher64&&) noexcept;
  Hasher64& operator=(Hasher64&&) noexcept;
  ~Hasher64();
  void add(std::string_view bytes);
  // Of what was added so far.
  std::uint64_t sum() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace larder
