#include "duck/duck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arrow/render.h"
#include "arrow/writer.h"
#include "base/try.h"
#include "duck/watch.h"

namespace larder::duck {
namespace {

using testing::HasSubstr;

const char* const kEndless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";

class DuckTest : public testing::Test {
 protected:
  // The answer as CSV, or the error.
  std::string ask(const std::string& sql, const std::vector<Value>& values = {}) {
    auto csv = try_ask(sql, values);
    return csv.ok() ? *csv : "error: " + csv.error().message;
  }
  Result<std::string> try_ask(const std::string& sql, const std::vector<Value>& values) {
    Statement statement = TRY(connection_.prepare(sql));
    Rows rows = TRY(statement.run(values));
    std::string ipc;
    arrow::StreamWriter writer(ipc, 0);
    const arrow::HeldSchema schema = TRY(rows.schema());
    TRY(writer.begin(*schema));
    while (auto batch = TRY(rows.next())) TRY(writer.write(**batch));
    TRY(writer.end());
    std::string csv;
    TRY(arrow::write_csv(ipc, csv));
    return csv;
  }

  Database database_ = Database::open({.memory_bytes_max = 256 << 20, .threads = 2}).value();
  Connection connection_ = database_.connect().value();
};

TEST_F(DuckTest, BindsEveryKindOfValue) {
  EXPECT_EQ(ask("SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e",
                {std::monostate(), true, std::int64_t{-7}, 0.25, std::string("a'b\0c", 5)}),
            std::string("a,b,c,d,e\r\n,true,-7,0.25,a'b\0c\r\n", 32));
  EXPECT_EQ(ask("SELECT 1", {true}), "error: parameters given: 1, placeholders in the SQL: 0");
}

TEST_F(DuckTest, AStatementRunsAgainWithOtherValues) {
  Statement statement = connection_.prepare("SELECT $1 + 1 AS n").value();
  for (std::int64_t n : {1, 2, 3}) {
    Rows rows = statement.run({n}).value();
    auto batch = rows.next().value();
    ASSERT_TRUE(batch.has_value());
    EXPECT_EQ(static_cast<const std::int64_t*>((*batch)->children[0]->buffers[1])[0], n + 1);
    EXPECT_FALSE(rows.next().value().has_value());
  }
}

TEST_F(DuckTest, ErrorsHaveACodeAndOneLine) {
  auto code = [this](const char* sql) {
    auto result = try_ask(sql, {});
    EXPECT_FALSE(result.ok()) << sql;
    if (result.ok()) return Code::kInternal;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos) << result.error().message;
    EXPECT_EQ(result.error().message.find(" Error: "), std::string::npos) << result.error().message;
    return result.error().code;
  };
  EXPECT_EQ(code("SELEC 1"), Code::kInvalid);
  EXPECT_EQ(code("SELECT * FROM nowhere"), Code::kNotFound);
  EXPECT_EQ(code("SELECT x FROM (SELECT 1 AS y)"), Code::kNotFound);
  EXPECT_EQ(code("SELECT 'x'::INTEGER"), Code::kInvalid);
  EXPECT_EQ(code("SELECT 1::TINYINT * 1000::SMALLINT * 1000::SMALLINT"), Code::kInvalid);
  EXPECT_EQ(code("SELECT * FROM read_text('/etc/passwd')"), Code::kDenied);
  EXPECT_EQ(code("SELECT string_agg(repeat('x', 1000000), '') FROM range(2000)"), Code::kTooLarge);
}

TEST_F(DuckTest, KeepsThePlaceAndLeavesTheAdviceOut) {
  Error error = error_from(
      "Binder Error: Referenced column \"x\" not found!\nCandidate bindings: \"y\"\n\nLINE 1: SELECT x\n               "
      "^");
  EXPECT_EQ(error.message, "Referenced column \"x\" not found!; Candidate bindings: \"y\" in line 1: SELECT x");
  EXPECT_EQ(error.code, Code::kNotFound);
  error = error_from(
      "Conversion Error: CSV Error on Line: 3\nOriginal Line: oops\n\nColumn x is BIGINT\nPossible solutions:\n* Set "
      "sample_size=-1\n\n  file = /data/a.csv\n  delimiter = ,\n");
  EXPECT_EQ(error.message, "CSV Error on Line: 3; Original Line: oops in file /data/a.csv");
  EXPECT_EQ(error_from("").message, "");
  EXPECT_THAT(error_from("Parser Error: " + std::string(5000, 'x')).message, HasSubstr("…"));
}

TEST_F(DuckTest, QuotesNamesAndText) {
  EXPECT_EQ(quote_name("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quote_text("it's"), "'it''s'");
  EXPECT_EQ(ask("SELECT " + quote_text("it's; DROP") + " AS " + quote_name("a\"b")), "\"a\"\"b\"\r\nit's; DROP\r\n");
}

TEST_F(DuckTest, AnInterruptThatComesBeforeTheStatementIsNotLost) {
  Statement statement = connection_.prepare(kEndless).value();
  Cancel cancel;
  cancel.cancel();
  Watch watch(connection_, cancel, 0);
  (void)connection_.execute("SELECT count(*) FROM range(1000000)");  // uses up the first interrupt
  auto rows = statement.run({});                                     // would take years
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(rows.error().code, Code::kCancelled);
  EXPECT_EQ(watch.stopped()->code, Code::kCancelled);
}

TEST_F(DuckTest, TimeThatIsOverStopsTheStatementAndNotTheNext) {
  {
    Statement statement = connection_.prepare(kEndless).value();
    Watch watch(connection_, Cancel(), 1);
    EXPECT_FALSE(statement.run({}).ok());
    EXPECT_EQ(watch.stopped()->code, Code::kTimeout);
  }
  EXPECT_EQ(ask("SELECT 1 AS n"), "n\r\n1\r\n");
  Watch patient(connection_, Cancel(), 1'000'000'000'000'000);
  EXPECT_EQ(patient.stopped(), std::nullopt);
}

TEST_F(DuckTest, AnswersDoNotDependOnTheMachinesTimeZone) {
  EXPECT_EQ(ask("SELECT TIMESTAMPTZ '2024-07-01 12:00:00'::VARCHAR AS t, current_setting('TimeZone') AS z"),
            "t,z\r\n2024-07-01 12:00:00+00,UTC\r\n");
}

}  // namespace
}  // namespace larder::duck
