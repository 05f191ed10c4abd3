#include "arrow/render.h"

#include "arrow/reader.h"
#include "arrow/text.h"
#include "base/try.h"

namespace larder::arrow {
namespace {

// RFC 4180: quotes where the text has a comma, a quote or a line end, and doubled inside. The empty text is quoted too,
// so that it is not NULL.
void append_csv_cell(std::string_view text, std::string& out) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (char c : text) out.append(c == '"' ? 2 : 1, c);
  out += '"';
}

}  // namespace

Result<std::vector<ColumnInfo>> columns(std::string_view ipc_stream) {
  Reader reader = TRY(Reader::open(ipc_stream));
  std::vector<ColumnInfo> found;
  for (const Field& field : reader.fields()) found.push_back({field.name, sql_type(field)});
  return found;
}

Status write_json(std::string_view ipc_stream, std::string& out) {
  Reader reader = TRY(Reader::open(ipc_stream));
  out += "{\"columns\":[";
  for (const Field& field : reader.fields()) {
    if (&field != reader.fields().data()) out += ',';
    out += "{\"name\":";
    append_json_string(field.name, out);
    out += ",\"type\":";
    append_json_string(sql_type(field), out);
    out += '}';
  }
  out += "],\"rows\":[";
  std::int64_t rows = 0;
  while (auto batch = TRY(reader.next())) {
    for (std::int64_t row = 0; row < batch->rows; ++row) {
      out += rows++ == 0 ? "[" : ",[";
      for (const Column& column : batch->columns) {
        if (&column != batch->columns.data()) out += ',';
        append_json(column, row, out);
      }
      out += ']';
    }
  }
  out += "],\"row_count\":" + std::to_string(rows) + "}";
  return {};
}

Status write_csv(std::string_view ipc_stream, std::string& out) {
  Reader reader = TRY(Reader::open(ipc_stream));
  for (const Field& field : reader.fields()) {
    if (&field != reader.fields().data()) out += ',';
    append_csv_cell(field.name, out);
  }
  out += "\r\n";
  std::string cell;
  while (auto batch = TRY(reader.next())) {
    for (std::int64_t row = 0; row < batch->rows; ++row) {
      for (const Column& column : batch->columns) {
        if (&column != batch->columns.data()) out += ',';
        if (column.is_null(row)) continue;
        cell.clear();
        append_text(column, row, cell);
        append_csv_cell(cell, out);
      }
      out += "\r\n";
    }
  }
  return {};
}

}  // namespace larder::arrow
