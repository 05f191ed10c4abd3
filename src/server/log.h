// What the server says of itself on standard error: a line an answer, a line an event. As JSON, one object a line, for
// machines; as text at a terminal.
//
// No line holds a value, a parameter or a key of an entry: a log is read by more people than the data.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace larder::server {

enum class LogStyle { kJson, kText };
enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

// Text when standard error is a terminal.
LogStyle log_style_of_stderr();

class Log {
 public:
  struct Request {
    LogLevel level = LogLevel::kInfo;
    std::string_view id;
    std::string_view peer;
    std::string_view method;
    std::string_view path;  // without query; a route's pattern where the path names an entry
    int status = 0;
    double ms = 0;
    std::uint64_t bytes = 0;
    std::string_view cache;    // "hit", "miss", "shared"; else empty
    std::string_view code;     // of an error; else empty
    std::string_view message;  // of an error that an operator must see; else empty
  };
  using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // `level`: debug, info, warn, error, off; anything else is info. `out` in place of standard error must outlive this.
  Log(std::string_view level, LogStyle style, std::ostream* out = nullptr);
  ~Log();

  // Any thread.
  bool wants(LogLevel level) const;
  void request(const Request& request);
  void event(LogLevel level, std::string_view event, Fields fields = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::server
