#include "engine/glob.h"

#include <cstddef>

namespace larder::engine {

namespace {

// How many bytes of the pattern the class at `at` (a `[`) takes, and whether `byte` is in it; 0: it is no class.
std::size_t match_class(std::string_view pattern, std::size_t at, char byte, bool& in) {
  std::size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  const auto value = static_cast<unsigned char>(byte);
  bool found = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      in = found != negated;
      return i + 1 - at;
    }
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const auto from = static_cast<unsigned char>(pattern[i]);
    unsigned char to = from;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      to = static_cast<unsigned char>(pattern[i + 2]);
      i += 2;
    }
    found = found || (from <= value && value <= to);
    ++i;
  }
  return 0;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  // After the last star: where the pattern goes on, and how much of the text the star has taken so far.
  std::size_t after_star = std::string_view::npos;
  std::size_t taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      taken = t;
      continue;
    }
    std::size_t step = 0;
    if (p < pattern.size()) {
      bool in = false;
      const std::size_t size = pattern[p] == '[' ? match_class(pattern, p, text[t], in) : 0;
      if (size != 0) {
        step = in ? size : 0;
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        step = pattern[p + 1] == text[t] ? 2 : 0;
      } else {
        step = pattern[p] == '?' || pattern[p] == text[t] ? 1 : 0;
      }
    }
    if (step != 0) {
      p += step;
      ++t;
    } else if (after_star != std::string_view::npos) {
      p = after_star;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace larder::engine
