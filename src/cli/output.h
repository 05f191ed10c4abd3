// What the program writes: tables for people, JSON lines for programs, and which of them it should be.
#pragma once

#include <larder/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace larder::cli {

// How standard output is to look: JSON when asked for or when it is no terminal; colours at a terminal unless $NO_COLOR
// is set or $TERM is dumb.
struct Look {
  bool json = false;
  bool colours = false;
  std::size_t width = 80;  // of the terminal
};
Look look_of_stdout(bool json_asked);

// Buffered, to standard output, byte for byte.
void put(std::string_view bytes);
// One line to standard error.
void tell(std::string_view line);
// kIo when anything that was put could not be written.
Status flush_output();

// Text for a terminal: control characters and bytes that are not UTF-8 are shown as escapes, so that a key can neither
// move the cursor nor break a table.
std::string printable(std::string_view text);
// Columns that a terminal shows the text in, which must be printable.
std::size_t shown_width(std::string_view text);
// Not wider than `width`; what is cut off is shown by an ellipsis.
std::string shortened(std::string_view text, std::size_t width);
std::string bold(std::string_view text, const Look& look);
std::string faint(std::string_view text, const Look& look);

// Rows under a heading, in columns as wide as they need to be. The last column takes what is left of the terminal and
// is cut there.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text(const Look& look) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace larder::cli
