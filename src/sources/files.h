// Files as tables: Parquet, CSV and JSON files of one machine, read in place by DuckDB.
//
//   auto files = FilesSource::open({.places = {{.name = "flights", .path = "data/*.parquet"}}});
//   Plan plan = TRY((*files)->plan({.sql = "SELECT origin, avg(delay) FROM flights GROUP BY ALL"}));
//
// Each place is one table, named as it is declared. Its files are looked up anew at every question, so files may come,
// go and change at any time; an answer is always of one state of them. Several places may be joined.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/render.h"
#include "sources/source.h"

namespace larder::sources {

enum class Format { kParquet, kCsv, kJson };

// "parquet", "csv", "json"; nullopt: none of them.
std::optional<Format> format_named(std::string_view name);
std::string_view format_name(Format format);

struct Place {
  std::string name;              // of the table: letters, digits and _, not a digit first; at most 64, case ignored
  std::filesystem::path path;    // a file, a glob (* ? [a-z] in any part, ** for folders of any depth) or a directory,
                                 // whose files of the format are taken, at any depth; links may not lead out of it
  std::optional<Format> format;  // default: by the ending of the path (.parquet .pq .csv .tsv .json .ndjson .jsonl,
                                 // also with .gz or .zst where the format has it)
};

// What a reader of `GET /api/v1/sources` sees.
struct Description {
  std::string name;
  std::string kind = "files";
  std::string format;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::string version;
  std::vector<arrow::ColumnInfo> columns;
  std::string error;  // why it cannot be read now; else empty
};

class FilesSource final : public Source {
 public:
  struct Options {
    std::vector<Place> places;
    std::uint64_t memory_bytes_max = std::uint64_t{2} << 30;  // DuckDB's memory_limit
    unsigned threads = 2;                                     // for all questions together
    std::filesystem::path spill;      // directory for what does not fit in memory; empty: such a question fails
    std::function<void()> when_read;  // for tests: called between reading the files and looking whether they changed
  };

  // kInvalid: a name or a path that cannot be; says which. Files need not be there yet.
  static Result<std::unique_ptr<FilesSource>> open(const Options& options);
  ~FilesSource() override;

  Result<Plan> plan(const Question& question) override;
  Result<std::string> version(const Plan& plan) override;
  Result<Answer> run(const Question& question, const Plan& plan, const Limits& limits, const Cancel& cancel) override;

  // In the order of declaration. Opens the files of each to learn its columns (kept until they change).
  std::vector<Description> describe();

  // How many states of files are kept for questions, one a place that was asked for, and more while older ones are
  // read.
  std::size_t states() const;

 private:
  class Impl;
  explicit FilesSource(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::sources
