// DuckDB through its C API, in values that clean up after themselves and Results that say what went wrong.
//
//   Database database = TRY(Database::open({.memory_bytes_max = 1 << 30, .threads = 2}));
//   Connection connection = TRY(database.connect());
//   Statement statement = TRY(connection.prepare("SELECT $1 + 1"));
//   Rows rows = TRY(statement.run({std::int64_t{41}}));
//   while (auto batch = TRY(rows.next())) use(**batch);  // Arrow, C data interface
//
// A Database is an engine in memory, one or a few a process; it may be used by any number of threads. A Connection and
// what comes from it belong to one thread at a time; only interrupt() and progress() may be called by others.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "arrow/c_data.h"

namespace larder::duck {

// A value bound to a placeholder.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

struct DatabaseOptions {
  std::uint64_t memory_bytes_max = std::uint64_t{2} << 30;
  unsigned threads = 2;
  std::filesystem::path spill;  // a directory for what does not fit in memory; empty: it fails instead
  // All that SQL can reach of the machine: files under these directories, and these files. Set before the engine is
  // locked: from then on nothing can widen it, no setting can be changed, nothing can be attached, installed or loaded.
  std::vector<std::filesystem::path> directories;
  std::vector<std::filesystem::path> files;
};

// Turns DuckDB's message into an Error: the code by its kind, one line, the place in the SQL kept.
Error error_from(std::string_view message);

// As SQL writes them, quotes and all.
std::string quote_name(std::string_view name);
std::string quote_text(std::string_view text);

class Connection;

class Database {
 public:
  // The time zone is UTC, so that an answer does not depend on the machine.
  static Result<Database> open(const DatabaseOptions& options);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  Result<Connection> connect();

 private:
  Database() = default;
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

// A column of a result.
struct ColumnType {
  std::string name;
  std::string type;                       // as SQL writes it
  std::optional<std::string> exact_type;  // Arrow cannot carry the type whole; a cast to this it can
  bool resolved = true;                   // false: known when the parameters are
};

// A result, fetched as it is made.
class Rows {
 public:
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) noexcept;
  ~Rows();

  const std::vector<ColumnType>& columns() const;
  Result<arrow::HeldSchema> schema();
  // The next rows; nullopt: the end.
  Result<std::optional<arrow::HeldArray>> next();

 private:
  friend class Statement;
  Rows();
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

class Statement {
 public:
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  std::size_t params() const;
  // Of the result.
  std::vector<ColumnType> columns() const;
  // kInvalid: another number of values than params(). The Connection must outlive the Rows.
  Result<Rows> run(const std::vector<Value>& values);

 private:
  friend class Connection;
  Statement();
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

class Connection {
 public:
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // Our own SQL, one or several statements, results dropped.
  Status execute(const std::string& sql);
  // One statement.
  Result<Statement> prepare(const std::string& sql);
  // The first column of the first row as text, of SQL of our own that gives one.
  Result<std::string> text(const std::string& sql, const std::vector<Value>& values);

  // Any thread: stops what runs now. What has not begun yet is not stopped; see Watch.
  void interrupt();
  // Any thread: the share of the running statement that is done, 0 to 1; less than 0: not known.
  double progress();

 private:
  friend class Database;
  Connection();
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace larder::duck
