// Each loop is one thread with an io_context of its own, and a connection stays with its loop for life: all its state
// is touched by that thread alone, without a lock. What comes from elsewhere (an answer made by a worker, a stop) is
// posted to the loop.
//
// A connection never reads ahead into memory that waits: it asks to be told when bytes are there (watch) and then takes
// them without blocking. So an idle connection holds next to no memory, the same watch notices a client that goes away
// while its answer is being made, and parsing never races a read. A request that is answered at once costs one wake-up,
// one read and one gathered write. Deadlines are looked at by one timer a loop, a few times a second; a request pays a
// store. A timer for each connection lost: it is armed and cancelled twice a request and hardly ever fires.
#include "net/http_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <ctime>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace larder::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::size_t kIdleBytes = 2048;      // what an idle connection may hold on to
constexpr std::int64_t kLingerMs = 2000;      // for a client to take a last answer before its connection goes
constexpr std::uint32_t kRefusalsMax = 128;   // connections over the limit that are told so before they go
constexpr std::int64_t kAcceptAgainMs = 100;  // after the system had no descriptor left

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::string_view reason(int status) {
  if (status == 499) return "Client Closed Request";
  return view(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))));
}

// RFC 9110 6.4.1: these have no body, and say no length.
bool bodyless(int status) { return status < 200 || status == 204 || status == 304; }

std::int64_t now_ns() { return system_clock().steady_ns(); }

// The Date line, made once a second. One for each loop.
class DateLine {
 public:
  const std::string& now() {
    const std::time_t second = std::time(nullptr);
    if (second != second_) {
      second_ = second;
      std::tm parts{};
      ::gmtime_r(&second, &parts);
      std::array<char, 64> text{};
      const std::size_t size =
          std::strftime(text.data(), text.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);  // in the C locale
      line_.assign(text.data(), size);
    }
    return line_;
  }

 private:
  std::time_t second_ = 0;
  std::string line_;
};

class Connection;

// What all loops share.
struct Shared {
  HttpOptions options;
  HttpHandler& handler;
  std::atomic<bool> stopping = false;
  std::atomic<std::uint32_t> connections = 0;  // changed under the mutex
  Mutex mutex;
  Condition all_gone;  // connections became 0
};

// One connection in the count, from before its first member is made until after its last is gone.
class Counted {
 public:
  explicit Counted(Shared& shared) : shared_(shared) {
    MutexLock lock(shared_.mutex);
    ++shared_.connections;
  }
  ~Counted() {
    MutexLock lock(shared_.mutex);
    if (--shared_.connections == 0) shared_.all_gone.notify_all();
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  Shared& shared_;
};

struct Loop {
  explicit Loop(Shared& all) : shared(all) {}

  void run_thread() {
    thread = std::thread([this] { io.run(); });
  }
  void sweep();

  // Runs it on the loop; not when the loop has ended. Any thread.
  template <typename F>
  void post(F call) {
    MutexLock lock(mutex);
    if (!ended) asio::post(io, std::move(call));
  }
  // What was posted is still run, then the thread ends.
  void end() {
    MutexLock lock(mutex);
    ended = true;
    asio::post(io, [this] {
      timer.cancel();
      alive.reset();
    });
  }

  bool has_ended() {
    MutexLock lock(mutex);
    return ended;
  }

  Shared& shared;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> alive{io.get_executor()};
  asio::steady_timer timer{io};
  DateLine date;
  std::array<char, 64 * 1024> scratch;  // what is read lies here until its connection has taken it
  // Those that are open; closing takes one out. On the loop's thread only.
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
  Mutex mutex;
  bool ended LARDER_GUARDED_BY(mutex) = false;
  std::thread thread;
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, tcp::socket socket, std::string peer)
      : counted_(loop.shared), loop_(loop), shared_(loop.shared), socket_(std::move(socket)), peer_(std::move(peer)) {}

  Loop& loop() { return loop_; }
  std::string_view peer() const { return peer_; }

  // All that follow: on the loop's thread.
  void start();
  void start_refused();
  void give(HttpAnswer answer);
  void sweep(std::int64_t now);
  void drain();
  void close();

 private:
  enum class State {
    kIdle,       // between requests; the buffer is empty
    kHead,       // part of a request's header is here
    kBody,       // the header is here, the body not whole
    kAnswering,  // the handler has it
    kWriting,    // the answer is on its way
    kLingering,  // the last answer is out; waiting for the client to end too, so that it reads what it was told
    kClosed,
  };
  using Parser = http::request_parser<http::string_body>;

  void watch();
  void readable(const error_code& error);
  void advance();
  bool parse();
  void dispatch();
  void refuse(int status, std::string_view why);
  void begin_write(HttpAnswer answer);
  void write_on();
  void written();
  void linger();
  void set_deadline(std::int64_t ms) { deadline_ns_ = ms == 0 ? 0 : now_ns() + ms * kNsPerMs; }
  // A header and a little: what is parsed leaves, so this bounds what is not yet parsed.
  std::size_t buffer_bytes_max() const { return shared_.options.header_bytes_max + 4096; }

  const Counted counted_;  // first
  Loop& loop_;
  Shared& shared_;
  tcp::socket socket_;
  const std::string peer_;

  State state_ = State::kIdle;
  std::int64_t deadline_ns_ = 0;  // of the state it is in; 0: none
  bool watching_ = false;
  bool eof_ = false;       // the client sends no more
  bool handling_ = false;  // in HttpHandler::handle: an answer waits in early_

  std::string buffer_;  // received, from parsed_ on not yet parsed
  std::size_t parsed_ = 0;
  std::optional<Parser> parser_;
  std::optional<Cancel> cancel_;     // of the exchange the handler has
  std::optional<HttpAnswer> early_;  // given while the handler was still on the stack
  bool head_only_ = false;           // of the request now answered: HEAD,
  bool keep_alive_ = true;           // and whether another may follow
  bool http_1_0_ = false;

  std::string head_;  // of the answer being written, with its body from where it lies
  HttpAnswer answer_;
  std::size_t sent_ = 0;             // of head and body together
  std::int64_t write_began_ns_ = 0;  // when the client first had to be waited for
};

class Request final : public Exchange {
 public:
  Request(std::shared_ptr<Connection> connection, http::request<http::string_body> message, HttpHandler& handler)
      : connection_(std::move(connection)), message_(std::move(message)), handler_(handler) {}
  ~Request() override {
    if (!answered_) Request::answer(handler_.refuse(500, "the request was dropped without an answer", peer()));
  }

  std::string_view method() const override { return view(message_.method_string()); }
  std::string_view target() const override { return view(message_.target()); }
  std::string_view header(std::string_view name) const override {
    const auto field = message_.find({name.data(), name.size()});
    return field == message_.end() ? std::string_view() : view(field->value());
  }
  bool has_header(std::string_view name) const override {
    return message_.find({name.data(), name.size()}) != message_.end();
  }
  std::string_view body() const override { return message_.body(); }
  std::string_view peer() const override { return connection_->peer(); }
  const Cancel& cancel() const override { return cancel_; }

  void answer(HttpAnswer answer) override {
    LARDER_CHECK(!answered_.exchange(true));
    Loop& loop = connection_->loop();
    if (loop.io.get_executor().running_in_this_thread())
      connection_->give(std::move(answer));
    else
      loop.post(
          [connection = connection_, moved = std::move(answer)]() mutable { connection->give(std::move(moved)); });
  }

 private:
  const std::shared_ptr<Connection> connection_;
  const http::request<http::string_body> message_;
  HttpHandler& handler_;
  const Cancel cancel_;
  std::atomic<bool> answered_ = false;
};

void Connection::start() {
  loop_.connections.emplace(this, shared_from_this());
  set_deadline(shared_.options.idle_ms);
  if (shared_.stopping) return drain();
  watch();
}

void Connection::start_refused() {
  loop_.connections.emplace(this, shared_from_this());
  refuse(503, "too many connections are open; try again in a moment");
}

// Asks to be told when there is something to read, or the client went away. Asks once.
void Connection::watch() {
  if (watching_ || state_ == State::kClosed) return;
  watching_ = true;
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](const error_code& error) { self->readable(error); });
}

void Connection::readable(const error_code& error) {
  watching_ = false;
  if (state_ == State::kClosed) return;
  if (error) return close();

  buffer_.erase(0, std::exchange(parsed_, 0));
  const std::size_t room = std::min(loop_.scratch.size(), buffer_bytes_max() - buffer_.size());
  error_code failed;
  const std::size_t got = socket_.read_some(asio::buffer(loop_.scratch.data(), room), failed);
  buffer_.append(loop_.scratch.data(), got);

  if (failed == asio::error::would_block) return watch();
  if (failed == asio::error::eof) {
    eof_ = true;
    if (state_ == State::kIdle || state_ == State::kHead || state_ == State::kBody || state_ == State::kLingering)
      return close();  // nothing is owed to it
    if (cancel_) cancel_->cancel();
    return;
  }
  if (failed) return close();

  switch (state_) {
    case State::kIdle:
      state_ = State::kHead;
      set_deadline(shared_.options.header_ms);
      [[fallthrough]];
    case State::kHead:
    case State::kBody:
      return advance();
    case State::kLingering:
      buffer_.clear();
      return watch();
    default:  // more came before the answer was out: the next requests, read as far as there is room, and parsed later
      if (buffer_.size() < buffer_bytes_max()) watch();
  }
}

// Goes on with what is in the buffer for as long as requests are whole and answered at once.
void Connection::advance() {
  while (state_ == State::kHead || state_ == State::kBody) {
    if (!parse()) return;
    dispatch();
  }
}

// True: a request is whole. Else more was asked for, or it was refused.
bool Connection::parse() {
  if (!parser_) {
    parser_.emplace();
    parser_->header_limit(shared_.options.header_bytes_max);
    parser_->body_limit(shared_.options.body_bytes_max);
  }
  for (;;) {
    error_code error;
    parsed_ += parser_->put(asio::buffer(buffer_.data() + parsed_, buffer_.size() - parsed_), error);
    if (state_ == State::kHead && parser_->is_header_done()) {
      state_ = State::kBody;
      set_deadline(shared_.options.body_ms);
      const auto& message = parser_->get();
      if (message.version() >= 11 && message.count(http::field::host) != 1) {
        refuse(400, "a request of HTTP/1.1 has exactly one Host header");
        return false;
      }
      if (!error && !parser_->is_done() && boost::beast::iequals(message[http::field::expect], "100-continue")) {
        static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
        error_code ignored;  // a client that does not get it sends its body all the same, a little later
        socket_.write_some(asio::buffer(kGoOn), ignored);
      }
    }
    if (!error && parser_->is_done()) return true;
    if (error && error != http::error::need_more) {
      if (error == http::error::body_limit)
        refuse(413, "the body is larger than " + std::to_string(shared_.options.body_bytes_max) +
                        " bytes, the limit of this server");
      else if (error == http::error::header_limit)
        refuse(431, "the header is larger than " + std::to_string(shared_.options.header_bytes_max) +
                        " bytes, the limit of this server");
      else
        refuse(400, "this is no HTTP/1.1 request: " + error.message());
      return false;
    }
    if (error == http::error::need_more || parsed_ == buffer_.size()) {
      if (buffer_.size() - parsed_ >= buffer_bytes_max()) {
        refuse(400, "this is no HTTP/1.1 request: a line does not end");
        return false;
      }
      watch();
      return false;
    }
  }
}

void Connection::dispatch() {
  http::request<http::string_body> message = parser_->release();
  parser_.reset();
  head_only_ = message.method() == http::verb::head;
  keep_alive_ = message.keep_alive();
  http_1_0_ = message.version() < 11;
  state_ = State::kAnswering;
  deadline_ns_ = 0;
  {
    auto request = std::make_shared<Request>(shared_from_this(), std::move(message), shared_.handler);
    cancel_ = request->cancel();
    handling_ = true;
    shared_.handler.handle(std::move(request));
    handling_ = false;
  }
  if (early_) {
    HttpAnswer answer = *std::exchange(early_, std::nullopt);
    begin_write(std::move(answer));
  } else if (state_ == State::kAnswering && !eof_ && buffer_.size() - parsed_ < buffer_bytes_max()) {
    watch();
  }
}

void Connection::give(HttpAnswer answer) {
  if (handling_) {
    early_ = std::move(answer);
    return;
  }
  if (state_ != State::kAnswering) return;  // closed meanwhile
  begin_write(std::move(answer));
  advance();
}

void Connection::refuse(int status, std::string_view why) {
  head_only_ = false;
  keep_alive_ = false;
  http_1_0_ = false;
  parser_.reset();
  begin_write(shared_.handler.refuse(status, why, peer_));
}

void Connection::begin_write(HttpAnswer answer) {
  cancel_.reset();
  answer_ = std::move(answer);
  if (answer_.close || shared_.stopping || eof_) keep_alive_ = false;
  const bool no_body = bodyless(answer_.status);

  head_.assign("HTTP/1.1 ").append(std::to_string(answer_.status)).append(" ");
  head_.append(reason(answer_.status)).append("\r\n").append(loop_.date.now());
  if (!no_body) head_.append("Content-Length: ").append(std::to_string(answer_.body.size())).append("\r\n");
  if (!keep_alive_)
    head_.append("Connection: close\r\n");
  else if (http_1_0_)
    head_.append("Connection: keep-alive\r\n");
  head_.append(answer_.headers).append("\r\n");
  if (no_body || head_only_) answer_.body = {};

  sent_ = 0;
  deadline_ns_ = 0;
  write_began_ns_ = 0;
  state_ = State::kWriting;
  write_on();
}

void Connection::write_on() {
  const std::size_t size = head_.size() + answer_.body.size();
  while (sent_ < size) {
    const std::size_t of_head = std::min(sent_, head_.size());
    const std::size_t of_body = sent_ - of_head;
    const std::array<asio::const_buffer, 2> rest = {
        asio::const_buffer(head_.data() + of_head, head_.size() - of_head),
        asio::const_buffer(answer_.body.data() + of_body, answer_.body.size() - of_body)};
    error_code error;
    sent_ += socket_.write_some(rest, error);
    if (error == asio::error::would_block) {
      // A client that takes its answer slower than the least pace holds what lies under it for too long.
      if (write_began_ns_ == 0) write_began_ns_ = now_ns();
      const std::uint64_t paced_ms = 1000 * sent_ / shared_.options.write_bytes_a_second_min;
      deadline_ns_ = write_began_ns_ + (shared_.options.write_ms + static_cast<std::int64_t>(paced_ms)) * kNsPerMs;
      socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const error_code& failed) {
        if (self->state_ != State::kWriting) return;
        if (failed) return self->close();
        self->write_on();
        self->advance();
      });
      return;
    }
    if (error) return close();
  }
  written();
}

void Connection::written() {
  answer_ = {};
  if (!keep_alive_) return linger();
  if (parsed_ < buffer_.size()) {
    state_ = State::kHead;  // the next request, or part of it, is here already: advance() takes it
    set_deadline(shared_.options.header_ms);
    return;
  }
  state_ = State::kIdle;
  parsed_ = 0;
  buffer_.clear();
  if (buffer_.capacity() > kIdleBytes) buffer_.shrink_to_fit();
  if (head_.capacity() > kIdleBytes) head_ = {};
  set_deadline(shared_.options.idle_ms);
  watch();
}

// Closing a socket that has unread bytes resets it, and the client may lose what it was just told. So: say that no more
// comes, and throw away what still arrives until the client ends too, or has had its time.
void Connection::linger() {
  if (eof_) return close();
  state_ = State::kLingering;
  buffer_.clear();
  parsed_ = 0;
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  set_deadline(kLingerMs);
  watch();
}

void Connection::sweep(std::int64_t now) {
  if (deadline_ns_ == 0 || now < deadline_ns_) return;
  switch (state_) {
    case State::kHead:
      return refuse(408, "the header of the request did not come in time");
    case State::kBody:
      return refuse(408, "the body of the request did not come in time");
    default:
      return close();
  }
}

// The server is stopping: what is between two requests ends now, the others after their answer.
void Connection::drain() {
  if (state_ == State::kIdle) close();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  const std::shared_ptr<Connection> self = shared_from_this();
  state_ = State::kClosed;
  if (cancel_) cancel_->cancel();
  cancel_.reset();
  answer_ = {};
  error_code ignored;
  socket_.close(ignored);
  loop_.connections.erase(this);
}

void Loop::sweep() {
  const std::int64_t now = now_ns();
  std::vector<std::shared_ptr<Connection>> open;  // a copy: sweeping closes some
  open.reserve(connections.size());
  for (const auto& [key, connection] : connections) open.push_back(connection);
  for (const auto& connection : open) connection->sweep(now);
}

Error listen_error(const std::string& place, const error_code& error) {
  Code code = Code::kIo;
  if (error == asio::error::address_in_use) code = Code::kUnavailable;
  if (error == asio::error::access_denied) code = Code::kDenied;
  if (error.value() == EADDRNOTAVAIL) code = Code::kInvalid;
  return Error{code, "cannot listen on " + place + ": " + error.message()};
}

std::string written_address(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpOptions& options, HttpHandler& handler) : shared_{options, handler} {
    unsigned threads = options.threads;
    if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) loops_.push_back(std::make_unique<Loop>(shared_));
    acceptor_.emplace(loops_[0]->io);
    accept_again_.emplace(loops_[0]->io);
    const std::int64_t shortest =
        std::min({options.idle_ms, options.header_ms, options.body_ms, options.write_ms, kLingerMs});
    sweep_every_ = std::chrono::milliseconds(std::clamp<std::int64_t>(shortest / 4, 5, 500));
  }

  ~Impl() {
    stop(0);
    MutexLock lock(shared_.mutex);
    while (shared_.connections > 0) shared_.all_gone.wait(lock.native());
  }

  Status listen() {
    const std::string& name = shared_.options.address;
    const std::string place = name + ":" + std::to_string(shared_.options.port);
    error_code error;
    const asio::ip::address address = asio::ip::make_address(name == "localhost" ? "127.0.0.1" : name, error);
    if (error) return Error{Code::kInvalid, "cannot listen on " + place + ": '" + name + "' is no IP address"};
    const tcp::endpoint endpoint(address, shared_.options.port);
    acceptor_->open(endpoint.protocol(), error);
    if (error) return listen_error(place, error);
    acceptor_->set_option(asio::socket_base::reuse_address(true), error);
    acceptor_->bind(endpoint, error);
    if (error) return listen_error(place, error);
    acceptor_->listen(asio::socket_base::max_listen_connections, error);
    if (error) return listen_error(place, error);
    bound_ = acceptor_->local_endpoint(error);
    if (error) return listen_error(place, error);

    accept();
    for (auto& loop : loops_) {
      sweep(*loop);
      loop->run_thread();
    }
    running_ = true;
    return {};
  }

  const tcp::endpoint& bound() const { return bound_; }
  std::uint32_t connections() const { return shared_.connections; }

  void stop(std::int64_t drain_ms) {
    if (!std::exchange(running_, false)) return;
    shared_.stopping = true;
    loops_[0]->post([this] {
      error_code ignored;
      acceptor_->close(ignored);
      accept_again_->cancel();
    });
    each_connection([](Connection& connection) { connection.drain(); });
    {
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(drain_ms);
      MutexLock lock(shared_.mutex);
      while (shared_.connections > 0)
        if (shared_.all_gone.wait_until(lock.native(), until) == std::cv_status::timeout) break;
    }
    // What is left is cut off. A connection that a loop has not yet heard of closes itself when it starts.
    each_connection([](Connection& connection) { connection.close(); });
    for (auto& loop : loops_) loop->end();
    for (auto& loop : loops_) loop->thread.join();
  }

 private:
  template <typename F>
  void each_connection(F call) {
    for (auto& loop : loops_) {
      loop->post([&target = *loop, call] {
        std::vector<std::shared_ptr<Connection>> open;
        for (const auto& [key, connection] : target.connections) open.push_back(connection);
        for (const auto& connection : open) call(*connection);
      });
    }
  }

  // New connections go to the loops in turn.
  void accept() {
    Loop& target = *loops_[next_++ % loops_.size()];
    acceptor_->async_accept(target.io, [this, &target](const error_code& error, tcp::socket socket) {
      if (shared_.stopping || error == asio::error::operation_aborted) return;
      if (error) {  // no descriptor or memory left: what is open must end first
        accept_again_->expires_after(std::chrono::milliseconds(kAcceptAgainMs));
        accept_again_->async_wait([this](const error_code& cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      admit(target, std::move(socket));
      accept();
    });
  }

  void admit(Loop& target, tcp::socket socket) {
    const std::uint32_t open = shared_.connections;
    if (open >= shared_.options.connections_max + kRefusalsMax) return;  // closed without a word
    const bool refused = open >= shared_.options.connections_max;
    error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return;  // gone already
    socket.non_blocking(true, error);
    if (error) return;
    socket.set_option(tcp::no_delay(true), error);
    auto connection = std::make_shared<Connection>(target, std::move(socket), peer.address().to_string());
    target.post([connection = std::move(connection), refused] {
      if (refused)
        connection->start_refused();
      else
        connection->start();
    });
  }

  void sweep(Loop& loop) {
    loop.timer.expires_after(sweep_every_);
    loop.timer.async_wait([this, &loop](const error_code& cancelled) {
      if (cancelled || loop.has_ended()) return;  // it may have been due already when it was cancelled
      loop.sweep();
      sweep(loop);
    });
  }

  Shared shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::optional<tcp::acceptor> acceptor_;  // lives on the first loop
  std::optional<asio::steady_timer> accept_again_;
  std::size_t next_ = 0;
  std::chrono::milliseconds sweep_every_{};
  tcp::endpoint bound_;
  bool running_ = false;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpOptions& options, HttpHandler& handler) {
  auto impl = std::make_unique<Impl>(options, handler);
  if (Status listening = impl->listen(); !listening.ok()) return std::move(listening).error();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const { return impl_->bound().port(); }
std::string HttpServer::address() const { return written_address(impl_->bound()); }
std::uint32_t HttpServer::connections() const { return impl_->connections(); }
void HttpServer::stop(std::int64_t drain_ms) { impl_->stop(drain_ms); }

}  // namespace larder::net
