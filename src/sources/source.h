// Where rows come from: something that can plan a question, say which version of its data an answer would be true for,
// and run it. The query cache knows sources only through this.
//
// Thread-safe: any number of questions at once. Plain blocking calls with a deadline.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/cancel.h"

namespace larder::sources {

// A value bound to a placeholder ($1, ?). Never spliced into the SQL.
using Param = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

struct Question {
  std::string source;  // the only source whose tables may be read; empty: all that are declared
  std::string sql;
  std::vector<Param> params;
};

// What is known of a question before it runs. Depends on the SQL and the declared sources, not on params or data.
struct Plan {
  std::string normal_sql;          // the same for statements that differ in layout, comments or letter case only
  std::vector<std::string> reads;  // names of the sources it reads, sorted, each once
  bool repeatable = true;          // false: random(), now() and the like; an answer may not be kept
};

struct Limits {
  std::uint64_t rows_max = 0;   // more is kTooLarge; 0: no limit
  std::uint64_t bytes_max = 0;  // of the answer as Arrow; more is kTooLarge; 0: no limit
  std::int64_t timeout_ms = 0;  // longer is kTimeout; 0: no limit
};

struct Answer {
  std::string arrow;  // the whole result as an Arrow IPC stream, exact types
  std::uint64_t rows = 0;
  std::string version;  // of the data that was read, as version() gives it
};

class Source {
 public:
  virtual ~Source() = default;

  // kInvalid: the SQL is wrong, says where. kDenied: it does or reads what it may not. kNotFound: an unknown source,
  // table or column. kTimeout, kCancelled, kUnavailable, kIo as they happen.
  virtual Result<Plan> plan(const Question& question) = 0;

  // A stamp that changes whenever an answer to this plan could. Cheap (a stat a file): it is asked at every hit.
  virtual Result<std::string> version(const Plan& plan) = 0;

  // Runs it. The version is that of the data read; data that changes while it is read is read again.
  virtual Result<Answer> run(const Question& question, const Plan& plan, const Limits& limits,
                             const Cancel& cancel) = 0;
};

}  // namespace larder::sources
