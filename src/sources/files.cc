// One engine, no table of its own: each place is a view over an explicit list of files, in a schema named for one
// version of that list. A question's search path is the schemas of the versions it began with, so that a view never
// changes under a question, and no other place can be named. When the files have changed, the next question makes a new
// schema, and the old goes with the last question that uses it.
//
// Links are followed within what is declared, and where a declared path itself is one; a link out of it is refused.
//
// The files themselves may still change while they are read. Their stamps are taken before and after; when they differ,
// what was read is thrown away and read again.
#include "sources/files.h"
#include "digest/sha256.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "arrow/writer.h"
#include "base/mutex.h"
#include "base/nearest.h"
#include "base/try.h"
#include "duck/duck.h"
#include "duck/sql_guard.h"
#include "duck/watch.h"
#include "sources/find_files.h"

namespace larder::sources {
namespace {

namespace fs = std::filesystem;

struct FormatRow {
  Format format;
  std::string_view name;
  std::string_view function;
  std::vector<std::string_view> endings;
};

const std::array<FormatRow, 3>& formats() {
  static const std::array<FormatRow, 3> rows = {{
      {Format::kParquet, "parquet", "read_parquet", {".parquet", ".pq"}},
      {Format::kCsv, "csv", "read_csv", {".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"}},
      {Format::kJson,
       "json",
       "read_json",
       {".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz", ".jsonl.gz", ".json.zst", ".ndjson.zst", ".jsonl.zst"}},
  }};
  return rows;
}

const FormatRow& row_of(Format format) { return formats()[static_cast<std::size_t>(format)]; }

std::optional<Format> format_by_ending(const std::string& path) {
  for (const FormatRow& row : formats())
    for (std::string_view ending : row.endings)
      if (path.size() > ending.size() && path.compare(path.size() - ending.size(), ending.size(), ending) == 0)
        return row.format;
  return std::nullopt;
}

bool is_name(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= 64 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// DuckDB takes every path for a glob; a letter in brackets stands for itself.
std::string literal(const std::string& path) {
  std::string out;
  for (char c : path) {
    if (c == '*' || c == '?' || c == '[')
      out.append("[").append(1, c).append("]");
    else
      out += c;
  }
  return out;
}

// A file that was written this very moment may be written again within the same tick of the file system's clock, and
// nobody could tell. So what is that young is let grow older before it is read.
void let_settle(const std::vector<FileStamp>& files) {
  constexpr std::int64_t kTickNs = 20'000'000;
  constexpr std::int64_t kAheadNs = 1'000'000'000;  // another machine's clock may be so far ahead
  std::int64_t newest = 0;
  for (const FileStamp& file : files) newest = std::max(newest, file.modified_ns);
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::int64_t age = now - newest;
  if (age > -kAheadNs && age < kTickNs) std::this_thread::sleep_for(std::chrono::nanoseconds(kTickNs - age));
}

}  // namespace

std::optional<Format> format_named(std::string_view name) {
  for (const FormatRow& row : formats())
    if (row.name == name) return row.format;
  return std::nullopt;
}

std::string_view format_name(Format format) { return row_of(format).name; }

class FilesSource::Impl {
 public:
  Impl(duck::Database database, std::function<void()> when_read)
      : when_read_(std::move(when_read)), database_(std::move(database)) {}
  ~Impl() {
    for (auto& table : tables_) {
      MutexLock lock(table->mutex);
      table->view.reset();
    }
  }

  // One place as declared.
  void add(const Place& place, Format format) {
    auto table = std::make_unique<Table>();
    table->name = place.name;
    table->path = place.path;
    table->format = format;
    tables_.push_back(std::move(table));
  }

  Result<Plan> plan(const Question& question) {
    duck::Checked checked = TRY(check(question));
    return Plan{std::move(checked.normal), std::move(checked.tables), checked.repeatable};
  }

  Result<std::string> version(const std::vector<std::string>& reads) {
    const State state = TRY(state_of(reads));
    return state.version;
  }

  Result<Answer> run(const Question& question, const Plan& plan, const Limits& limits, const Cancel& cancel) {
    const duck::Checked checked = TRY(check(question));  // the plan is only what the caller says
    if (checked.normal != plan.normal_sql) return Error{Code::kInvalid, "the plan is of another question"};
    if (checked.params != question.params.size())
      return Error{Code::kInvalid, "parameters given: " + std::to_string(question.params.size()) +
                                       ", placeholders in the SQL: " + std::to_string(checked.params)};
    Loan connection = TRY(borrow());
    duck::Watch watch(*connection, cancel, limits.timeout_ms);
    constexpr int kAttempts = 5;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      State state = TRY(state_of(checked.tables));
      for (const auto& files : state.files) let_settle(files);
      Result<Answer> answer = ask(*connection, question, checked, state, limits, watch);
      if (auto stopped = watch.stopped(); stopped && !answer.ok()) return *std::move(stopped);
      if (when_read_) when_read_();
      Result<State> after = state_of(checked.tables);
      if (after.ok() && after->version == state.version) {
        if (answer.ok()) answer->version = state.version;
        return answer;
      }
      if (!after.ok() && !answer.ok()) return std::move(after).error();
    }
    return Error{Code::kUnavailable, "the files of " + list_of(checked.tables) + " changed while they were read, " +
                                         std::to_string(kAttempts) + " times in a row"};
  }

  std::vector<Description> describe() {
    std::vector<Description> all;
    for (auto& table : tables_) {
      Description& one = all.emplace_back();
      one.name = table->name;
      one.format = format_name(table->format);
      Result<std::vector<FileStamp>> files = find(*table);
      if (!files.ok()) {
        one.error = files.error().message;
        continue;
      }
      one.files = files->size();
      for (const FileStamp& file : *files) one.bytes += file.bytes;
      one.version = version_of(*files);
      let_settle(*files);
      Result<std::shared_ptr<View>> view = view_of(*table, *files);
      if (view.ok())
        one.columns = (*view)->columns;
      else
        one.error = view.error().message;
    }
    return all;
  }

  std::size_t states() const { return states_; }

 private:
  // A schema with one view, over one state of a place's files. Goes, and takes its schema along, with its last user.
  struct View {
    Impl* impl = nullptr;
    std::string schema;
    std::string version;
    std::vector<arrow::ColumnInfo> columns;
    ~View() {
      if (impl->drop(schema)) --impl->states_;
    }
  };

  struct Table {
    std::string name;
    fs::path path;
    Format format = Format::kParquet;
    Mutex mutex;
    std::shared_ptr<View> view LARDER_GUARDED_BY(mutex);  // of the state that was asked for last
  };

  // The files of several places at one moment.
  struct State {
    std::vector<Table*> tables;
    std::vector<std::vector<FileStamp>> files;
    std::string version;
  };

  // A connection from the pool, given back when it goes.
  class Loan {
   public:
    Loan(Impl& impl, std::unique_ptr<duck::Connection> connection) : impl_(&impl), connection_(std::move(connection)) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&&) = delete;
    ~Loan() {
      if (connection_ != nullptr) impl_->give_back(std::move(connection_));
    }
    duck::Connection& operator*() { return *connection_; }
    duck::Connection* operator->() { return connection_.get(); }

   private:
    Impl* impl_;
    std::unique_ptr<duck::Connection> connection_;
  };

  Result<Loan> borrow() {
    {
      MutexLock lock(pool_mutex_);
      if (!pool_.empty()) {
        std::unique_ptr<duck::Connection> connection = std::move(pool_.back());
        pool_.pop_back();
        return Loan(*this, std::move(connection));
      }
    }
    return Loan(*this, std::make_unique<duck::Connection>(TRY(database_.connect())));
  }

  void give_back(std::unique_ptr<duck::Connection> connection) {
    constexpr std::size_t kKept = 16;
    MutexLock lock(pool_mutex_);
    if (pool_.size() < kKept) pool_.push_back(std::move(connection));
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& table : tables_) all.push_back(table->name);
    return all;
  }

  static std::string list_of(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "'" : ", '") + name + "'";
    return list;
  }

  Result<Table*> table_named(std::string_view name) {
    for (auto& table : tables_)
      if (table->name == name) return table.get();
    const std::vector<std::string> all = names();
    const std::vector<std::string_view> views(all.begin(), all.end());
    return Error{Code::kNotFound, "there is no source '" + std::string(name) + "'" + did_you_mean(name, views)};
  }

  Result<duck::Checked> check(const Question& question) {
    std::vector<std::string> visible = names();
    if (!question.source.empty()) {
      TRY(table_named(question.source));
      visible = {question.source};
    }
    Loan connection = TRY(borrow());
    return duck::check_sql(*connection, question.sql, visible);
  }

  Result<std::vector<FileStamp>> find(const Table& table) {
    Result<std::vector<FileStamp>> files = find_files(table.path, row_of(table.format).endings);
    if (!files.ok()) return std::move(files).error().in("source '" + table.name + "'");
    return files;
  }

  Result<State> state_of(const std::vector<std::string>& reads) {
    State state;
    std::string all;
    for (const std::string& name : reads) {
      Table* table = TRY(table_named(name));
      state.tables.push_back(table);
      state.files.push_back(TRY(find(*table)));
      all += name + '\0' + version_of(state.files.back()) + '\n';
    }
    state.version = sha256_hex(all).substr(0, 32);
    return state;
  }

  bool drop(const std::string& schema) {
    Result<Loan> connection = borrow();
    return connection.ok() &&
           (*connection)->execute("DROP SCHEMA IF EXISTS " + duck::quote_name(schema) + " CASCADE").ok();
  }

  Result<std::shared_ptr<View>> view_of(Table& table, const std::vector<FileStamp>& files) {
    const std::string version = version_of(files);
    MutexLock lock(table.mutex);
    if (table.view != nullptr && table.view->version == version) return table.view;
    Loan connection = TRY(borrow());
    auto view = std::make_shared<View>();
    view->impl = this;
    view->version = version;
    view->schema = "larder_" + std::to_string(++schemas_);
    ++states_;
    std::string list;
    for (const FileStamp& file : files) list += (list.empty() ? "" : ", ") + duck::quote_text(literal(file.path));
    const std::string name = duck::quote_name(view->schema) + "." + duck::quote_name(table.name);
    Status made = connection->execute("CREATE SCHEMA " + duck::quote_name(view->schema));
    if (made.ok())
      made = connection->execute("CREATE VIEW " + name + " AS SELECT * FROM " +
                                 std::string(row_of(table.format).function) + "([" + list + "])");
    if (!made.ok()) return unreadable(std::move(made).error(), "'" + table.name + "'");
    duck::Statement statement = TRY(connection->prepare("SELECT * FROM " + name));
    for (const duck::ColumnType& column : statement.columns()) view->columns.push_back({column.name, column.type});
    table.view = view;
    return view;
  }

  // What is wrong is in the files, whatever DuckDB takes it for.
  static Error unreadable(Error error, const std::string& source) {
    // The SQL that it cites is ours.
    error.message.erase(std::min(error.message.find(" in line 1: CREATE VIEW"), error.message.size()));
    if (error.code == Code::kDenied)
      error.message = "a link leads to a file outside of what is declared: " + error.message;
    else if (error.code != Code::kTooLarge)
      error.code = Code::kUnavailable;
    return std::move(error).in("source " + source);
  }

  // An error of a run is the files' when it names one of them, or speaks of how they are written.
  static Error explained(Error error, const State& state, const std::vector<std::string>& reads) {
    for (std::size_t i = 0; i < state.tables.size(); ++i)
      for (const FileStamp& file : state.files[i])
        if (error.message.find(file.path) != std::string::npos)
          return unreadable(std::move(error), "'" + state.tables[i]->name + "'");
    for (std::string_view word : {"TProtocolException", "TTransportException", "Parquet", "parquet", "Snappy", "ZSTD",
                                  "GZIP", "gzip", "Malformed JSON", "CSV Error"})
      if (!reads.empty() && error.message.find(word) != std::string::npos)
        return unreadable(std::move(error), list_of(reads));
    return error;
  }

  Result<Answer> ask(duck::Connection& connection, const Question& question, const duck::Checked& checked,
                     const State& state, const Limits& limits, duck::Watch& watch) {
    std::vector<std::shared_ptr<View>> views;  // in use until the answer is whole
    std::string path;
    for (std::size_t i = 0; i < state.tables.size(); ++i) {
      views.push_back(TRY(view_of(*state.tables[i], state.files[i])));
      path += (path.empty() ? "" : ",") + views.back()->schema;
    }
    // Nothing of the search path of the connection's last question may stay: its schemas may be gone.
    TRY(connection.execute("SET search_path = '" + (path.empty() ? "main" : path) + "'"));
    if (auto stopped = watch.stopped()) return *std::move(stopped);
    Result<Answer> answer = rows_of(connection, question.sql, question.params, limits, watch, checked.tables, true);
    if (!answer.ok()) return explained(std::move(answer).error(), state, checked.tables);
    return answer;
  }

  // `whole`: a result with a type that Arrow cannot carry whole is asked again, with a cast.
  Result<Answer> rows_of(duck::Connection& connection, const std::string& sql, const std::vector<Param>& params,
                         const Limits& limits, duck::Watch& watch, const std::vector<std::string>& reads, bool whole) {
    duck::Statement statement = TRY(connection.prepare(sql));
    if (whole && has_cast(statement.columns()))
      return cast_rows(connection, statement.columns(), sql, params, limits, watch, reads);
    duck::Rows rows = TRY(statement.run(params));
    if (whole && has_cast(rows.columns())) {  // known only now, with the parameters
      return cast_rows(connection, rows.columns(), sql, params, limits, watch, reads);
    }
    Answer answer;
    arrow::StreamWriter writer(answer.arrow, limits.bytes_max);
    const arrow::HeldSchema schema = TRY(rows.schema());
    TRY(writer.begin(*schema));
    while (auto batch = TRY(rows.next())) {
      if (limits.rows_max != 0 && writer.rows() + static_cast<std::uint64_t>((*batch)->length) > limits.rows_max)
        return Error{Code::kTooLarge, "the answer has more than " + std::to_string(limits.rows_max) +
                                          " rows; ask for fewer with LIMIT, or for a summary"};
      TRY(writer.write(**batch));
      if (auto stopped = watch.stopped()) return *std::move(stopped);
    }
    TRY(writer.end());
    answer.rows = writer.rows();
    return answer;
  }

  static bool has_cast(const std::vector<duck::ColumnType>& columns) {
    return std::any_of(columns.begin(), columns.end(),
                       [](const auto& column) { return column.exact_type.has_value(); });
  }

  Result<Answer> cast_rows(duck::Connection& connection, const std::vector<duck::ColumnType>& columns, std::string sql,
                           const std::vector<Param>& params, const Limits& limits, duck::Watch& watch,
                           const std::vector<std::string>& reads) {
    while (!sql.empty() &&
           (sql.back() == ';' || sql.back() == ' ' || sql.back() == '\n' || sql.back() == '\t' || sql.back() == '\r'))
      sql.pop_back();
    std::string select;
    std::string inner;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::string name = "c" + std::to_string(i);
      inner += (i == 0 ? "" : ", ") + name;
      select += i == 0 ? "SELECT " : ", ";
      select += columns[i].exact_type ? "CAST(" + name + " AS " + *columns[i].exact_type + ")" : name;
      select += " AS " + duck::quote_name(columns[i].name);
    }
    const std::string wrapped = select + " FROM (\n" + sql + "\n) AS answer(" + inner + ")";
    // The text was put into another, so it is looked at once more, as a whole.
    Result<duck::Checked> checked = duck::check_sql(connection, wrapped, reads);
    if (!checked.ok() || checked->tables != reads) {
      for (const duck::ColumnType& column : columns)
        if (column.exact_type)
          return Error{Code::kUnsupported, "column '" + column.name + "' is of the type " + column.type +
                                               "; cast it to " + *column.exact_type};
    }
    return rows_of(connection, wrapped, params, limits, watch, reads, false);
  }

  const std::function<void()> when_read_;
  duck::Database database_;
  std::vector<std::unique_ptr<Table>> tables_;
  std::atomic<std::uint64_t> schemas_{0};  // ever made
  std::atomic<std::size_t> states_{0};     // there now
  Mutex pool_mutex_;
  std::vector<std::unique_ptr<duck::Connection>> pool_ LARDER_GUARDED_BY(pool_mutex_);
};

FilesSource::FilesSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FilesSource::~FilesSource() = default;

Result<std::unique_ptr<FilesSource>> FilesSource::open(const Options& options) {
  duck::DatabaseOptions engine;
  engine.memory_bytes_max = options.memory_bytes_max;
  engine.threads = options.threads;
  engine.spill = options.spill;
  std::vector<std::pair<Place, Format>> places;
  for (Place place : options.places) {
    auto wrong = [&](const std::string& what) { return Error{Code::kInvalid, "source '" + place.name + "': " + what}; };
    if (!is_name(place.name))
      return wrong("a name has letters, digits and _, starts with no digit and has at most 64 of them");
    for (const auto& [other, format] : places)
      if (lower(other.name) == lower(place.name)) return wrong("it is declared twice");
    if (place.path.empty()) return wrong("it has no path");
    std::error_code error;
    const fs::path absolute = fs::absolute(place.path, error).lexically_normal();
    if (error) return wrong(place.path.string() + ": " + error.message());
    place.path = absolute.has_filename() ? absolute : absolute.parent_path();
    const std::optional<Format> format = place.format ? place.format : format_by_ending(place.path.string());
    if (!format)
      return wrong("the ending of " + place.path.string() + " does not tell its format; say parquet, csv or json");
    // DuckDB asks where a link leads, so that what is declared through one is allowed by both names.
    const fs::path root = is_glob(place.path.string()) ? root_of(place.path) : place.path;
    for (const fs::path& path : {root, fs::weakly_canonical(root, error)}) {
      if (path.empty()) continue;
      engine.directories.push_back(path);                    // if it is a directory
      if (root == place.path) engine.files.push_back(path);  // if it is a file
    }
    places.emplace_back(std::move(place), *format);
  }
  auto impl = std::make_unique<Impl>(TRY(duck::Database::open(engine)), options.when_read);
  for (const auto& [place, format] : places) impl->add(place, format);
  return std::unique_ptr<FilesSource>(new FilesSource(std::move(impl)));
}

Result<Plan> FilesSource::plan(const Question& question) { return impl_->plan(question); }
Result<std::string> FilesSource::version(const Plan& plan) { return impl_->version(plan.reads); }
Result<Answer> FilesSource::run(const Question& question, const Plan& plan, const Limits& limits,
                                const Cancel& cancel) {
  return impl_->run(question, plan, limits, cancel);
}
std::vector<Description> FilesSource::describe() { return impl_->describe(); }
std::size_t FilesSource::states() const { return impl_->states(); }

}  // namespace larder::sources
