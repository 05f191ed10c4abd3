// A result as people and programs read it: an Arrow IPC stream turned into JSON, CSV or a table for a terminal.
//
//   std::string out;
//   TRY(arrow::write_json(reply.arrow(), out));
//
// The stream may come from anywhere: every offset in it is checked, and damage is kCorrupt, with what was written so
// far left in `out`. How each type is written: docs/format/types.md.
#pragma once

#include <larder/result.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::arrow {

struct ColumnInfo {
  std::string name;
  std::string type;  // as SQL has it: "BIGINT", "DECIMAL(18,3)", "STRUCT(a INTEGER, b VARCHAR[])"
};

Result<std::vector<ColumnInfo>> columns(std::string_view ipc_stream);

// {"columns":[{"name":"n","type":"BIGINT"}],"rows":[[1],[2]],"row_count":2}, appended to `out`. Always valid UTF-8.
Status write_json(std::string_view ipc_stream, std::string& out);

// RFC 4180 with a header line and CRLF; NULL is empty, the empty string is "".
Status write_csv(std::string_view ipc_stream, std::string& out);

struct TableStyle {
  std::size_t rows_max = 40;        // more are left out, and a last line says how many; 0: all
  std::size_t cell_width_max = 60;  // longer text is cut, with "…" at its end; 0: never
  std::string null_text = "NULL";
};

// A table for a terminal: columns aligned by what a terminal shows, numbers to the right, control characters escaped.
Status write_table(std::string_view ipc_stream, const TableStyle& style, std::string& out);

}  // namespace larder::arrow
