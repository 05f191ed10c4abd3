#include "arrow/render.h"

namespace larder::arrow {
namespace {
Error soon() { return Error{Code::kUnsupported, "this build cannot render results"}; }
}  // namespace

Result<std::vector<ColumnInfo>> columns(std::string_view) { return soon(); }
Status write_json(std::string_view, std::string&) { return soon(); }
Status write_csv(std::string_view, std::string&) { return soon(); }
Status write_table(std::string_view, const TableStyle&, std::string&) { return soon(); }

}  // namespace larder::arrow
