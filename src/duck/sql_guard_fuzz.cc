// Any JSON at all is a syntax tree to the guard: it refuses it or judges it, and what it allows reads declared tables
// only.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "duck/sql_guard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> kTables = {"flights", "airports"};
  auto checked = larder::duck::check_tree({reinterpret_cast<const char*>(data), size}, kTables);
  if (!checked.ok()) return 0;
  for (const std::string& table : checked->tables)
    if (table != "flights" && table != "airports") std::abort();
  return 0;
}
