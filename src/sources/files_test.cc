#include "sources/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "arrow/render.h"
#include "duck/duck.h"
#include "sources/find_files.h"

namespace larder::sources {
namespace {

using testing::AllOf;
using testing::HasSubstr;

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "larder_files_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    writer_.emplace(duck::Database::open({.threads = 1, .directories = {dir_}}).value());
  }
  void TearDown() override { fs::remove_all(dir_); }

  // Writes the rows of some SQL, in the format that the ending says.
  void put(const std::string& file, const std::string& sql) {
    fs::create_directories((dir_ / file).parent_path());
    duck::Connection connection = writer_->connect().value();
    Status status = connection.execute("COPY (" + sql + ") TO " + duck::quote_text((dir_ / file).string()));
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  void put_text(const std::string& file, const std::string& text) {
    fs::create_directories((dir_ / file).parent_path());
    std::ofstream(dir_ / file, std::ios::binary) << text;
  }

  void open(std::vector<Place> places, FilesSource::Options options = {}) {
    for (Place& place : places) place.path = dir_ / place.path;
    options.places = std::move(places);
    auto files = FilesSource::open(options);
    ASSERT_TRUE(files.ok()) << files.error().message;
    files_ = std::move(*files);
  }

  Result<Answer> ask(const Question& question, const Limits& limits = {}, const Cancel& cancel = Cancel()) {
    auto plan = files_->plan(question);
    if (!plan.ok()) return std::move(plan).error();
    return files_->run(question, *plan, limits, cancel);
  }
  // The answer as JSON rows, or the error.
  std::string rows(const std::string& sql, std::vector<Param> params = {}, const std::string& source = "") {
    auto answer = ask({source, sql, std::move(params)});
    if (!answer.ok()) return "error: " + answer.error().message;
    std::string json;
    Status status = arrow::write_json(answer->arrow, json);
    if (!status.ok()) return "error: " + status.error().message;
    const std::size_t from = json.find("\"rows\":") + 7;
    return json.substr(from, json.rfind(",\"row_count\"") - from);
  }
  std::string version(const std::string& sql) {
    auto version = files_->version(files_->plan({"", sql, {}}).value());
    return version.ok() ? *version : "error: " + version.error().message;
  }
  static Error error_of(const Result<Answer>& answer) {
    return answer.ok() ? Error{Code::kInternal, "none"} : answer.error();
  }

  fs::path dir_;
  std::optional<duck::Database> writer_;
  std::unique_ptr<FilesSource> files_;
};

TEST_F(FilesTest, ReadsParquetCsvAndJsonAndJoinsThem) {
  put("sales.parquet", "SELECT i AS id, i * 2.5 AS amount, 'r' || i % 2 AS region FROM range(4) t(i)");
  put("regions.csv", "SELECT * FROM (VALUES ('r0', 'North'), ('r1', 'South, East')) v(region, name)");
  put("targets.json", "SELECT 'r0' AS region, 10 AS target UNION ALL SELECT 'r1', 20");
  open({{.name = "sales", .path = "sales.parquet"},
        {.name = "regions", .path = "regions.csv"},
        {.name = "targets", .path = "targets.json"}});
  EXPECT_EQ(rows("SELECT name, target, sum(amount), count(*) FROM sales JOIN regions USING (region) "
                 "JOIN targets USING (region) GROUP BY ALL ORDER BY name"),
            R"([["North",10,"5.0",2],["South, East",20,"10.0",2]])");
  EXPECT_EQ(files_->plan({"", "SELECT 1 FROM Sales, targets", {}})->reads,
            (std::vector<std::string>{"sales", "targets"}));
}

TEST_F(FilesTest, AnAnswerOfNoRowsHasColumns) {
  put("a.parquet", "SELECT 1 AS x, 'y' AS y");
  open({{.name = "a", .path = "a.parquet"}});
  auto answer = ask({"", "SELECT * FROM a WHERE x > 1", {}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->rows, 0u);
  EXPECT_EQ(arrow::columns(answer->arrow)->size(), 2u);
}

TEST_F(FilesTest, ManyRowsComeWholeAndInOrder) {
  put("a.parquet", "SELECT i FROM range(100000) t(i)");
  open({{.name = "a", .path = "a.parquet"}});
  auto answer = ask({"", "SELECT i FROM a ORDER BY i DESC", {}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->rows, 100000u);
  std::string csv;
  ASSERT_TRUE(arrow::write_csv(answer->arrow, csv).ok());
  EXPECT_EQ(csv.substr(0, 17), "i\r\n99999\r\n99998\r\n");
  EXPECT_EQ(csv.substr(csv.size() - 9), "2\r\n1\r\n0\r\n");
}

TEST_F(FilesTest, AGlobAndADirectoryAreLookedUpAnewEachTime) {
  put("logs/2024/a.parquet", "SELECT 1 AS n");
  put("logs/2025/b.parquet", "SELECT 2 AS n");
  put_text("logs/readme.txt", "not mine");
  put_text("logs/.hidden.parquet", "not mine either");
  open({{.name = "globbed", .path = "logs/*/*.parquet"},
        {.name = "deep", .path = "logs/**/*.parquet"},
        {.name = "dir", .path = "logs", .format = Format::kParquet}});
  for (const char* name : {"globbed", "deep", "dir"})
    EXPECT_EQ(rows("SELECT sum(n) FROM " + std::string(name)), "[[3]]") << name;
  const std::string before = version("FROM dir");
  EXPECT_EQ(version("FROM dir"), before);
  put("logs/2025/c.parquet", "SELECT 10 AS n");
  EXPECT_NE(version("FROM dir"), before);
  for (const char* name : {"globbed", "deep", "dir"})
    EXPECT_EQ(rows("SELECT sum(n) FROM " + std::string(name)), "[[13]]") << name;
  fs::remove(dir_ / "logs/2025/c.parquet");
  EXPECT_EQ(version("FROM dir"), before);
}

TEST_F(FilesTest, TheVersionIsThatOfWhatIsReadAlone) {
  put("a.csv", "SELECT 1 AS x");
  put("b.csv", "SELECT 1 AS x");
  open({{.name = "a", .path = "a.csv"}, {.name = "b", .path = "b.csv"}});
  const std::string a = version("FROM a"), both = version("FROM a, b"), none = version("SELECT 1");
  auto answer = ask({"", "FROM a", {}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->version, a);
  put("b.csv", "SELECT 22 AS x");
  EXPECT_EQ(version("FROM a"), a);
  EXPECT_NE(version("FROM a, b"), both);
  EXPECT_EQ(version("SELECT 1"), none);
}

TEST_F(FilesTest, AFileThatIsReplacedIsReadAnewAndTheOldStateGoes) {
  open({{.name = "a", .path = "a.parquet"}});
  for (int i = 0; i < 5; ++i) {
    // Another type each second time, under the same name.
    put("a.parquet", i % 2 == 0 ? "SELECT " + std::to_string(i) + " AS x" : "SELECT 'n" + std::to_string(i) + "' AS x");
    EXPECT_EQ(rows("SELECT x FROM a"),
              i % 2 == 0 ? "[[" + std::to_string(i) + "]]" : "[[\"n" + std::to_string(i) + "\"]]");
    EXPECT_EQ(files_->states(), 1u);
  }
}

TEST_F(FilesTest, AFileRewrittenInPlaceWithTheSameSizeIsSeen) {
  open({{.name = "a", .path = "a.csv"}});
  for (int i = 10; i < 40; ++i) {
    put_text("a.csv", "x\n" + std::to_string(i) + "\n");
    EXPECT_EQ(rows("SELECT x FROM a"), "[[" + std::to_string(i) + "]]");
  }
}

TEST_F(FilesTest, WhatChangedWhileItWasReadIsReadAgain) {
  put("a.csv", "SELECT 1 AS x");
  int reads = 0;
  FilesSource::Options options;
  options.when_read = [&] {
    if (++reads == 1) put("a.csv", "SELECT 22 AS x");
  };
  open({{.name = "a", .path = "a.csv"}}, options);
  EXPECT_EQ(rows("SELECT x FROM a"), "[[22]]");
  EXPECT_EQ(reads, 2);
  // Gone while it was read: what was read of it does not count either.
  reads = 0;
  options.when_read = [&] {
    if (++reads == 1) fs::remove(dir_ / "a.csv");
  };
  open({{.name = "a", .path = "a.csv"}}, options);
  EXPECT_THAT(rows("SELECT x FROM a"), HasSubstr("there is no file"));
}

TEST_F(FilesTest, WhatNeverSettlesIsUnavailable) {
  put("a.csv", "SELECT 1 AS x");
  int reads = 0;
  FilesSource::Options options;
  options.when_read = [&] { put_text("a.csv", "x\n" + std::string(static_cast<std::size_t>(++reads), '7') + "\n"); };
  open({{.name = "a", .path = "a.csv"}}, options);
  Error error = error_of(ask({"", "SELECT x FROM a", {}}));
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("'a'"), HasSubstr("changed while they were read")));
  EXPECT_EQ(reads, 5);
}

TEST_F(FilesTest, AFileJustWrittenIsLetSettle) {
  put_text("a.csv", "x\n1\n");
  open({{.name = "a", .path = "a.csv"}});
  const auto modified = fs::file_time_type::clock::now() + std::chrono::milliseconds(500);
  fs::last_write_time(dir_ / "a.csv", modified);
  EXPECT_EQ(rows("SELECT x FROM a"), "[[1]]");
  EXPECT_GE(fs::file_time_type::clock::now() - modified, std::chrono::milliseconds(20));
}

TEST_F(FilesTest, WhileFilesChangeAnAnswerIsOfOneStateOrNone) {
  auto write_state = [this](int k) {
    for (const char* name : {"a.csv", "b.csv"}) {
      std::string text = "k\n";
      for (int i = 0; i < 200; ++i) text += std::to_string(k) + "\n";
      put_text(std::string("data/") + name, text);
    }
  };
  write_state(100);
  open({{.name = "a", .path = "data/a.csv"}});
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int k = 101; !stop; k = 100 + (k + 1) % 800) write_state(k);
  });
  int answered = 0;
  for (int i = 0; i < 30; ++i) {
    auto answer = ask({"", "SELECT count(*) AS n, min(k) = max(k) AS one FROM a", {}});
    if (!answer.ok()) {
      // Unsettled; or just emptied, when it has no column k.
      EXPECT_TRUE(answer.error().code == Code::kUnavailable || answer.error().code == Code::kNotFound)
          << answer.error().message;
      continue;
    }
    ++answered;
    std::string csv;
    ASSERT_TRUE(arrow::write_csv(answer->arrow, csv).ok());
    // A writer that truncates and writes shows states of less than 200 rows too, but never a mixture.
    EXPECT_THAT(csv, HasSubstr(",true\r\n"));
  }
  stop = true;
  writer.join();
  write_state(7);
  EXPECT_EQ(rows("SELECT count(*), min(k), max(k) FROM a"), "[[200,7,7]]") << answered;
}

TEST_F(FilesTest, ManyThreadsAskAtOnceWhileAFileIsReplaced) {
  auto replace = [this](int k) {  // as careful programs do: a new file takes the name
    put("new/a.parquet", "SELECT " + std::to_string(k) + " AS k FROM range(3000)");
    fs::create_directories(dir_ / "data");
    fs::rename(dir_ / "new/a.parquet", dir_ / "data/a.parquet");
  };
  replace(0);
  open({{.name = "a", .path = "data/*.parquet"}});
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 15; ++i) {
        auto answer = ask({"", "SELECT count(*) AS n, min(k) = max(k) AS one FROM a", {}});
        std::string csv;
        if (answer.ok() && arrow::write_csv(answer->arrow, csv).ok() && csv != "n,one\r\n3000,true\r\n") ++wrong;
        if (!answer.ok() && answer.error().code != Code::kUnavailable) ++wrong;
      }
    });
  for (int k = 1; k < 10; ++k) replace(k);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(rows("SELECT max(k) FROM a"), "[[9]]");
  EXPECT_EQ(files_->states(), 1u);
}

TEST_F(FilesTest, OnlyTheSourceAskedForIsSeen) {
  put("a.csv", "SELECT 1 AS x");
  put("b.csv", "SELECT 2 AS x");
  open({{.name = "a", .path = "a.csv"}, {.name = "b", .path = "b.csv"}});
  EXPECT_EQ(rows("SELECT x FROM a", {}, "a"), "[[1]]");
  EXPECT_EQ(rows("SELECT x FROM b", {}, "a"), "error: there is no source 'b'");
  EXPECT_EQ(rows("SELECT x FROM a, b", {}, "a"), "error: there is no source 'b'");
  EXPECT_THAT(rows("SELECT 1", {}, "c"), HasSubstr("there is no source 'c'"));
}

TEST_F(FilesTest, NothingButTheSourcesIsReached) {
  put("data/a.csv", "SELECT 1 AS x");
  put("data/other.csv", "SELECT 'secret' AS x");
  open({{.name = "a", .path = "data/a.csv"}});
  EXPECT_EQ(rows("SELECT x FROM a"), "[[1]]");
  for (const std::string& sql :
       {"SELECT * FROM " + duck::quote_text((dir_ / "data/other.csv").string()),
        "SELECT * FROM " + duck::quote_text((dir_ / "data/a.csv").string()),
        "SELECT * FROM read_csv(" + duck::quote_text((dir_ / "data/a.csv").string()) + ")",
        std::string("SELECT * FROM other"), std::string("SELECT * FROM larder_1.a"), std::string("COPY a TO '/tmp/x'"),
        std::string("DROP SCHEMA larder_1 CASCADE"), std::string("SELECT * FROM duckdb_views()")}) {
    EXPECT_EQ(rows(sql).substr(0, 6), "error:") << sql;
    // Also when a caller skips plan() and makes the plan up.
    Plan made_up{"x", {"a"}, true};
    EXPECT_FALSE(files_->run({"", sql, {}}, made_up, {}, Cancel()).ok()) << sql;
  }
  const Plan of_another = files_->plan({"", "SELECT 1", {}}).value();
  EXPECT_FALSE(files_->run({"", "SELECT 2", {}}, of_another, {}, Cancel()).ok());
}

TEST_F(FilesTest, ParametersAreBoundAndNeverSql) {
  put("a.csv", "SELECT * FROM (VALUES (1, 'x'), (2, 'it''s'), (3, NULL)) v(id, name)");
  open({{.name = "a", .path = "a.csv"}});
  EXPECT_EQ(rows("SELECT id FROM a WHERE name = $1", {std::string("it's")}), "[[2]]");
  EXPECT_EQ(rows("SELECT id FROM a WHERE name = ?", {std::string("x' OR '1'='1")}), "[]");
  EXPECT_EQ(rows("SELECT $1, $2, $3, $4, $5",
                 {std::monostate(), true, std::int64_t{9007199254740993}, 0.1, std::string("Zürich")}),
            R"([[null,true,"9007199254740993",0.1,"Zürich"]])");
  EXPECT_EQ(rows("SELECT id FROM a WHERE id > $2 AND id < $1", {std::int64_t{3}, 1.5}), "[[2]]");
  EXPECT_EQ(rows("SELECT $1", {}), "error: parameters given: 0, placeholders in the SQL: 1");
  EXPECT_THAT(rows("SELECT 1", {true}), HasSubstr("given: 1, placeholders in the SQL: 0"));
  EXPECT_THAT(rows("SELECT $1::INTEGER", {std::string("abc")}), HasSubstr("Could not convert"));
}

TEST_F(FilesTest, LimitsOfRowsAndBytes) {
  put("a.parquet", "SELECT i FROM range(10000) t(i)");
  open({{.name = "a", .path = "a.parquet"}});
  EXPECT_TRUE(ask({"", "FROM a", {}}, {.rows_max = 10000}).ok());
  Error rows = error_of(ask({"", "FROM a", {}}, {.rows_max = 9999}));
  EXPECT_EQ(rows.code, Code::kTooLarge);
  EXPECT_THAT(rows.message, HasSubstr("more than 9999 rows"));
  EXPECT_EQ(error_of(ask({"", "FROM a", {}}, {.bytes_max = 50'000})).code, Code::kTooLarge);
}

TEST_F(FilesTest, ALimitOfTime) {
  open({});
  const std::string endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
  Error error = error_of(ask({"", endless, {}}, {.timeout_ms = 50}));
  EXPECT_EQ(error.code, Code::kTimeout);
  EXPECT_EQ(rows("SELECT 1"), "[[1]]");  // the connection is good for the next
}

TEST_F(FilesTest, ACallerWhoGoesAwayStopsTheWork) {
  open({});
  const std::string endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
  Cancel early;
  early.cancel();
  EXPECT_EQ(error_of(ask({"", endless, {}}, {}, early)).code, Code::kCancelled);
  Cancel late;
  std::thread caller([&late] { late.cancel(); });
  EXPECT_EQ(error_of(ask({"", endless, {}}, {}, late)).code, Code::kCancelled);
  caller.join();
  const std::string many = "FROM range(1000000000000)";  // stopped between the rows
  Cancel between;
  std::thread other([&between] { between.cancel(); });
  EXPECT_EQ(error_of(ask({"", many, {}}, {}, between)).code, Code::kCancelled);
  other.join();
  EXPECT_EQ(rows("SELECT 1"), "[[1]]");
}

TEST_F(FilesTest, ALimitOfMemory) {
  open({}, {.memory_bytes_max = 64 << 20});
  Error error =
      error_of(ask({"", "SELECT count(*) FROM (SELECT range % 90000000 AS k FROM range(90000000) GROUP BY k)", {}}));
  EXPECT_EQ(error.code, Code::kTooLarge) << error.message;
}

TEST_F(FilesTest, AMissingFileIsNamed) {
  open({{.name = "a", .path = "nowhere/a.parquet"},
        {.name = "g", .path = "nowhere/*.csv"},
        {.name = "d", .path = "empty", .format = Format::kCsv}});
  fs::create_directories(dir_ / "empty");
  for (const auto& [name, says] :
       {std::pair{"a", "there is no file "}, {"g", "no file matches "}, {"d", "no file of its format"}}) {
    Error error = error_of(ask({"", "FROM " + std::string(name), {}}));
    EXPECT_EQ(error.code, Code::kUnavailable);
    EXPECT_THAT(error.message,
                AllOf(HasSubstr("source '" + std::string(name) + "'"), HasSubstr(says), HasSubstr(dir_.string())));
  }
  put("nowhere/a.parquet", "SELECT 1 AS x");
  EXPECT_EQ(rows("FROM a"), "[[1]]");
}

TEST_F(FilesTest, ADamagedFileIsNamed) {
  put_text("a.parquet", "this is no parquet file");
  put("b/good.parquet", "SELECT i FROM range(100000) t(i)");
  put_text("c.csv", "x\n1\n2\n");
  open({{.name = "a", .path = "a.parquet"}, {.name = "b", .path = "b/*.parquet"}, {.name = "c", .path = "c.csv"}});
  Error error = error_of(ask({"", "FROM a", {}}));
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("source 'a'"), HasSubstr("a.parquet")));
  // Cut inside: the end, with what the file says of itself, is kept.
  std::ifstream in(dir_ / "b/good.parquet", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  put_text("b/good.parquet",
           bytes.substr(0, 4) + std::string(bytes.size() / 2, '\xAA') + bytes.substr(4 + bytes.size() / 2));
  Error damaged = error_of(ask({"", "SELECT sum(i) FROM b", {}}));
  EXPECT_EQ(damaged.code, Code::kUnavailable) << damaged.message;
  EXPECT_THAT(damaged.message, HasSubstr("source 'b'"));
  // The first rows tell CSV that these are numbers; a later one is none.
  std::string csv = "x\n";
  for (int i = 0; i < 100'000; ++i) csv += "1\n";
  put_text("c.csv", csv + "oops\n");
  Error late = error_of(ask({"", "SELECT sum(x) FROM c", {}}));
  EXPECT_EQ(late.code, Code::kUnavailable) << late.message;
  EXPECT_THAT(late.message, AllOf(HasSubstr("source 'c'"), HasSubstr("oops")));
}

TEST_F(FilesTest, WrongSqlSaysWhereAndWhatElse) {
  put("flights.csv", "SELECT 1 AS delay");
  open({{.name = "flights", .path = "flights.csv"}});
  Error column = error_of(ask({"", "SELECT dely FROM flights", {}}));
  EXPECT_EQ(column.code, Code::kNotFound) << column.message;
  EXPECT_THAT(column.message, AllOf(HasSubstr("dely"), HasSubstr("\"delay\"")));
  Error table = error_of(ask({"", "SELECT 1 FROM flihgts", {}}));
  EXPECT_EQ(table.code, Code::kNotFound);
  EXPECT_EQ(table.message, "there is no source 'flihgts' (did you mean 'flights'?)");
  Error syntax = error_of(ask({"", "SELECT FROM WHERE", {}}));
  EXPECT_EQ(syntax.code, Code::kInvalid);
  EXPECT_THAT(syntax.message, HasSubstr("at line 1, column"));
  Error types = error_of(ask({"", "SELECT delay + DATE '2020-01-01' * 2 FROM flights", {}}));
  EXPECT_EQ(types.code, Code::kInvalid) << types.message;
  EXPECT_EQ(types.message.find('\n'), std::string::npos);
  for (const Error& error : {column, table, syntax, types}) EXPECT_NE(error.message.back(), '.') << error.message;
}

TEST_F(FilesTest, OddFileNames) {
  const char* const kNames[] = {"a[1].csv", "b*.csv", "c?.csv", "it's.csv", "sp ace.csv", "ünï.csv", "x[!a].csv"};
  int i = 0;
  for (const char* name : kNames) put_text(std::string("odd/") + name, "x\n" + std::to_string(++i) + "\n");
  put_text("odd/bb.csv", "x\n1000\n");  // b*.csv must not take it along
  put_text("odd/a1.csv", "x\n1000\n");  // nor a[1].csv
  std::vector<Place> places;
  for (std::size_t n = 0; n < std::size(kNames); ++n)
    places.push_back({.name = "t" + std::to_string(n), .path = std::string("odd/") + kNames[n]});
  places.push_back({.name = "every", .path = "odd", .format = Format::kCsv});
  open(places);
  for (std::size_t n = 0; n < std::size(kNames); ++n)
    EXPECT_EQ(rows("SELECT * FROM t" + std::to_string(n)), "[[" + std::to_string(n + 1) + "]]") << kNames[n];
  EXPECT_EQ(rows("SELECT count(*), sum(x) FROM every"), "[[9,2028]]");
}

TEST_F(FilesTest, LinksAreFollowedWithinThePlaceAndTheirTargetIsTheStamp) {
  put("data/real/one.csv", "SELECT 1 AS x");
  fs::create_symlink(dir_ / "data/real/one.csv", dir_ / "data/link.csv");
  fs::create_directory_symlink(dir_ / "data", dir_ / "data/real/up");  // a circle
  fs::create_symlink(dir_ / "gone.csv", dir_ / "data/dangling.csv");
  fs::create_directory_symlink(dir_ / "data", dir_ / "by_link");
  fs::create_symlink(dir_ / "data/real/one.csv", dir_ / "current.csv");
  open({{.name = "a", .path = "data/*.csv"},
        {.name = "b", .path = "data/**/*.csv"},
        {.name = "c", .path = "by_link/*.csv"},
        {.name = "d", .path = "current.csv"}});
  for (const char* name : {"a", "c", "d"}) EXPECT_EQ(rows("SELECT x FROM " + std::string(name)), "[[1]]") << name;
  const std::string before = version("FROM a");
  put("data/real/one.csv", "SELECT 22 AS x");
  EXPECT_NE(version("FROM a"), before);
  EXPECT_EQ(rows("SELECT x FROM a"), "[[22]]");
  EXPECT_EQ(rows("SELECT DISTINCT x FROM b"), "[[22]]");
}

TEST_F(FilesTest, ALinkOutOfThePlaceIsRefused) {
  put("elsewhere/secret.csv", "SELECT 1 AS x");
  fs::create_directories(dir_ / "data");
  fs::create_symlink(dir_ / "elsewhere/secret.csv", dir_ / "data/link.csv");
  open({{.name = "a", .path = "data/*.csv"}});
  Error error = error_of(ask({"", "FROM a", {}}));
  EXPECT_EQ(error.code, Code::kDenied);
  EXPECT_THAT(error.message, AllOf(HasSubstr("source 'a'"), HasSubstr("a link leads"), HasSubstr("link.csv")));
}

TEST_F(FilesTest, TypesThatArrowCannotCarryComeAsTheirText) {
  put_text("one.csv", "x\n1\n");
  open({{.name = "one", .path = "one.csv"}});
  EXPECT_EQ(rows("SELECT 340282366920938463463374607431768211455::UHUGEINT AS u FROM one"),
            R"([["340282366920938463463374607431768211455"]])");
  EXPECT_EQ(rows("SELECT '12:34:56+02'::TIMETZ, '10110'::BIT, '123456789012345678901234567890123456789012345'::BIGNUM"),
            R"([["12:34:56+02","10110","123456789012345678901234567890123456789012345"]])");
  EXPECT_EQ(rows("SELECT {'u': 1::UHUGEINT, 'n': 2}, [1::UHUGEINT], MAP {'k': '101'::BIT} ;\n"),
            R"([[{"u":"1","n":2},["1"],{"k":"101"}]])");
  EXPECT_EQ(rows("SELECT 42::VARIANT"), R"([["42"]])");
  EXPECT_EQ(rows("SELECT $1::UHUGEINT AS a, $1::UHUGEINT AS a", {std::int64_t{7}}), R"([["7","7"]])");
  auto answer =
      ask({"", "SELECT i::UHUGEINT AS \"a \"\"b\"\"\", i FROM range(100000) t(i) ORDER BY i DESC -- all", {}});
  ASSERT_TRUE(answer.ok()) << error_of(answer).message;
  std::string csv;
  ASSERT_TRUE(arrow::write_csv(answer->arrow, csv).ok());
  EXPECT_THAT(csv, testing::StartsWith("\"a \"\"b\"\"\",i\r\n99999,99999\r\n99998,99998\r\n99997,99997\r\n"));
  EXPECT_THAT(rows("SELECT INTERVAL '2562047788 hours' AS i"), HasSubstr("cast it to VARCHAR"));
  EXPECT_THAT(rows("SELECT [{'a': INTERVAL '2562047788 hours'}] AS i"), HasSubstr("cast it to VARCHAR"));
  EXPECT_EQ(rows("SELECT INTERVAL '2562047 hours' AS i"), R"([["PT2562047H"]])");
  EXPECT_EQ(rows("SELECT 'b'::ENUM('a', 'b') AS e, ['a'::ENUM('a', 'b'), NULL] AS l"), R"([["b",["a",null]]])");
}

TEST_F(FilesTest, DescribesItsPlaces) {
  put("a.parquet", "SELECT 1::BIGINT AS n, 'x' AS \"two words\", [1.5] AS l");
  put_text("bad.parquet", "nothing");
  open({{.name = "a", .path = "a.parquet"},
        {.name = "gone", .path = "gone.csv"},
        {.name = "bad", .path = "bad.parquet"}});
  const std::vector<Description> all = files_->describe();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "a");
  EXPECT_EQ(all[0].kind, "files");
  EXPECT_EQ(all[0].format, "parquet");
  EXPECT_EQ(all[0].files, 1u);
  EXPECT_EQ(all[0].bytes, fs::file_size(dir_ / "a.parquet"));
  EXPECT_EQ(all[0].version.size(), 32u);
  EXPECT_EQ(all[0].error, "");
  ASSERT_EQ(all[0].columns.size(), 3u);
  EXPECT_EQ(all[0].columns[0].type, "BIGINT");
  EXPECT_EQ(all[0].columns[1].name, "two words");
  EXPECT_EQ(all[0].columns[2].type, "DECIMAL(2,1)[]");
  EXPECT_THAT(all[1].error, HasSubstr("there is no file"));
  EXPECT_THAT(all[2].error, HasSubstr("bad.parquet"));
}

TEST_F(FilesTest, APlaceThatCannotBeIsRefusedByName) {
  auto refusal = [](std::vector<Place> places) {
    auto files = FilesSource::open({.places = std::move(places)});
    return files.ok() ? std::string("opened") : files.error().message;
  };
  for (const char* name : {"", "1a", "a-b", "a b", "a.csv", "a\"b", "ä", "information_schema.x"})
    EXPECT_THAT(refusal({{.name = name, .path = "a.csv"}}), HasSubstr("a name has letters")) << name;
  EXPECT_THAT(refusal({{.name = std::string(65, 'a'), .path = "a.csv"}}), HasSubstr("a name has letters"));
  EXPECT_THAT(refusal({{.name = "a", .path = "a.csv"}, {.name = "A", .path = "b.csv"}}), HasSubstr("declared twice"));
  EXPECT_THAT(refusal({{.name = "a", .path = "data"}}), HasSubstr("say parquet, csv or json"));
  EXPECT_THAT(refusal({{.name = "a", .path = ""}}), HasSubstr("no path"));
  EXPECT_EQ(refusal({{.name = "a", .path = "data", .format = Format::kJson}}), "opened");
  for (const char* path : {"x.parquet", "x.pq", "x.csv", "x.tsv.gz", "x.jsonl", "x.ndjson.zst", "d/*.json"})
    EXPECT_EQ(refusal({{.name = "a", .path = path}}), "opened") << path;
  EXPECT_EQ(format_named("csv"), Format::kCsv);
  EXPECT_EQ(format_named("xml"), std::nullopt);
  EXPECT_EQ(format_name(Format::kJson), "json");
}

TEST_F(FilesTest, NotRepeatableIsSaid) {
  put_text("a.csv", "x\n1\n");
  open({{.name = "a", .path = "a.csv"}});
  EXPECT_TRUE(files_->plan({"", "SELECT x FROM a", {}})->repeatable);
  EXPECT_FALSE(files_->plan({"", "SELECT x + random() FROM a", {}})->repeatable);
}

}  // namespace
}  // namespace larder::sources
