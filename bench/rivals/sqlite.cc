// SQLite as DiskCache and many programs use it: one table with the key as primary key, WAL, synchronous NORMAL,
// statements prepared once, every write a transaction of its own. A connection for each thread.
#include <sqlite3.h>

#include <utility>

#include "../system.h"

namespace bench {
namespace {

class Connection {
 public:
  explicit Connection(const Place& place) {
    const auto path = (place.dir / "cache.db").string();
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) fail("open");
    sqlite3_busy_timeout(db_, 60'000);
    for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA mmap_size = 8589934592",
                            "PRAGMA cache_size = -65536",
                            "CREATE TABLE IF NOT EXISTS cache (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"}) {
      if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
    }
    get_ = prepare("SELECT value FROM cache WHERE key = ?");
    set_ = prepare("INSERT OR REPLACE INTO cache VALUES (?, ?)");
  }
  Connection(Connection&& other) noexcept
      : db_(std::exchange(other.db_, nullptr)),
        get_(std::exchange(other.get_, nullptr)),
        set_(std::exchange(other.set_, nullptr)) {}
  ~Connection() {
    sqlite3_finalize(get_);
    sqlite3_finalize(set_);
    sqlite3_close(db_);
  }

  bool get(std::string_view key, std::string& value) {
    bind(get_, 1, key);
    const int status = sqlite3_step(get_);
    if (status == SQLITE_ROW) {
      value.assign(static_cast<const char*>(sqlite3_column_blob(get_, 0)),
                   static_cast<std::size_t>(sqlite3_column_bytes(get_, 0)));
    } else if (status != SQLITE_DONE) {
      fail("get");
    }
    sqlite3_reset(get_);
    return status == SQLITE_ROW;
  }
  void set(std::string_view key, std::string_view value) {
    bind(set_, 1, key);
    bind(set_, 2, value);
    if (sqlite3_step(set_) != SQLITE_DONE) fail("set");
    sqlite3_reset(set_);
  }
  void checkpoint() { sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr); }

 private:
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) fail(sql);
    return statement;
  }
  static void bind(sqlite3_stmt* statement, int at, std::string_view bytes) {
    sqlite3_bind_blob(statement, at, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
  }
  [[noreturn]] void fail(const char* what) { die(std::string("sqlite: ") + what + ": " + sqlite3_errmsg(db_)); }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* set_ = nullptr;
};

class Database final : public Store {
 public:
  explicit Database(const Place& place) : place_(place), first_(place) {}
  std::unique_ptr<Worker> worker() override { return each_worker(Connection(place_)); }
  void settle() override { first_.checkpoint(); }

 private:
  const Place place_;
  Connection first_;  // creates the table before threads need it
};

const Register registered{{
    .name = "sqlite",
    .order = 3,
    .open = [](const Place& place) -> std::unique_ptr<Store> { return std::make_unique<Database>(place); },
}};

}  // namespace
}  // namespace bench
