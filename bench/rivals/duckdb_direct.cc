// duckdb_direct DATABASE_SQL QUESTION REPEATS: DuckDB asked directly, in this process, without a cache: what a program
// pays that opens its data once and asks every time. Runs DATABASE_SQL once, then QUESTION, and prints one line of JSON
// a time: {"ms": what the question took, all its rows read, "rows": how many}.
#include <duckdb.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

[[noreturn]] void die(const char* what, const char* why) {
  std::fprintf(stderr, "duckdb_direct: %s: %s\n", what, why != nullptr ? why : "refused");
  std::exit(1);
}

// Asks and reads every row, chunk by chunk.
std::uint64_t ask(duckdb_connection connection, const char* sql) {
  duckdb_result result;
  if (duckdb_query(connection, sql, &result) != DuckDBSuccess) die(sql, duckdb_result_error(&result));
  std::uint64_t rows = 0;
  while (duckdb_data_chunk chunk = duckdb_fetch_chunk(result)) {
    rows += duckdb_data_chunk_get_size(chunk);
    duckdb_destroy_data_chunk(&chunk);
  }
  duckdb_destroy_result(&result);
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) die("usage", "duckdb_direct DATABASE_SQL QUESTION REPEATS");
  duckdb_database database = nullptr;
  duckdb_connection connection = nullptr;
  if (duckdb_open(nullptr, &database) != DuckDBSuccess) die("open", nullptr);
  if (duckdb_connect(database, &connection) != DuckDBSuccess) die("connect", nullptr);
  ask(connection, argv[1]);
  for (int left = std::atoi(argv[3]); left > 0; --left) {
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t rows = ask(connection, argv[2]);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    std::printf("{\"ms\": %.4f, \"rows\": %llu}\n", took.count(), static_cast<unsigned long long>(rows));
  }
  duckdb_disconnect(&connection);
  duckdb_close(&database);
  return 0;
}
