// The known word that an unknown one most likely means, for "did you mean" in errors.
//
//   "unknown key 'prot'" + did_you_mean("prot", kKeys)   ->   unknown key 'prot' (did you mean 'port'?)
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace larder {

// Letters to insert, delete, replace or swap with their neighbour to make one word the other; letter case (ASCII) does
// not count. Time is the product of the lengths.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `words`, the first of several; empty when none is near enough to be worth a guess: at most a third of
// the letters may be wrong, and one in a short word. Words longer than 64 bytes are not guessed.
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

// " (did you mean 'port'?)", or empty.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> words);

}  // namespace larder
