// Keys, values and the order in which they are asked for, the same for every system and all made before the clock runs.
//
// A key is a number written in hex after a mixing step, so that neighbours in the order of inserts are strangers in
// every other order. A value begins with eight bytes that follow from its key's number, and a part of the values read
// is compared to the last byte: a system that answers wrongly or lazily is found out.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

inline constexpr std::size_t kKeyBytesMax = 24;

// A bijection of 64-bit numbers without visible order (the finalizer of splitmix64).
constexpr std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

// One operation, with its key beside it: a worker reads its operations in sequence, and the fetch of a key from a large
// table of keys is not measured.
struct Op {
  std::uint32_t id = 0;     // of the key
  std::uint32_t write = 0;  // 1: set, 0: get
  char bytes[kKeyBytesMax] = {};

  std::string_view key(std::size_t key_bytes) const { return {bytes, key_bytes}; }
};
static_assert(sizeof(Op) == 32);

Op make_op(std::uint32_t id, bool write, std::size_t key_bytes);

// The values of one shape. of() fills one buffer that is given out again and again, so each thread has its own Values.
class Values {
 public:
  explicit Values(std::size_t value_bytes);

  std::string_view of(std::uint32_t id) {
    stamp(id, buffer_.data());
    return buffer_;
  }
  // Looks at the size and the first eight bytes; `whole` at all of them.
  bool right(std::uint32_t id, std::string_view value, bool whole) const {
    char head[8];
    stamp(id, head);
    return value.size() == buffer_.size() && std::memcmp(value.data(), head, sizeof head) == 0 &&
           (!whole || std::memcmp(value.data() + sizeof head, buffer_.data() + sizeof head, value.size() - 8) == 0);
  }

 private:
  static void stamp(std::uint32_t id, char* to) {
    const std::uint64_t head = mixed(id + (1ULL << 40));
    std::memcpy(to, &head, sizeof head);
  }

  std::string buffer_;
};

// What a worker has seen.
struct Tally {
  Values* values = nullptr;
  std::size_t key_bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t wrong = 0;

  void took(const Op& op, std::string_view value) {
    if (!values->right(op.id, value, hits % 64 == 0)) ++wrong;
    ++hits;
  }
};

// Ranks 0 to n-1, rank r asked with a probability proportional to 1/(r+1)^s, 0 < s < 1.
// Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994.
class Zipf {
 public:
  Zipf(std::uint64_t n, double s);
  std::uint64_t rank(double uniform) const;

 private:
  double n_, s_, zeta_n_, alpha_, eta_;
};

}  // namespace bench
