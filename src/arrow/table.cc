// What a terminal shows of a character: none, one or two columns. Libraries know this from tables that grow with every
// Unicode; the blocks below hold nearly all that is ever printed, and being wrong costs a crooked line. What could
// steer the terminal (control characters) or turn the reading order around (bidirectional controls) is shown by its
// number.
#include <algorithm>

#include "arrow/reader.h"
#include "arrow/render.h"
#include "arrow/text.h"
#include "base/try.h"

namespace larder::arrow {
namespace {

struct Block {
  char32_t first, last;
};

constexpr Block kNoWidth[] = {
    // combining marks, joiners, variation selectors
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x0900, 0x0902}, {0x093C, 0x093C}, {0x0941, 0x0948}, {0x094D, 0x094D}, {0x0E31, 0x0E31},
    {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200D},
    {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF},
};

constexpr Block kTwoWide[] = {
    // East Asian wide and full-width forms, emoji
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x25FD, 0x25FE},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x26AA, 0x26AB},   {0x26BD, 0x26BE},   {0x2705, 0x2705},   {0x270A, 0x270B},
    {0x2728, 0x2728},   {0x274C, 0x274C},   {0x2753, 0x2755},   {0x2795, 0x2797},   {0x2E80, 0x303E},
    {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97F},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F7E0, 0x1F7EB}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF},
    {0x20000, 0x2FFFD}, {0x30000, 0x3FFFD},
};

template <std::size_t N>
bool in(const Block (&blocks)[N], char32_t code) {
  return std::any_of(std::begin(blocks), std::end(blocks),
                     [code](const Block& block) { return code >= block.first && code <= block.last; });
}

bool steers(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

struct Cell {
  std::string text;  // safe to print
  std::size_t width = 0;
};

// `text` made safe and cut to `width_max` columns, the last of them "…" when something was cut.
Cell cell_of(std::string_view text, std::size_t width_max) {
  Cell cell;
  Cell fitting;  // as long as room for the "…" is left
  while (!text.empty()) {
    const Character character = next_character(text);
    std::string piece;
    std::size_t width = 1;
    if (character.code == '\n' || character.code == '\r' || character.code == '\t') {
      piece = character.code == '\n' ? "\\n" : character.code == '\r' ? "\\r" : "\\t";
      width = 2;
    } else if (steers(character.code)) {
      static constexpr std::string_view kHex = "0123456789abcdef";
      piece = character.code < 0x100 ? "\\x" : "\\u";
      for (int shift = character.code < 0x100 ? 4 : 12; shift >= 0; shift -= 4)
        piece += kHex[(character.code >> shift) & 15];
      width = piece.size();
    } else if (character.code == 0xFFFD) {
      piece = "\xEF\xBF\xBD";
    } else {
      piece = text.substr(0, character.bytes);
      width = in(kNoWidth, character.code) ? 0 : in(kTwoWide, character.code) ? 2 : 1;
    }
    text.remove_prefix(character.bytes);
    if (width_max != 0 && cell.width + width > width_max) {
      fitting.text += "…";
      fitting.width += 1;
      return fitting;
    }
    cell.text += piece;
    cell.width += width;
    if (cell.width + 1 <= width_max) fitting = cell;
  }
  return cell;
}

bool to_the_right(const Field& field) {
  return field.kind == Kind::kInt || field.kind == Kind::kFloat || field.kind == Kind::kDecimal;
}

void append_padded(const Cell& cell, std::size_t width, bool right, bool last, std::string& out) {
  const std::size_t space = width - std::min(width, cell.width);
  if (right) out.append(space, ' ');
  out += cell.text;
  if (!right && !last) out.append(space, ' ');
}

}  // namespace

Status write_table(std::string_view ipc_stream, const TableStyle& style, std::string& out) {
  Reader reader = TRY(Reader::open(ipc_stream));
  const std::vector<Field>& fields = reader.fields();
  std::vector<std::vector<Cell>> lines(1);
  for (const Field& field : fields) lines[0].push_back(cell_of(field.name, style.cell_width_max));

  std::uint64_t rows = 0;
  std::string text;
  while (auto batch = TRY(reader.next())) {
    for (std::int64_t row = 0; row < batch->rows; ++row, ++rows) {
      if (style.rows_max != 0 && rows >= style.rows_max) {
        rows += static_cast<std::uint64_t>(batch->rows - row);
        break;
      }
      lines.emplace_back();
      for (const Column& column : batch->columns) {
        text.clear();
        column.is_null(row) ? void(text = style.null_text) : append_text(column, row, text);
        lines.back().push_back(cell_of(text, style.cell_width_max));
      }
    }
  }

  std::vector<std::size_t> widths(fields.size(), 0);
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].width);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i != 0) out += "  ";
      append_padded(line[i], widths[i], to_the_right(fields[i]), i + 1 == line.size(), out);
    }
    out += '\n';
    if (&line != &lines.front()) continue;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i != 0) out += "  ";
      for (std::size_t j = 0; j < std::max<std::size_t>(widths[i], 1); ++j) out += "─";
    }
    out += '\n';
  }
  const std::size_t shown = lines.size() - 1;
  if (rows > shown) {
    out += "(" + std::to_string(shown) + " of " + std::to_string(rows) + " rows)\n";
  } else {
    out += "(" + std::to_string(rows) + (rows == 1 ? " row)\n" : " rows)\n");
  }
  return {};
}

}  // namespace larder::arrow
