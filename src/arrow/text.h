// One value as text. Which text stands for which type: docs/format/types.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arrow/reader.h"

namespace larder::arrow {

// The value at row `i`, which is not null, appended without quotes: "12.50", "2024-02-29T12:00:00.500", base64. Text is
// appended as it is, byte for byte; what is nested, as JSON.
void append_text(const Column& column, std::int64_t i, std::string& out);

// The value as JSON, null included. Always valid UTF-8: bytes of text that are none become U+FFFD.
void append_json(const Column& column, std::int64_t i, std::string& out);

// `text` as a JSON string with its quotes.
void append_json_string(std::string_view text, std::string& out);

// The next character of text that may be damaged: its code point and its bytes; U+FFFD and one byte where no valid one
// starts. `text` is not empty.
struct Character {
  char32_t code;
  std::size_t bytes;
};
Character next_character(std::string_view text);

}  // namespace larder::arrow
