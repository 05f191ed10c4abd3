#include "duck/duck.h"

#include <duckdb.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/try.h"
#include "duck/types.h"

namespace larder::duck {
namespace {

struct ErrorKind {
  std::string_view prefix;
  Code code;
};

// DuckDB's messages start with their kind. What is not listed is the SQL's own fault.
constexpr std::array<ErrorKind, 12> kErrorKinds = {{
    {"INTERRUPT Error: ", Code::kCancelled},
    {"Out of Memory Error: ", Code::kTooLarge},
    {"IO Error: ", Code::kIo},
    {"Permission Error: ", Code::kDenied},
    {"Catalog Error: ", Code::kNotFound},
    {"Not implemented Error: ", Code::kUnsupported},
    {"INTERNAL Error: ", Code::kInternal},
    {"FATAL Error: ", Code::kInternal},
    {"TransactionContext Error: ", Code::kInternal},
    {"Serialization Error: ", Code::kInternal},
    {"HTTP Error: ", Code::kDenied},
    {"Missing Extension Error: ", Code::kUnsupported},
}};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Line ends become spaces or, between sentences, "; ". Runs of spaces become one. Cut when very long.
std::string one_line(std::string_view text) {
  std::string line;
  for (char c : text) {
    if (c == '\n' && !line.empty() && line.back() != ':' && line.back() != ';') {
      while (!line.empty() && line.back() == ' ') line.pop_back();
      if (!line.empty() && line.back() == '.') line.pop_back();
      line += "; ";
    } else if (c == '\n' || c == '\t' || c == ' ') {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line += c;
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '.' || line.back() == ';')) line.pop_back();
  constexpr std::size_t kMax = 600;
  if (line.size() > kMax) {
    std::size_t cut = kMax;
    while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0) == 0x80) --cut;
    line.resize(cut);
    line += "…";
  }
  return line;
}

}  // namespace

Error error_from(std::string_view message) {
  Error error{Code::kInvalid, ""};
  const std::size_t kind_end = message.find(" Error: ");
  if (kind_end < 40) {  // else it is a sentence that speaks of errors, or has none (npos)
    const std::string_view kind = message.substr(0, kind_end + 8);
    for (const ErrorKind& known : kErrorKinds)
      if (known.prefix == kind) error.code = known.code;
    message.remove_prefix(kind.size());
  }
  if (error.code == Code::kInvalid && contains(message, "column") && contains(message, "not found"))
    error.code = Code::kNotFound;
  std::string place;
  // A CSV reader's message lists all of its settings; of these only the file is told.
  if (const std::size_t file = message.find("\n  file = "); file != std::string_view::npos) {
    const std::string_view rest = message.substr(file + 10);
    place = " in file " + std::string(rest.substr(0, rest.find('\n')));
    message = message.substr(0, file);
  }
  // Behind the sentence stands the line with a caret under the place: "LINE 1: SELECT x FORM y\n      ^".
  if (const std::size_t line = message.find("\n\nLINE "); line != std::string_view::npos) {
    const std::string_view tail = message.substr(line + 7);
    place += " in line " + one_line(tail.substr(0, tail.find('\n')));
    message = message.substr(0, line);
  }
  // Advice that is for those who may change settings.
  for (std::string_view advice : {"\nPossible solutions", "\nTry ", "\n\nColumn ", "\nSee also"})
    message = message.substr(0, message.find(advice));
  error.message = one_line(message) + place;
  return error;
}

std::string quote_name(std::string_view name) {
  std::string text = "\"";
  for (char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + "\"";
}

std::string quote_text(std::string_view text) {
  std::string quoted = "'";
  for (char c : text) quoted.append(c == '\'' ? 2 : 1, c);
  return quoted + "'";
}

// --- Database ---

struct Database::Handle {
  duckdb_database database = nullptr;
  ~Handle() { duckdb_close(&database); }
};

struct Connection::Handle {
  duckdb_connection connection = nullptr;
  ~Handle() { duckdb_disconnect(&connection); }
};

Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

namespace {

std::string list_of(const std::vector<std::filesystem::path>& paths) {
  std::string list = "[";
  for (const auto& path : paths) {
    if (list.size() > 1) list += ", ";
    list += quote_text(path.string());
  }
  return list + "]";
}

}  // namespace

Result<Database> Database::open(const DatabaseOptions& options) {
  Database database;
  database.handle_ = std::make_unique<Handle>();
  duckdb_config config = nullptr;
  if (duckdb_create_config(&config) == DuckDBError) return Error{Code::kInternal, "DuckDB does not start"};
  bool known = true;
  auto set = [&](const char* name, const std::string& value) {
    known = known && duckdb_set_config(config, name, value.c_str()) == DuckDBSuccess;
  };
  set("memory_limit", std::to_string(options.memory_bytes_max) + "B");
  set("threads", std::to_string(std::max(1u, options.threads)));
  set("temp_directory", options.spill.string());
  set("autoinstall_known_extensions", "false");
  set("autoload_known_extensions", "false");
  set("allow_community_extensions", "false");
  set("allow_unsigned_extensions", "false");
  set("allow_persistent_secrets", "false");
  // What was once read of a file is read anew: a file that changed within one tick of its clock must not be mixed up.
  set("enable_external_file_cache", "false");
  char* why = nullptr;
  const bool opened = known && duckdb_open_ext(nullptr, &database.handle_->database, config, &why) == DuckDBSuccess;
  duckdb_destroy_config(&config);
  if (!opened) {
    Error error{Code::kInternal, "DuckDB does not open: " + std::string(why == nullptr ? "an unknown option" : why)};
    if (why != nullptr) duckdb_free(why);
    return error;
  }
  Connection connection = TRY(database.connect());
  TRY(connection.execute("SET GLOBAL TimeZone = 'UTC'"));
  TRY(connection.execute("SET GLOBAL allowed_directories = " + list_of(options.directories)));
  TRY(connection.execute("SET GLOBAL allowed_paths = " + list_of(options.files)));
  TRY(connection.execute("SET GLOBAL enable_external_access = false"));
  TRY(connection.execute("SET GLOBAL lock_configuration = true"));
  return database;
}

Result<Connection> Database::connect() {
  Connection connection;
  if (duckdb_connect(handle_->database, &connection.handle_->connection) == DuckDBError)
    return Error{Code::kInternal, "DuckDB gives no connection"};
  return connection;
}

// --- Connection ---

Connection::Connection() : handle_(std::make_unique<Handle>()) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Status Connection::execute(const std::string& sql) {
  duckdb_result result;
  const duckdb_state state = duckdb_query(handle_->connection, sql.c_str(), &result);
  Status status;
  if (state == DuckDBError) {
    const char* message = duckdb_result_error(&result);
    status = error_from(message == nullptr ? "no message" : message);
  }
  duckdb_destroy_result(&result);
  return status;
}

void Connection::interrupt() { duckdb_interrupt(handle_->connection); }

double Connection::progress() {
  const double percent = duckdb_query_progress(handle_->connection).percentage;
  return percent < 0 ? -1 : percent / 100;
}

// --- Statement ---

struct Statement::Handle {
  duckdb_prepared_statement statement = nullptr;
  ~Handle() { duckdb_destroy_prepare(&statement); }
};

Statement::Statement() : handle_(std::make_unique<Handle>()) {}
Statement::Statement(Statement&&) noexcept = default;
Statement& Statement::operator=(Statement&&) noexcept = default;
Statement::~Statement() = default;

Result<Statement> Connection::prepare(const std::string& sql) {
  // The C API takes the SQL up to its first zero byte; what follows would go unseen.
  if (sql.find('\0') != std::string::npos) return Error{Code::kInvalid, "the SQL has a zero byte in it"};
  Statement statement;
  if (duckdb_prepare(handle_->connection, sql.c_str(), &statement.handle_->statement) == DuckDBError) {
    const char* message = duckdb_prepare_error(statement.handle_->statement);
    return error_from(message == nullptr ? "the SQL cannot be prepared" : message);
  }
  return statement;
}

std::size_t Statement::params() const { return duckdb_nparams(handle_->statement); }

std::vector<ColumnType> Statement::columns() const {
  std::vector<ColumnType> columns;
  const idx_t count = duckdb_prepared_statement_column_count(handle_->statement);
  for (idx_t i = 0; i < count; ++i) {
    const char* name = duckdb_prepared_statement_column_name(handle_->statement, i);
    LogicalType type(duckdb_prepared_statement_column_logical_type(handle_->statement, i));
    columns.push_back(column_type(name == nullptr ? "" : name, type));
    if (name != nullptr) duckdb_free(const_cast<char*>(name));
  }
  return columns;
}

// --- Rows ---

struct Rows::Handle {
  duckdb_result result{};
  bool has_result = false;
  duckdb_arrow_options options = nullptr;
  std::vector<ColumnType> columns;
  std::vector<LogicalType> types;
  IntervalCheck intervals;
  ~Handle() {
    if (options != nullptr) duckdb_destroy_arrow_options(&options);
    if (has_result) duckdb_destroy_result(&result);
  }
};

Rows::Rows() : handle_(std::make_unique<Handle>()) {}
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

const std::vector<ColumnType>& Rows::columns() const { return handle_->columns; }

namespace {

duckdb_state bind(duckdb_prepared_statement statement, idx_t index, const Value& value) {
  struct Binder {
    duckdb_prepared_statement statement;
    idx_t index;
    duckdb_state operator()(std::monostate) const { return duckdb_bind_null(statement, index); }
    duckdb_state operator()(bool value) const { return duckdb_bind_boolean(statement, index, value); }
    duckdb_state operator()(std::int64_t value) const { return duckdb_bind_int64(statement, index, value); }
    duckdb_state operator()(double value) const { return duckdb_bind_double(statement, index, value); }
    duckdb_state operator()(const std::string& value) const {
      return duckdb_bind_varchar_length(statement, index, value.data(), value.size());
    }
  };
  return std::visit(Binder{statement, index}, value);
}

Status status_of(duckdb_error_data error) {
  Status status;
  if (error != nullptr && duckdb_error_data_has_error(error)) status = error_from(duckdb_error_data_message(error));
  if (error != nullptr) duckdb_destroy_error_data(&error);
  return status;
}

}  // namespace

Result<Rows> Statement::run(const std::vector<Value>& values) {
  duckdb_prepared_statement statement = handle_->statement;
  if (values.size() != params())
    return Error{Code::kInvalid, "parameters given: " + std::to_string(values.size()) +
                                     ", placeholders in the SQL: " + std::to_string(params())};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (bind(statement, i + 1, values[i]) == DuckDBError)
      return Error{Code::kInvalid, "parameter " + std::to_string(i + 1) + " cannot be bound"};
  }
  Rows rows;
  Rows::Handle& to = *rows.handle_;
  // Streaming, so that a result larger than memory, or than the reader's limit, is never held whole.
  duckdb_pending_result pending = nullptr;
  if (duckdb_pending_prepared_streaming(statement, &pending) == DuckDBError) {
    const char* message = duckdb_pending_error(pending);
    Error error = error_from(message == nullptr ? "the SQL cannot be run" : message);
    duckdb_destroy_pending(&pending);
    return error;
  }
  const duckdb_state state = duckdb_execute_pending(pending, &to.result);
  to.has_result = true;
  duckdb_destroy_pending(&pending);
  if (state == DuckDBError) {
    const char* message = duckdb_result_error(&to.result);
    return error_from(message == nullptr ? "the SQL failed" : message);
  }
  to.options = duckdb_result_get_arrow_options(&to.result);
  const idx_t count = duckdb_column_count(&to.result);
  for (idx_t i = 0; i < count; ++i) {
    LogicalType type(duckdb_column_logical_type(&to.result, i));
    to.columns.push_back(column_type(duckdb_column_name(&to.result, i), type));
    to.types.push_back(std::move(type));
  }
  to.intervals = IntervalCheck(to.types);
  return rows;
}

Result<arrow::HeldSchema> Rows::schema() {
  std::vector<duckdb_logical_type> types;
  std::vector<const char*> names;
  for (const LogicalType& type : handle_->types) types.push_back(type.get());
  for (const ColumnType& column : handle_->columns) names.push_back(column.name.c_str());
  arrow::HeldSchema schema;
  TRY(status_of(duckdb_to_arrow_schema(handle_->options, types.data(), names.data(), types.size(), schema.fill())));
  return schema;
}

Result<std::optional<arrow::HeldArray>> Rows::next() {
  struct Chunk {
    duckdb_data_chunk chunk;
    ~Chunk() { duckdb_destroy_data_chunk(&chunk); }
  };
  for (;;) {
    Chunk chunk{duckdb_fetch_chunk(handle_->result)};
    if (chunk.chunk == nullptr) {
      const char* message = duckdb_result_error(&handle_->result);
      if (message != nullptr && *message != '\0') return error_from(message);
      return std::optional<arrow::HeldArray>();
    }
    if (duckdb_data_chunk_get_size(chunk.chunk) == 0) continue;
    TRY(handle_->intervals.check(chunk.chunk));
    arrow::HeldArray array;
    TRY(status_of(duckdb_data_chunk_to_arrow(handle_->options, chunk.chunk, array.fill())));
    return std::optional<arrow::HeldArray>(std::move(array));
  }
}

Result<std::string> Connection::text(const std::string& sql, const std::vector<Value>& values) {
  Statement statement = TRY(prepare(sql));
  Rows rows = TRY(statement.run(values));
  std::optional<arrow::HeldArray> batch = TRY(rows.next());
  if (!batch || (*batch)->n_children < 1) return Error{Code::kInternal, "a statement of our own gave no row"};
  const ArrowArray& column = *(*batch)->children[0];
  const auto* offsets = static_cast<const std::int32_t*>(column.buffers[1]) + column.offset;
  return std::string(static_cast<const char*>(column.buffers[2]) + offsets[0],
                     static_cast<std::size_t>(offsets[1] - offsets[0]));
}

}  // namespace larder::duck
