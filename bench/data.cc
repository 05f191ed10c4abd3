#include "data.h"

#include <cmath>
#include <random>

namespace bench {

Op make_op(std::uint32_t id, bool write, std::size_t key_bytes) {
  Op op;
  op.id = id;
  op.write = write ? 1 : 0;
  // The mixed number from the right, four bits a character; a longer key is led by one that all share.
  std::uint64_t number = mixed(id + 1ULL);
  for (std::size_t at = key_bytes; at-- > 0;) {
    op.bytes[at] = key_bytes - at <= 16 ? "0123456789abcdef"[number & 15] : ':';
    number >>= 4;
  }
  return op;
}

Values::Values(std::size_t value_bytes) : buffer_(value_bytes, '\0') {
  std::mt19937_64 chance(value_bytes);  // the same filler in every process, and nothing that compresses
  for (char& byte : buffer_) byte = static_cast<char>(chance());
}

Zipf::Zipf(std::uint64_t n, double s) : n_(static_cast<double>(n)), s_(s), zeta_n_(0) {
  for (std::uint64_t rank = n; rank > 0; --rank) zeta_n_ += 1 / std::pow(static_cast<double>(rank), s);
  alpha_ = 1 / (1 - s);
  eta_ = (1 - std::pow(2 / n_, 1 - s)) / (1 - (1 + std::pow(0.5, s)) / zeta_n_);
}

std::uint64_t Zipf::rank(double uniform) const {
  const double share = uniform * zeta_n_;
  if (share < 1) return 0;
  if (share < 1 + std::pow(0.5, s_)) return 1;
  const auto rank = static_cast<std::uint64_t>(n_ * std::pow(eta_ * uniform - eta_ + 1, alpha_));
  return std::min(rank, static_cast<std::uint64_t>(n_) - 1);
}

}  // namespace bench
