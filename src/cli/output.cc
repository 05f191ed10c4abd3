#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace larder::cli {
namespace {

constexpr std::string_view kEllipsis = "…";

// The letter that `text` begins with, as bytes; 0: what is there is not UTF-8. `code` is its number.
std::size_t letter(std::string_view text, char32_t& code) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t bytes = first < 0x80   ? 1
                            : first < 0xC2 ? 0
                            : first < 0xE0 ? 2
                            : first < 0xF0 ? 3
                            : first < 0xF5 ? 4
                                           : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  code = bytes == 1 ? first : first & (0xFF >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  return overlong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? 0 : bytes;
}

// Letters that move the cursor, change the direction of writing, or cannot be seen.
bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF ||
         (code >= 0xFFF9 && code <= 0xFFFB) || code >= 0xE0000;
}

// Columns of one letter: the wide ranges of East Asian writing and pictures are two, marks that stand on another none.
std::size_t columns_of(char32_t code) {
  const bool mark = (code >= 0x300 && code <= 0x36F) || (code >= 0x1AB0 && code <= 0x1AFF) ||
                    (code >= 0x20D0 && code <= 0x20FF) || (code >= 0xFE00 && code <= 0xFE0F);
  const bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
                    (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
                    (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
                    (code >= 0xFFE0 && code <= 0xFFE6) || (code >= 0x1F300 && code <= 0x1FAFF) ||
                    (code >= 0x20000 && code <= 0x3FFFD);
  return mark ? 0 : wide ? 2 : 1;
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

std::string styled(std::string_view text, const Look& look, std::string_view code) {
  if (!look.colours) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace

Look look_of_stdout(bool json_asked) {
  Look look;
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  look.json = json_asked || !terminal;
  const char* term = std::getenv("TERM");
  look.colours = terminal && !is_set("NO_COLOR") && !(term != nullptr && std::strcmp(term, "dumb") == 0);
  winsize size{};
  if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) look.width = size.ws_col;
  return look;
}

void put(std::string_view bytes) { (void)std::fwrite(bytes.data(), 1, bytes.size(), stdout); }

void tell(std::string_view line) {
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
  (void)std::fputc('\n', stderr);
}

Status flush_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return Error{Code::kIo, std::string("standard output: ") + std::generic_category().message(errno)};
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    char32_t code = 0;
    const std::size_t bytes = letter(text, code);
    if (bytes > 0 && !is_control(code)) {
      shown += text.substr(0, bytes);
    } else if (text[0] == '\n') {
      shown += "\\n";
    } else if (text[0] == '\t') {
      shown += "\\t";
    } else {
      for (char c : text.substr(0, std::max<std::size_t>(1, bytes))) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
        shown += escape;
      }
    }
    text.remove_prefix(std::max<std::size_t>(1, bytes));
  }
  return shown;
}

std::size_t shown_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    char32_t code = 0;
    const std::size_t bytes = std::max<std::size_t>(1, letter(text, code));
    width += columns_of(code);
    text.remove_prefix(bytes);
  }
  return width;
}

std::string shortened(std::string_view text, std::size_t width) {
  if (shown_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t kept = 0, columns = 0;
  while (kept < text.size()) {
    char32_t code = 0;
    const std::size_t bytes = std::max<std::size_t>(1, letter(text.substr(kept), code));
    if (columns + columns_of(code) > width - 1) break;
    columns += columns_of(code);
    kept += bytes;
  }
  return std::string(text.substr(0, kept)).append(kEllipsis);
}

std::string bold(std::string_view text, const Look& look) { return styled(text, look, "1"); }
std::string faint(std::string_view text, const Look& look) { return styled(text, look, "2"); }

std::string Table::text(const Look& look) const {
  constexpr std::string_view kGap = "  ";
  constexpr std::size_t kWidthLeast = 8;
  struct Shown {
    std::size_t column;
    std::size_t width;
  };
  std::vector<Shown> shown;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = 0;
    for (const auto& row : rows_) width = std::max(width, shown_width(row[i]));
    if (width == 0) continue;
    width = std::max(width, shown_width(columns_[i].title));
    total += width + (shown.empty() ? 0 : kGap.size());
    shown.push_back({i, width});
  }
  if (shown.empty()) return {};
  for (Shown* cut : {&shown.back(), &shown.front()}) {
    const std::size_t over = total > look.width ? total - look.width : 0;
    const std::size_t off = cut->width > kWidthLeast ? std::min(over, cut->width - kWidthLeast) : 0;
    cut->width -= off;
    total -= off;
  }

  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (const auto& [column, width] : shown) {
      if (column != shown.front().column) text += kGap;
      const std::string cell = shortened(cell_of(column), width);
      const std::string blanks(width - std::min(width, shown_width(cell)), ' ');
      text += columns_[column].align == Align::kRight ? blanks + cell : cell + blanks;
    }
    return text.erase(text.find_last_not_of(' ') + 1);
  };
  std::string text = bold(line([&](std::size_t column) { return columns_[column].title; }), look) + "\n";
  for (const auto& row : rows_) text += line([&](std::size_t column) { return row[column]; }) + "\n";
  return text;
}

}  // namespace larder::cli
