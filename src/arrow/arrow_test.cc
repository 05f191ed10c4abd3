// Arrays are made by hand in the C data interface, written to a stream, read back and rendered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <random>

#include "arrow/reader.h"
#include "arrow/render.h"
#include "arrow/text.h"
#include "arrow/writer.h"

namespace larder::arrow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A table under construction; owns all that its arrays point to.
class Columns {
 public:
  struct Made {
    ArrowSchema* schema;
    ArrowArray* array;
  };

  template <typename T>
  static std::string bytes(std::initializer_list<T> values) {
    std::string out;
    for (T value : values) out.append(reinterpret_cast<const char*>(&value), sizeof value);
    return out;
  }

  // `valid` is a letter a value, '.' for null; empty: none is.
  Made column(const char* format, const char* name, std::int64_t length, const std::string& valid,
              const std::vector<std::string>& buffers, const std::vector<Made>& children = {}) {
    ArrowSchema& schema = schemas_.emplace_back();
    ArrowArray& array = arrays_.emplace_back();
    schema = {};
    array = {};
    schema.format = format;
    schema.name = name;
    schema.flags = ARROW_FLAG_NULLABLE;
    array.length = length;
    array.null_count = 0;
    auto& pointers = pointers_.emplace_back();
    const bool has_validity = std::strcmp(format, "n") != 0 && std::string_view(format).substr(0, 3) != "+us";
    if (has_validity) {
      if (valid.empty()) {
        pointers.push_back(nullptr);
      } else {
        std::string& bits = keep(std::string((valid.size() + 7) / 8, '\0'));
        for (std::size_t i = 0; i < valid.size(); ++i)
          if (valid[i] != '.')
            bits[i / 8] |= static_cast<char>(1 << (i % 8));
          else
            ++array.null_count;
        pointers.push_back(bits.data());
      }
    }
    for (const std::string& buffer : buffers) pointers.push_back(keep(buffer).data());
    array.n_buffers = static_cast<std::int64_t>(pointers.size());
    array.buffers = pointers.data();
    auto& child_schemas = child_schemas_.emplace_back();
    auto& child_arrays = child_arrays_.emplace_back();
    for (const Made& child : children) {
      child_schemas.push_back(child.schema);
      child_arrays.push_back(child.array);
    }
    schema.n_children = array.n_children = static_cast<std::int64_t>(children.size());
    schema.children = child_schemas.data();
    array.children = child_arrays.data();
    return {&schema, &array};
  }

  Made text(const char* name, const std::vector<const char*>& values) {
    std::string offsets(4, '\0'), all, valid;
    for (const char* value : values) {
      if (value != nullptr) all += value;
      valid += value == nullptr ? '.' : 'v';
      const auto end = static_cast<std::int32_t>(all.size());
      offsets.append(reinterpret_cast<const char*>(&end), 4);
    }
    return column("u", name, static_cast<std::int64_t>(values.size()), valid, {offsets, all});
  }

  Made table(const std::vector<Made>& columns) {
    const std::int64_t rows = columns.empty() ? 0 : columns[0].array->length;
    return column("+s", "", rows, "", {}, columns);
  }

 private:
  std::string& keep(std::string text) { return memory_.emplace_back(std::move(text)); }

  std::deque<ArrowSchema> schemas_;
  std::deque<ArrowArray> arrays_;
  std::deque<std::string> memory_;
  std::deque<std::vector<const void*>> pointers_;
  std::deque<std::vector<ArrowSchema*>> child_schemas_;
  std::deque<std::vector<ArrowArray*>> child_arrays_;
};

std::string stream_of(const Columns::Made& table, int batches = 1) {
  std::string out;
  StreamWriter writer(out, 0);
  EXPECT_TRUE(writer.begin(*table.schema).ok());
  for (int i = 0; i < batches; ++i) EXPECT_TRUE(writer.write(*table.array).ok());
  EXPECT_TRUE(writer.end().ok());
  return out;
}

std::string json_of(std::string_view ipc) {
  std::string out;
  Status status = write_json(ipc, out);
  return status.ok() ? out : "error: " + status.error().message;
}

// The rows alone, of a table of one column.
std::string values_of(Columns& columns, const Columns::Made& column) {
  std::string json = json_of(stream_of(columns.table({column})));
  const std::size_t rows = json.find("\"rows\":[");
  return rows == std::string::npos ? json : json.substr(rows + 8, json.rfind("],\"row_count\"") - rows - 8);
}

std::string csv_of(std::string_view ipc) {
  std::string out;
  Status status = write_csv(ipc, out);
  return status.ok() ? out : "error: " + status.error().message;
}

std::string table_of(std::string_view ipc, const TableStyle& style = {}) {
  std::string out;
  Status status = write_table(ipc, style, out);
  return status.ok() ? out : "error: " + status.error().message;
}

TEST(Json, WritesColumnsRowsAndTheirCount) {
  Columns c;
  const std::string ipc = stream_of(c.table({c.column("l", "n", 2, "", {Columns::bytes<std::int64_t>({1, -2})}),
                                             c.text("who \"x\"", {"Ada", nullptr})}),
                                    2);
  EXPECT_EQ(json_of(ipc), R"({"columns":[{"name":"n","type":"BIGINT"},{"name":"who \"x\"","type":"VARCHAR"}],)"
                          R"("rows":[[1,"Ada"],[-2,null],[1,"Ada"],[-2,null]],"row_count":4})");
}

TEST(Json, AnEmptyResultHasItsColumns) {
  Columns c;
  std::string out;
  StreamWriter writer(out, 0);
  ASSERT_TRUE(writer.begin(*c.table({c.column("i", "n", 0, "", {""})}).schema).ok());
  ASSERT_TRUE(writer.end().ok());
  EXPECT_EQ(json_of(out), R"({"columns":[{"name":"n","type":"INTEGER"}],"rows":[],"row_count":0})");
  EXPECT_EQ(csv_of(out), "n\r\n");
  EXPECT_EQ(table_of(out), "n\n─\n(0 rows)\n");
}

TEST(Json, IntegersThatADoubleCannotTellApartAreStrings) {
  Columns c;
  constexpr std::int64_t kSafe = 9007199254740991;
  EXPECT_EQ(
      values_of(c,
                c.column("l", "n", 6, "",
                         {Columns::bytes<std::int64_t>({kSafe, kSafe + 1, -kSafe, -kSafe - 1, INT64_MIN, INT64_MAX})})),
      R"([9007199254740991],["9007199254740992"],[-9007199254740991],["-9007199254740992"],)"
      R"(["-9223372036854775808"],["9223372036854775807"])");
  EXPECT_EQ(values_of(c, c.column("L", "n", 2, "", {Columns::bytes<std::uint64_t>({1, UINT64_MAX})})),
            R"([1],["18446744073709551615"])");
}

TEST(Json, SmallIntegersOfEverySize) {
  Columns c;
  EXPECT_EQ(values_of(c, c.column("c", "n", 2, "", {Columns::bytes<std::int8_t>({-128, 127})})), "[-128],[127]");
  EXPECT_EQ(values_of(c, c.column("C", "n", 1, "", {Columns::bytes<std::uint8_t>({255})})), "[255]");
  EXPECT_EQ(values_of(c, c.column("s", "n", 1, "", {Columns::bytes<std::int16_t>({-32768})})), "[-32768]");
  EXPECT_EQ(values_of(c, c.column("S", "n", 1, "", {Columns::bytes<std::uint16_t>({65535})})), "[65535]");
  EXPECT_EQ(values_of(c, c.column("i", "n", 1, "", {Columns::bytes<std::int32_t>({INT32_MIN})})), "[-2147483648]");
  EXPECT_EQ(values_of(c, c.column("I", "n", 1, "", {Columns::bytes<std::uint32_t>({UINT32_MAX})})), "[4294967295]");
}

TEST(Json, FloatsAreTheShortestThatRoundTrip) {
  Columns c;
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(values_of(c, c.column("g", "x", 7, "",
                                  {Columns::bytes<double>({0.1, 1.0 / 3, -0.0, 5e-324, std::nan(""), inf, -inf})})),
            R"([0.1],[0.3333333333333333],[-0],[5e-324],["NaN"],["Infinity"],["-Infinity"])");
  EXPECT_EQ(values_of(c, c.column("f", "x", 2, "", {Columns::bytes<float>({0.1F, 16777216.0F})})), "[0.1],[16777216]");
}

TEST(Json, DecimalsAreStringsAndThoseWithoutAFractionAreIntegers) {
  Columns c;
  const std::string values = Columns::bytes<std::int64_t>({1250, 0, -5, -1, 0, 0});
  EXPECT_EQ(values_of(c, c.column("d:18,3", "d", 3, "", {values})), R"(["1.250"],["-0.005"],["0.000"])");
  EXPECT_EQ(values_of(c, c.column("d:38,0", "d", 3, "", {values})), R"([1250],[-5],[0])");
  const std::string extremes = Columns::bytes<std::uint64_t>({0, 0x8000000000000000, UINT64_MAX, 0x7FFFFFFFFFFFFFFF});
  EXPECT_EQ(values_of(c, c.column("d:38,0", "d", 2, "", {extremes})),
            R"(["-170141183460469231731687303715884105728"],["170141183460469231731687303715884105727"])");
  EXPECT_EQ(values_of(c, c.column("d:38,38", "d", 1, "", {Columns::bytes<std::int64_t>({1, 0})})),
            R"(["0.00000000000000000000000000000000000001"])");
}

TEST(Json, Times) {
  Columns c;
  EXPECT_EQ(
      values_of(c, c.column("tdD", "d", 7, "",
                            {Columns::bytes<std::int32_t>({0, -1, 11016, -719529, 2932897, INT32_MAX, -INT32_MAX})})),
      R"(["1970-01-01"],["1969-12-31"],["2000-02-29"],["-000001-12-31"],["+010000-01-01"],["infinity"],["-infinity"])");
  EXPECT_EQ(values_of(c, c.column("tsu:", "t", 4, "", {Columns::bytes<std::int64_t>({0, -1, 1'500'000, 1'000})})),
            R"(["1970-01-01T00:00:00"],["1969-12-31T23:59:59.999999"],["1970-01-01T00:00:01.500"],)"
            R"(["1970-01-01T00:00:00.001"])");
  EXPECT_EQ(values_of(c, c.column("tsu:Europe/Berlin", "t", 1, "", {Columns::bytes<std::int64_t>({0})})),
            R"(["1970-01-01T00:00:00Z"])");
  EXPECT_EQ(values_of(c, c.column("tsn:", "t", 1, "", {Columns::bytes<std::int64_t>({1})})),
            R"(["1970-01-01T00:00:00.000000001"])");
  EXPECT_EQ(values_of(c, c.column("tsu:", "t", 1, "", {Columns::bytes<std::int64_t>({INT64_MIN})})),
            R"(["-290308-12-21T19:59:05.224192"])");
  EXPECT_EQ(values_of(c, c.column("tss:", "t", 2, "", {Columns::bytes<std::int64_t>({INT64_MAX, INT64_MAX - 1})})),
            R"(["infinity"],["+292277026596-12-04T15:30:06"])");
  EXPECT_EQ(values_of(c, c.column("ttu", "t", 3, "", {Columns::bytes<std::int64_t>({0, 86'400'000'000, 1})})),
            R"(["00:00:00"],["24:00:00"],["00:00:00.000001"])");
}

TEST(Json, Intervals) {
  Columns c;
  std::string parts;
  auto add = [&parts](std::int32_t months, std::int32_t days, std::int64_t nanos) {
    parts += Columns::bytes<std::int32_t>({months, days}) + Columns::bytes<std::int64_t>({nanos});
  };
  add(14, -3, 3'661'500'000'000);
  add(0, 0, 0);
  add(-1, 0, -500'000'000);
  EXPECT_EQ(values_of(c, c.column("tin", "i", 3, "", {parts})), R"(["P1Y2M-3DT1H1M1.500S"],["PT0S"],["P-1MT-0.500S"])");
}

TEST(Json, TextIsEscapedAndAlwaysUtf8) {
  Columns c;
  EXPECT_EQ(values_of(c, c.text("t", {"a\"b\\c\n\x01", "Zürich 🚀", "", "bad \xFF\xC0\x80 end", "cut \xE2\x82"})),
            "[\"a\\\"b\\\\c\\n\\u0001\"],[\"Zürich 🚀\"],[\"\"],[\"bad \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD end\"],"
            "[\"cut \xEF\xBF\xBD\xEF\xBF\xBD\"]");
}

TEST(Json, BinaryIsBase64) {
  Columns c;
  const auto offsets = Columns::bytes<std::int32_t>({0, 0, 1, 3, 6});
  EXPECT_EQ(values_of(c, c.column("z", "b", 4, "", {offsets, "fooba\xFF"})), R"([""],["Zg=="],["b28="],["YmH/"])");
  EXPECT_EQ(values_of(c, c.column("w:2", "b", 2, "", {"abcd"})), R"(["YWI="],["Y2Q="])");
}

TEST(Json, NestedValues) {
  Columns c;
  auto numbers = c.column("i", "l", 3, "vv.", {Columns::bytes<std::int32_t>({1, 2, 3})});
  EXPECT_EQ(values_of(c, c.column("+l", "l", 3, "v.v", {Columns::bytes<std::int32_t>({0, 2, 2, 3})}, {numbers})),
            "[[1,2]],[null],[[null]]");
  EXPECT_EQ(values_of(c, c.column("+w:3", "l", 1, "", {}, {numbers})), "[[1,2,null]]");
  auto text = c.text("b c", {"x", nullptr, "z"});
  auto pair = c.column("+s", "s", 3, "v.v", {}, {numbers, text});
  EXPECT_EQ(values_of(c, pair), R"([{"l":1,"b c":"x"}],[null],[{"l":null,"b c":"z"}])");
  auto row = c.column("+s", "s", 3, "", {}, {c.column("b", "", 3, "", {"\x05"}), c.text("", {"x", "y", "z"})});
  EXPECT_EQ(values_of(c, row), R"([[true,"x"]],[[false,"y"]],[[true,"z"]])");
  EXPECT_EQ(values_of(c, c.column("+us:0,1", "u", 3, "", {std::string("\0\1\0", 3)}, {numbers, text})),
            R"([{"l":1}],[{"b c":null}],[{"l":null}])");
}

TEST(Json, MapsAreObjectsWhenTheirKeysAreText) {
  Columns c;
  const auto offsets = Columns::bytes<std::int32_t>({0, 2, 2});
  auto numbers = c.column("i", "value", 2, "", {Columns::bytes<std::int32_t>({1, 2})});
  auto by_text = c.column("+s", "entries", 2, "", {}, {c.text("key", {"a", "b"}), numbers});
  EXPECT_EQ(values_of(c, c.column("+m", "m", 2, "", {offsets}, {by_text})), R"([{"a":1,"b":2}],[{}])");
  auto by_number = c.column("+s", "entries", 2, "", {}, {numbers, c.text("value", {"a", nullptr})});
  EXPECT_EQ(values_of(c, c.column("+m", "m", 2, "", {offsets}, {by_number})), R"([[[1,"a"],[2,null]]],[[]])");
}

TEST(Writer, WritesTheSliceAlone) {
  Columns c;
  auto numbers = c.column("i", "n", 10, "vvv.vvvvvv", {Columns::bytes<std::int32_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9})});
  auto flags = c.column("b", "b", 10, "", {std::string("\xAA\x02", 2)});
  auto text = c.text("t", {"a", "bb", "ccc", nullptr, "e", "f", "g", "h", "i", "j"});
  auto lists = c.column("+l", "l", 9, "", {Columns::bytes<std::int32_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9})}, {numbers});
  for (auto* column : {&numbers, &flags, &text}) {
    column->array->offset = 2;
    column->array->length = 3;
  }
  // The list is sliced too, and its child by its own offset: list i holds number i + 2.
  lists.array->offset = 1;
  lists.array->length = 3;
  numbers.array->length = 8;
  auto table = c.table({flags, text, lists});
  EXPECT_EQ(json_of(stream_of(table)).substr(json_of(stream_of(table)).find("\"rows\"")),
            R"("rows":[[false,"ccc",[null]],[true,null,[4]],[false,"e",[5]]],"row_count":3})");
  table.array->offset = 1;  // and once more as a whole
  table.array->length = 2;
  EXPECT_THAT(json_of(stream_of(table)), HasSubstr(R"("rows":[[true,null,[4]],[false,"e",[5]]])"));
}

TEST(Writer, DictionariesBecomeText) {
  Columns c;
  auto values = c.text("", {"red", "green"});
  auto column = c.column("C", "colour", 4, "vv.v", {Columns::bytes<std::uint8_t>({1, 0, 0, 1})});
  column.schema->dictionary = values.schema;
  column.array->dictionary = values.array;
  EXPECT_EQ(values_of(c, column), R"(["green"],["red"],[null],["green"])");
  EXPECT_EQ(sql_type(fields_of(*c.table({column}).schema).value()[0]), "VARCHAR");
}

TEST(Writer, StopsAtTheLimitOfBytes) {
  Columns c;
  auto table = c.table({c.column("l", "n", 2, "", {Columns::bytes<std::int64_t>({1, 2})})});
  const std::size_t whole = stream_of(table).size();
  std::string out = "already here";
  StreamWriter fits(out, whole);
  EXPECT_TRUE(fits.begin(*table.schema).ok() && fits.write(*table.array).ok() && fits.end().ok());
  std::string less;
  StreamWriter short_by_one(less, whole - 1);
  ASSERT_TRUE(short_by_one.begin(*table.schema).ok() && short_by_one.write(*table.array).ok());
  Status status = short_by_one.end();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kTooLarge);
}

TEST(Writer, RefusesATypeThatItDoesNotCarryByName) {
  Columns c;
  auto table = c.table({c.column("vu", "odd", 0, "", {})});
  std::string out;
  Status status = StreamWriter(out, 0).begin(*table.schema);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kUnsupported);
  EXPECT_THAT(status.error().message, HasSubstr("'odd'"));
}

TEST(Columns, NamesTheirTypesAsSqlDoes) {
  Columns c;
  auto i = c.column("i", "a", 0, "", {""});
  auto t = c.column("u", "B", 0, "", {"", ""});
  auto list = c.column("+l", "c", 0, "", {""}, {i});
  auto table = c.table({i, c.column("d:18,3", "", 0, "", {""}), c.column("tsu:UTC", "", 0, "", {""}),
                        c.column("+s", "", 0, "", {}, {i, t, list}),
                        c.column("+m", "", 0, "", {""}, {c.column("+s", "e", 0, "", {}, {t, i})}),
                        c.column("+us:0,1", "", 0, "", {""}, {i, t}), c.column("+w:4", "", 0, "", {}, {t})});
  std::vector<std::string> types;
  const std::vector<ColumnInfo> found = columns(stream_of(table)).value();
  for (const ColumnInfo& column : found) types.push_back(column.type);
  EXPECT_THAT(types, ElementsAre("INTEGER", "DECIMAL(18,3)", "TIMESTAMP WITH TIME ZONE",
                                 "STRUCT(a INTEGER, \"B\" VARCHAR, c INTEGER[])", "MAP(VARCHAR, INTEGER)",
                                 "UNION(a INTEGER, \"B\" VARCHAR)", "VARCHAR[4]"));
}

TEST(Csv, QuotesWhatNeedsItAndTellsNullFromEmpty) {
  Columns c;
  const std::string ipc = stream_of(c.table(
      {c.text("a,b", {"plain", "with, comma", "a \"quote\"", "two\nlines"}), c.text("c", {nullptr, "", "x", " y "})}));
  EXPECT_EQ(csv_of(ipc),
            "\"a,b\",c\r\n"
            "plain,\r\n"
            "\"with, comma\",\"\"\r\n"
            "\"a \"\"quote\"\"\",x\r\n"
            "\"two\nlines\", y \r\n");
}

TEST(Table, AlignsByWhatATerminalShows) {
  Columns c;
  const std::string ipc =
      stream_of(c.table({c.text("city", {"Zürich", "東京", nullptr}),
                         c.column("i", "n", 3, "", {Columns::bytes<std::int32_t>({1, 200, -30})})}));
  EXPECT_EQ(table_of(ipc),
            "city      n\n"
            "──────  ───\n"
            "Zürich    1\n"
            "東京    200\n"
            "NULL    -30\n"
            "(3 rows)\n");
}

TEST(Table, LeavesOutRowsAndSaysSo) {
  Columns c;
  auto table = c.table({c.column("i", "n", 3, "", {Columns::bytes<std::int32_t>({1, 2, 3})})});
  EXPECT_EQ(table_of(stream_of(table, 2), {.rows_max = 2}), "n\n─\n1\n2\n(2 of 6 rows)\n");
}

TEST(Table, CutsLongTextAndLetsNothingSteerTheTerminal) {
  Columns c;
  const std::string table = table_of(
      stream_of(c.table({c.text("t", {"\x1b[31mred", "123456", "1234567", "宽宽宽宽", "\xE2\x80\xAEx", "a\nb"})})),
      {.cell_width_max = 6});
  EXPECT_THAT(table, Not(HasSubstr("\x1b")));
  EXPECT_THAT(table, HasSubstr("\\x1b[…\n"));
  EXPECT_THAT(table, HasSubstr("\n123456\n"));
  EXPECT_THAT(table, HasSubstr("\n12345…\n"));
  EXPECT_THAT(table, HasSubstr("\n宽宽…\n"));
  EXPECT_THAT(table, HasSubstr("\n…\n"));  // \u202e and x do not fit
  EXPECT_THAT(table, HasSubstr("\na\\nb\n"));
}

// A stream with one column of every shape, to cut and to damage.
std::string rich_stream(Columns& c) {
  auto numbers = c.column("i", "n", 3, "vv.", {Columns::bytes<std::int32_t>({1, 2, 3})});
  auto text = c.text("t", {"x", nullptr, "zzz"});
  const auto offsets = Columns::bytes<std::int32_t>({0, 2, 2, 3});
  auto entries = c.column("+s", "entries", 3, "", {}, {c.text("key", {"a", "b", "c"}), numbers});
  return stream_of(c.table({numbers, text, c.column("+l", "l", 3, "v.v", {offsets}, {numbers}),
                            c.column("+m", "m", 3, "", {offsets}, {entries}),
                            c.column("+us:0,1", "u", 3, "", {std::string("\0\1\0", 3)}, {numbers, text}),
                            c.column("b", "b", 3, "", {"\x05"}), c.column("n", "z", 3, "", {}),
                            c.column("tsu:UTC", "ts", 3, "", {Columns::bytes<std::int64_t>({1, 2, 3})})}),
                   2);
}

TEST(Reader, ReadsFromAnyAddress) {
  Columns c;
  const std::string ipc = rich_stream(c);
  const std::string expected = json_of(ipc);
  ASSERT_THAT(expected, StartsWith("{"));
  for (std::size_t shift = 1; shift < 8; ++shift) {
    const std::string moved = std::string(shift, ' ') + ipc;
    EXPECT_EQ(json_of(std::string_view(moved).substr(shift)), expected);
  }
}

TEST(Reader, ACutStreamIsRefusedOrShorterButNeverRead) {
  Columns c;
  const std::string ipc = rich_stream(c);
  std::size_t refused = 0;
  for (std::size_t cut = 0; cut < ipc.size(); ++cut) {
    const std::string part(ipc.data(), cut);  // its own allocation, so that a sanitizer sees a read behind it
    if (json_of(part).substr(0, 5) == "error") ++refused;
  }
  // Whole without its end mark (8 bytes) or with half of it, and at the end of each batch and of the schema.
  EXPECT_GE(refused, ipc.size() - 12);
}

TEST(Reader, DamageIsRefusedOrReadWithinTheBytes) {
  Columns c;
  const std::string ipc = rich_stream(c);
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = ipc;
    for (int i = 0; i < 1 + round % 4; ++i) {
      const std::size_t at = random() % damaged.size();
      damaged[at] = static_cast<char>(round % 3 == 0 ? 0xFF : random());
    }
    json_of(damaged);  // a sanitizer or a crash is what would show
    table_of(damaged);
  }
}

TEST(Reader, OffsetsMayNotGoBackNorOut) {
  Columns c;
  const std::string ipc = stream_of(c.table({c.text("t", {"aaa", "bbb"})}));
  const std::size_t at = ipc.find(Columns::bytes<std::int32_t>({0, 3, 6}));
  ASSERT_NE(at, std::string::npos);
  for (auto offsets : {std::array<std::int32_t, 3>{0, 5, 3}, {-1, 3, 6}, {0, 3, 7}, {4, 3, 6}, {0, 3, INT32_MAX}}) {
    std::string damaged = ipc;
    std::memcpy(&damaged[at], offsets.data(), sizeof offsets);
    std::string out;
    Status status = write_json(damaged, out);
    ASSERT_FALSE(status.ok()) << offsets[0] << " " << offsets[1] << " " << offsets[2];
    EXPECT_EQ(status.error().code, Code::kCorrupt);
  }
}

TEST(Reader, NonsenseIsCorrupt) {
  for (std::string_view bytes :
       {std::string_view(""), std::string_view("hello"), std::string_view("\xFF\xFF\xFF\xFF", 4),
        std::string_view("\xFF\xFF\xFF\xFF\0\0\0\0", 8)}) {
    auto result = columns(bytes);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::kCorrupt);
  }
}

}  // namespace
}  // namespace larder::arrow
