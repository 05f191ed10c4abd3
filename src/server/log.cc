// spdlog filters, locks and writes; the lines are made here, as its patterns know no JSON.
#include "server/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/ostream_sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <ctime>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/units.h"
#include "wire/http.h"

namespace larder::server {
namespace {

// Standard error, written by a thread of its own a few times a second, all that came meanwhile at once: a request pays
// an append, and whoever reads the log slowly, or not at all, holds up nobody. Lines that find no room are counted, and
// the count is a line. A crash may lose what came in the last moments; an end does not.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit StderrSink(LogStyle style) : style_(style), thread_([this] { run(); }) {}
  ~StderrSink() override {
    {
      MutexLock lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    MutexLock lock(mutex_);
    if (waiting_.size() + message.payload.size() > kWaitingBytesMax) {
      ++lost_;
      return;
    }
    const bool first = waiting_.empty();
    waiting_.append(message.payload.data(), message.payload.size()).append("\n");
    if (first) wake_.notify_all();
  }
  void flush_() override {}

 private:
  static constexpr std::size_t kWaitingBytesMax = 4 << 20;
  static constexpr std::chrono::milliseconds kPause{20};

  void run() {
    std::string lines;
    for (bool last = false; !last;) {
      std::uint64_t lost = 0;
      {
        MutexLock lock(mutex_);
        while (waiting_.empty() && !stopped_) wake_.wait(lock.native());
        lines.swap(waiting_);
        lost = std::exchange(lost_, 0);
        last = stopped_;
      }
      if (lost > 0)
        lines += style_ == LogStyle::kText
                     ? "  " + std::to_string(lost) + " lines were lost, as nobody read them in time\n"
                     : "{\"level\":\"warn\",\"event\":\"lines lost\",\"lines\":" + std::to_string(lost) + "}\n";
      write_all(lines);
      lines.clear();
      if (!last) pause();
    }
  }

  void pause() {
    MutexLock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + kPause;
    while (!stopped_ && wake_.wait_until(lock.native(), until) == std::cv_status::no_timeout) {
    }
  }

  static void write_all(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
      if (written < 0 && errno != EINTR) return;  // nobody can be told that the log cannot be written
      if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const LogStyle style_;
  Mutex mutex_;
  Condition wake_;
  std::string waiting_ LARDER_GUARDED_BY(mutex_);
  std::uint64_t lost_ LARDER_GUARDED_BY(mutex_) = 0;
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error", "off"};
constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                 spdlog::level::err, spdlog::level::off};

std::string_view name_of(LogLevel level) { return kLevelNames[static_cast<std::size_t>(level)]; }
spdlog::level::level_enum level_of(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

template <typename Number>
void append_number(std::string& out, Number number) {
  std::array<char, 32> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

void append_ms(std::string& out, double ms) {
  std::array<char, 64> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), ms, std::chars_format::fixed, 3).ptr);
}

// "2026-01-31T12:00:00.123Z", or of that only the time of day. All but the milliseconds is made once a second.
void append_time(std::string& out, bool date) {
  thread_local std::time_t made_for = -1;
  thread_local std::array<char, 32> text;  // "2026-01-31T12:00:00."
  const std::int64_t now_ms = system_clock().now_ms();
  const std::time_t second = now_ms / 1000;
  if (second != made_for) {
    std::tm parts{};
    ::gmtime_r(&second, &parts);
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
    made_for = second;
  }
  const std::int64_t ms = now_ms % 1000;
  out.append(text.data() + (date ? 0 : 11));
  for (const std::int64_t unit : {100, 10, 1}) out += static_cast<char>('0' + ms / unit % 10);
  if (date) out += 'Z';
}

// A stranger's text on a terminal: no control may move the cursor.
void append_plain(std::string& out, std::string_view text) {
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out.append(",\"").append(name).append("\":");
  const bool plain =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain)
    out.append("\"").append(value).append("\"");
  else
    out.append(wire::json_string(value));
}

}  // namespace

LogStyle log_style_of_stderr() { return ::isatty(STDERR_FILENO) != 0 ? LogStyle::kText : LogStyle::kJson; }

class Log::Impl {
 public:
  Impl(std::string_view level, LogStyle style, std::ostream* out) : style_(style), logger_("larder", sink(style, out)) {
    logger_.set_pattern("%v");
    logger_.set_level(spdlog::level::info);
    for (std::size_t i = 0; i < std::size(kLevelNames); ++i)
      if (kLevelNames[i] == level) logger_.set_level(kLevels[i]);
  }

  bool wants(LogLevel level) const { return logger_.should_log(level_of(level)); }

  void request(const Request& request) {
    if (!wants(request.level)) return;
    std::string line;
    line.reserve(320);
    if (style_ == LogStyle::kText) {
      append_time(line, false);
      append_number(line.append("  "), request.status);
      append_plain(line.append("  ").append(request.method).append(" "), request.path);
      if (!request.cache.empty()) line.append("  ").append(request.cache);
      line.append("  ").append(format_duration(request.ms)).append("  ").append(format_bytes(request.bytes));
      if (!request.code.empty()) line.append("  ").append(request.code);
      if (!request.message.empty()) append_plain(line.append(": "), request.message);
      line.append("  ").append(request.id);
    } else {
      begin_json(line, request.level, "request");
      append_field(line, "id", request.id);
      append_field(line, "peer", request.peer);
      append_field(line, "method", request.method);
      append_field(line, "path", request.path);
      append_number(line.append(",\"status\":"), request.status);
      append_ms(line.append(",\"ms\":"), request.ms);
      append_number(line.append(",\"bytes\":"), request.bytes);
      append_field(line, "cache", request.cache);
      append_field(line, "code", request.code);
      append_field(line, "message", request.message);
      line += '}';
    }
    write(request.level, line);
  }

  void event(LogLevel level, std::string_view event, Fields fields) {
    if (!wants(level)) return;
    std::string line;
    if (style_ == LogStyle::kText) {
      append_time(line, false);
      if (level != LogLevel::kInfo) line.append("  ").append(name_of(level));
      line.append("  ").append(event);
      for (const auto& [name, value] : fields) append_plain(line.append("  ").append(name).append("="), value);
    } else {
      begin_json(line, level, event);
      for (const auto& [name, value] : fields) append_field(line, name, value);
      line += '}';
    }
    write(level, line);
  }

 private:
  static spdlog::sink_ptr sink(LogStyle style, std::ostream* out) {
    if (out != nullptr) return std::make_shared<spdlog::sinks::ostream_sink_mt>(*out, true);
    return std::make_shared<StderrSink>(style);
  }

  static void begin_json(std::string& line, LogLevel level, std::string_view event) {
    append_time(line.append("{\"time\":\""), true);
    line += '"';
    append_field(line, "level", name_of(level));
    append_field(line, "event", event);
  }

  void write(LogLevel level, const std::string& line) {
    logger_.log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
  }

  const LogStyle style_;
  spdlog::logger logger_;
};

Log::Log(std::string_view level, LogStyle style, std::ostream* out)
    : impl_(std::make_unique<Impl>(level, style, out)) {}
Log::~Log() = default;
bool Log::wants(LogLevel level) const { return impl_->wants(level); }
void Log::request(const Request& request) { impl_->request(request); }
void Log::event(LogLevel level, std::string_view event, Fields fields) { impl_->event(level, event, fields); }

}  // namespace larder::server
