#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "arrow/reader.h"
#include "arrow/render.h"
#include "arrow/text.h"
#include "sources/files.h"

namespace larder {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string what, sql, type, arrow, json, csv;
};

// The rows of the table in the page.
std::vector<Row> rows_of_page() {
  std::ifstream page(LARDER_TYPES_MD);
  std::vector<Row> rows;
  for (std::string line; std::getline(page, line);) {
    if (line.substr(0, 2) != "| " || line.substr(0, 5) == "| ---" || line.substr(0, 8) == "| DuckDB") continue;
    std::vector<std::string> cells;
    std::istringstream stream(line.substr(1));
    for (std::string cell; std::getline(stream, cell, '|');) {
      cell.erase(0, cell.find_first_not_of(' ') == std::string::npos ? cell.size() : cell.find_first_not_of(' '));
      cell.erase(cell.find_last_not_of(' ') + 1);
      if (cell.size() >= 2 && cell.front() == '`' && cell.back() == '`') cell = cell.substr(1, cell.size() - 2);
      cells.push_back(cell);
    }
    if (cells.size() == 6) rows.push_back({cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]});
  }
  return rows;
}

std::string arrow_name(const arrow::Field& field) {
  using arrow::Kind;
  auto number = [](int n) { return std::to_string(n); };
  auto members = [](const arrow::Field& of) {
    std::string text;
    for (const arrow::Field& child : of.children)
      text += (text.empty() ? "" : ", ") + child.name + ": " + arrow_name(child);
    return text;
  };
  static const char* const kUnits[] = {"s", "ms", "us", "ns"};
  const std::string unit = kUnits[static_cast<int>(field.unit)];
  switch (field.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return (field.is_signed ? "int" : "uint") + number(field.bits);
    case Kind::kFloat:
      return "float" + number(field.bits);
    case Kind::kDecimal:
      return "decimal128(" + number(field.precision) + ", " + number(field.scale) + ")";
    case Kind::kDate:
      return "date32";
    case Kind::kTime:
      return "time" + number(field.bits) + "(" + unit + ")";
    case Kind::kTimestamp:
      return "timestamp(" + unit + (field.timezone.empty() ? "" : ", " + field.timezone) + ")";
    case Kind::kInterval:
      return "interval(month, day, ns)";
    case Kind::kUtf8:
      return field.is_large ? "large_utf8" : "utf8";
    case Kind::kBinary:
      return field.is_large ? "large_binary" : "binary";
    case Kind::kFixedBinary:
      return "fixed_size_binary(" + number(field.width) + ")";
    case Kind::kList:
      return "list(" + arrow_name(field.children[0]) + ")";
    case Kind::kFixedList:
      return "fixed_size_list(" + arrow_name(field.children[0]) + ", " + number(field.width) + ")";
    case Kind::kStruct:
      return "struct(" + members(field) + ")";
    case Kind::kMap:
      return "map(" + arrow_name(field.children[0].children[0]) + ", " + arrow_name(field.children[0].children[1]) +
             ")";
    case Kind::kSparseUnion:
      return "sparse_union(" + members(field) + ")";
  }
  return "";
}

class TypesTest : public testing::Test {
 protected:
  void SetUp() override { source_ = sources::FilesSource::open({}).value(); }

  std::string ask(const std::string& sql) {
    sources::Question question{"", sql, {}};
    auto plan = source_->plan(question);
    if (!plan.ok()) {
      ADD_FAILURE() << sql << "\n  " << plan.error().message;
      return "";
    }
    auto answer = source_->run(question, *plan, {}, Cancel());
    if (!answer.ok()) {
      ADD_FAILURE() << sql << "\n  " << answer.error().message;
      return "";
    }
    return answer->arrow;
  }

  std::unique_ptr<sources::FilesSource> source_;
};

// A field of CSV without its quotes.
std::string unquoted(std::string field) {
  if (field.empty() || field.front() != '"') return field;
  std::string text;
  for (std::size_t i = 1; i + 1 < field.size(); ++i) {
    text += field[i];
    if (field[i] == '"') ++i;
  }
  return text;
}

TEST_F(TypesTest, EveryRowOfThePageIsTrue) {
  const std::vector<Row> rows = rows_of_page();
  ASSERT_GT(rows.size(), 40u);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what + ": " + row.sql);
    const std::string ipc = ask("SELECT " + row.sql + " AS v");
    auto reader = arrow::Reader::open(ipc);
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ(arrow_name(reader->fields()[0]), row.arrow);
    EXPECT_EQ(arrow::sql_type(reader->fields()[0]), row.type);
    std::string json;
    ASSERT_TRUE(arrow::write_json(ipc, json).ok());
    const std::size_t from = json.find("\"rows\":[[") + 9;
    EXPECT_EQ(json.substr(from, json.rfind("]],\"row_count\"") - from), row.json);
    std::string csv;
    ASSERT_TRUE(arrow::write_csv(ipc, csv).ok());
    ASSERT_EQ(csv.substr(0, 3), "v\r\n");
    EXPECT_EQ(unquoted(csv.substr(3, csv.size() - 5)), row.csv);
  }
}

// One table with a column for each row of the page: the value, NULL, the value, over several batches. Two readers in
// JavaScript must find the same values in it as the text that DuckDB itself makes of them.
TEST_F(TypesTest, OtherReadersFindWhatDuckDbSays) {
  ASSERT_STRNE(LARDER_NODE, "LARDER_NODE-NOTFOUND") << "node is needed; ./dev setup brings it";
  std::string values, texts;
  int n = 0;
  for (const Row& row : rows_of_page()) {
    const std::string name = "c" + std::to_string(n++);
    values += ", " + row.sql + " AS " + name;
    texts += ", (" + row.sql + ")::VARCHAR AS " + name;
  }
  // 5,000 rows are more than two of DuckDB's chunks; where nothing joins, all are NULL.
  auto table = [](const std::string& columns) {
    return "SELECT * EXCLUDE (joins) FROM range(5000) t(i) LEFT JOIN (SELECT true AS joins" + columns +
           ") ON joins = (i % 3 <> 1) ORDER BY i";
  };
  std::string name = (fs::temp_directory_path() / "larder_types_XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path dir = name;
  std::ofstream(dir / "values.arrow", std::ios::binary) << ask(table(values));
  std::string json;
  ASSERT_TRUE(arrow::write_json(ask(table(texts) + " LIMIT 3"), json).ok());
  std::ofstream(dir / "texts.json", std::ios::binary) << json;
  std::string page = "[";
  for (const Row& row : rows_of_page()) {
    page += page.size() > 1 ? ",[" : "[";
    for (const std::string* cell : {&row.what, &row.arrow, &row.json}) {
      if (cell != &row.what) page += ",";
      arrow::append_json_string(*cell, page);
    }
    page += "]";
  }
  std::ofstream(dir / "page.json", std::ios::binary) << page << "]";
  const std::string command = std::string("'") + LARDER_NODE + "' '" + LARDER_TYPES_MJS + "' '" + dir.string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
  fs::remove_all(dir);
}

}  // namespace
}  // namespace larder
