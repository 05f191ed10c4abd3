#include "server/serve.h"

#include <larder/cache.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "base/try.h"
#include "base/units.h"
#include "net/http_server.h"
#include "net/workers.h"
#include "query/query_cache.h"
#include "server/admission.h"
#include "server/assets.h"
#include "server/config.h"
#include "server/gate.h"
#include "server/history.h"
#include "server/http_front.h"
#include "server/log.h"
#include "server/open_sources.h"

namespace larder::server {
namespace {

constexpr unsigned kQueriesAtOnce = 8;  // in the engine, which shares its own threads among them
constexpr unsigned kQueryWorkers = 64;  // that hold a query: most wait for their turn, or for one asked already
constexpr std::size_t kQueriesWaitingMax = 256;
constexpr std::size_t kChoresWaitingMax = 256;

// Wakes the thread that waits for the end: by SIGINT and SIGTERM, or by the caller's wish.
class Stopper {
 public:
  static Result<Stopper> make(const ServeOptions& options) {
    Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return Error{Code::kIo, "no descriptor for signals can be had"};
    return Stopper(std::move(event), options);
  }
  Stopper(Stopper&&) = default;
  ~Stopper() {
    if (!event_) return;
    stopping_.reset();
    if (signals_) {
      for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
      signal_event = -1;
    }
  }

  // False: the time was over before anybody said stop.
  bool wait_ms(std::int64_t ms) const {
    pollfd waited{event_.get(), POLLIN, 0};
    return ::poll(&waited, 1, static_cast<int>(ms)) > 0;
  }

 private:
  static constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};
  static inline std::atomic<int> signal_event = -1;  // a handler reaches nothing else

  Stopper(Fd event, const ServeOptions& options) : event_(std::move(event)), signals_(options.signals) {
    if (options.stop) stopping_ = std::make_unique<Cancel::Listener>(*options.stop, [fd = event_.get()] { wake(fd); });
    if (!signals_) return;
    signal_event = event_.get();
    struct sigaction action {};
    action.sa_handler = [](int) { wake(signal_event); };
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // a second one ends the process
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }

  static void wake(int fd) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
  }

  Fd event_;
  bool signals_ = false;
  std::array<struct sigaction, 2> before_{};
  std::unique_ptr<Cancel::Listener> stopping_;
};

Result<Config> configure(const ServeOptions& options) {
  Config config = TRY(read_config(options.config));
  if (options.listen) TRY(parse_listen(*options.listen, config.server));
  if (options.store) config.store.path = *options.store;
  return config;
}

Result<Assets> open_assets(const std::filesystem::path& ui_dir) {
  if (!ui_dir.empty()) return Assets::from_folder(ui_dir);
  return Assets(built_in_assets());
}

HistoryPoint point_now(const Clock& clock, const Cache& cache, const query::QueryCache& queries) {
  const Stats store = cache.stats();
  const query::QueryStats asked = queries.stats();
  return {clock.now_ms(), asked.hits, asked.misses, store.entries, store.disk_bytes, asked.saved_ms};
}

bool is_loopback(std::string_view address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

// Where a browser of this machine finds a server that listens there, on all addresses perhaps.
std::string reachable(std::string_view address, const std::string& listening) {
  const std::string port = listening.substr(listening.rfind(':'));
  if (address == "0.0.0.0") return "127.0.0.1" + port;
  if (address == "::") return "[::1]" + port;
  return listening;
}

void print_ready(const std::string& url) {
  std::printf("larder: %s\n", url.c_str());
  std::fflush(stdout);
}

}  // namespace

Status serve(const ServeOptions& options) {
  const Clock& clock = system_clock();
  Log log(options.log_level, log_style_of_stderr());
  const Config config = TRY(configure(options));
  const Stopper stopper = TRY(Stopper::make(options));

  const Assets assets = TRY(open_assets(options.ui_dir));
  const auto files = TRY(open_sources(config));
  Cache cache = TRY(Cache::open(config.store.path, {.size_limit_bytes = config.store.size_bytes}));
  if (const std::uint64_t kept = cache.options().size_limit_bytes; kept != config.store.size_bytes)
    log.event(LogLevel::kWarn, "the store keeps the size it was made with",
              {{"size", format_bytes(kept)}, {"wanted", format_bytes(config.store.size_bytes)}});
  Admission admitted(*files, kQueriesAtOnce);
  query::QueryCache queries(cache, admitted, {});

  net::Workers query_workers(kQueryWorkers, kQueriesWaitingMax);
  net::Workers chores(std::max(2u, std::thread::hardware_concurrency()), kChoresWaitingMax);
  History history;
  HttpFront front(
      {cache, queries, [&] { return files->describe(); }, query_workers, chores, assets, history, log, clock},
      Gate(config.server.address, config.server.hosts),
      {.limits = {config.query.rows_max, config.query.bytes_max, config.query.timeout_ms}});
  const auto http = TRY(net::HttpServer::listen(
      {.address = config.server.address, .port = config.server.port, .body_bytes_max = config.server.body_bytes_max},
      front));

  const std::string url = "http://" + reachable(config.server.address, http->address()) + "/";
  front.set_ready(true);
  log.event(LogLevel::kInfo, "listening", {{"url", url}, {"store", config.store.path.string()}});
  if (!is_loopback(config.server.address))
    log.event(LogLevel::kWarn, "whoever reaches this port may ask everything, as there is no sign-in",
              {{"address", http->address()}});
  options.ready ? options.ready(url) : print_ready(url);

  history.add(point_now(clock, cache, queries));
  while (!stopper.wait_ms(History::kEveryMs)) history.add(point_now(clock, cache, queries));

  // The other way round: no new requests, then those that run, then those who work for them.
  log.event(LogLevel::kInfo, "stopping", {{"connections", std::to_string(http->connections())}});
  front.set_ready(false);
  http->stop(options.drain_ms);
  query_workers.stop();
  chores.stop();
  log.event(LogLevel::kInfo, "stopped");
  return {};
}

}  // namespace larder::server
