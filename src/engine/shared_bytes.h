// Copies between private memory and a mapping that others may be writing at the same moment.
//
// A reader takes no lock, so it may copy bytes of a segment that is being recycled under it; it throws the copy away
// afterwards, when it sees that the segment's generation has moved. For C++ such a copy is a defect unless both sides
// are atomic, and the compiler may reason from there. Two ways out, with one face:
//
// Words: whole, aligned 8-byte words by relaxed atomic loads and stores. Clean under the memory model and under
// ThreadSanitizer, whose builds use it.
// Opaque: the C library's memcpy and memcmp through pointers that the compiler cannot see through, as if they were
// assembly. What happens is what the machine does with plain loads and stores of bytes that may change: some old, some
// new, nothing else. All other builds use it: it is quicker from about 32 bytes on (10 KiB: 74 ns against 297).
//
// Records start and end on multiples of 8, so reading the whole words around a run of bytes stays inside the record.
#pragma once

#include <cstdint>
#include <cstring>

#include "engine/layout.h"

namespace larder::engine {

#if defined(__SANITIZE_THREAD__)
#define LARDER_WORDS_ONLY 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LARDER_WORDS_ONLY 1
#endif
#endif

inline Word* word_at(char* at) { return reinterpret_cast<Word*>(at); }
inline const Word* word_at(const char* at) { return reinterpret_cast<const Word*>(at); }

namespace words {

// Copies `size` bytes out of shared memory.
inline void copy_out(char* to, const char* from, std::size_t size) {
  if (size == 0) return;
  const auto skew = reinterpret_cast<std::uintptr_t>(from) & 7;
  const Word* word = word_at(from - skew);
  if (skew != 0) {
    // The rest of the first word. All eight bytes are stored where there is room: what follows overwrites the surplus,
    // and a store of a fixed size is one instruction.
    const std::uint64_t bytes = (word++)->load(std::memory_order_relaxed) >> (skew * 8);
    const std::size_t head = size < 8 - skew ? size : 8 - skew;
    std::memcpy(to, &bytes, size >= 8 ? 8 : head);
    to += head;
    size -= head;
  }
  for (; size >= 8; size -= 8, to += 8, ++word) {
    const std::uint64_t bytes = word->load(std::memory_order_relaxed);
    std::memcpy(to, &bytes, 8);
  }
  if (size > 0) {
    const std::uint64_t bytes = word->load(std::memory_order_relaxed);
    std::memcpy(to, &bytes, size);
  }
}

// Whether shared memory holds these bytes. `shared` is aligned to 8.
inline bool equal(const char* shared, const char* bytes, std::size_t size) {
  const Word* word = word_at(shared);
  std::uint64_t wanted = 0;
  for (; size >= 8; size -= 8, bytes += 8, ++word) {
    std::memcpy(&wanted, bytes, 8);
    if (word->load(std::memory_order_relaxed) != wanted) return false;
  }
  if (size == 0) return true;
  wanted = 0;
  std::memcpy(&wanted, bytes, size);
  const std::uint64_t mask = (std::uint64_t{1} << (8 * size)) - 1;
  return (word->load(std::memory_order_relaxed) & mask) == wanted;
}

// Writes bytes into shared memory one after another, from an aligned place on.
class Writer {
 public:
  explicit Writer(char* to) : word_(word_at(to)) {}

  void put(const char* from, std::size_t size) {
    if (size == 0) return;  // an empty view may point nowhere
    if (filled_ > 0) {      // the word that is begun comes first, so that whole words follow
      const std::size_t part = size < 8 - filled_ ? size : 8 - filled_;
      carry_ |= load(from, part) << (filled_ * 8);
      filled_ += static_cast<unsigned>(part);
      from += part;
      size -= part;
      if (filled_ < 8) return;
      pad();
    }
    for (; size >= 8; size -= 8, from += 8) put_word(load(from, 8));
    carry_ = load(from, size);
    filled_ = static_cast<unsigned>(size);
  }
  // Zeros up to the next multiple of 8.
  void pad() {
    if (filled_ == 0) return;
    put_word(carry_);
    carry_ = 0;
    filled_ = 0;
  }

 private:
  static std::uint64_t load(const char* from, std::size_t size) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, from, size);
    return bytes;
  }
  void put_word(std::uint64_t bytes) { (word_++)->store(bytes, std::memory_order_relaxed); }

  Word* word_;
  std::uint64_t carry_ = 0;  // the bytes that do not fill a word yet
  unsigned filled_ = 0;      // how many
};

}  // namespace words

namespace opaque {

// The compiler must take these for any function at all.
inline void* (*hide(void* (*function)(void*, const void*, std::size_t)))(void*, const void*, std::size_t) {
  asm("" : "+r"(function));
  return function;
}
inline int (*hide(int (*function)(const void*, const void*, std::size_t)))(const void*, const void*, std::size_t) {
  asm("" : "+r"(function));
  return function;
}

inline void copy_out(char* to, const char* from, std::size_t size) { hide(std::memcpy)(to, from, size); }

inline bool equal(const char* shared, const char* bytes, std::size_t size) {
  return hide(std::memcmp)(shared, bytes, size) == 0;
}

class Writer {
 public:
  explicit Writer(char* to) : to_(to) {}

  void put(const char* from, std::size_t size) {
    if (size == 0) return;  // an empty view may point nowhere
    hide(std::memcpy)(to_, from, size);
    to_ += size;
  }
  void pad() {
    const auto skew = reinterpret_cast<std::uintptr_t>(to_) & 7;
    if (skew == 0) return;
    constexpr char kZeros[8] = {};
    put(kZeros, 8 - skew);
  }

 private:
  char* to_;
};

}  // namespace opaque

// The same for tests, which try both.
struct Words {
  using Writer = words::Writer;
  static constexpr auto& copy_out = words::copy_out;
  static constexpr auto& equal = words::equal;
};
struct Opaque {
  using Writer = opaque::Writer;
  static constexpr auto& copy_out = opaque::copy_out;
  static constexpr auto& equal = opaque::equal;
};

#if defined(LARDER_WORDS_ONLY)
using words::copy_out;
using words::equal;
using words::Writer;
#else
using opaque::copy_out;
using opaque::equal;
using opaque::Writer;
#endif

}  // namespace larder::engine
