// Every size and every skew around a word, next to bytes that must stay as they are.
#include "engine/shared_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace larder::engine {
namespace {

std::string letters(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t at = 0; at < size; ++at) text[at] = static_cast<char>('!' + at % 90);
  return text;
}

// Shared memory of exactly this size, so that AddressSanitizer sees a word too many.
struct Shared {
  explicit Shared(std::size_t bytes) : words((bytes + 7) / 8 + (bytes == 0 ? 1 : 0)) {}
  char* data() { return reinterpret_cast<char*>(words.data()); }
  std::vector<Word> words;
};

template <typename Way>
class SharedBytes : public ::testing::Test {};
using Ways = ::testing::Types<Words, Opaque>;  // a build uses one of them everywhere else
TYPED_TEST_SUITE(SharedBytes, Ways);

TYPED_TEST(SharedBytes, CopiesOutWhatIsThereAndNoMore) {
  for (const std::size_t size : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 23, 100, 767, 768, 769, 1001}) {
    for (std::size_t skew = 0; skew < 8; ++skew) {
      Shared shared(skew + size);
      const std::string text = letters(skew + size);
      std::memcpy(shared.data(), text.data(), text.size());
      std::string out(size + 2, '~');
      TypeParam::copy_out(out.data() + 1, shared.data() + skew, size);
      EXPECT_EQ(out, "~" + text.substr(skew) + "~") << size << " bytes, skew " << skew;
    }
  }
}

TYPED_TEST(SharedBytes, WritesPiecesOneAfterAnother) {
  const std::string text = letters(2000);
  for (const std::size_t first : {0, 1, 3, 4, 7, 8, 9, 20, 800}) {
    for (const std::size_t second : {0, 1, 2, 4, 5, 8, 13, 16, 100, 768, 771}) {
      for (const std::size_t third : {0, 1, 7, 8, 9}) {
        const std::size_t size = first + second + third;
        Shared shared(size + 8);
        typename TypeParam::Writer writer(shared.data());
        writer.put(text.data(), first);
        writer.put(text.data() + first, second);
        writer.put(nullptr, 0);
        writer.put(text.data() + first + second, third);
        writer.pad();
        std::string due = text.substr(0, size);
        due.resize((size + 7) / 8 * 8, '\0');
        EXPECT_EQ(std::string(shared.data(), due.size()), due) << first << ' ' << second << ' ' << third;
        EXPECT_EQ(std::string(shared.data() + due.size(), (size + 8 + 7) / 8 * 8 - due.size()), std::string(8, '\0'));
      }
    }
  }
}

TYPED_TEST(SharedBytes, EqualLooksAtEveryByte) {
  for (const std::size_t size : {1, 7, 8, 9, 20, 64}) {
    Shared shared(size);
    const std::string text = letters(size);
    std::memcpy(shared.data(), text.data(), size);
    EXPECT_TRUE(TypeParam::equal(shared.data(), text.data(), size));
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] ^= 1;
      EXPECT_FALSE(TypeParam::equal(shared.data(), other.data(), size)) << at;
    }
  }
}

}  // namespace
}  // namespace larder::engine
