// An HTTP/1.1 server (RFC 9112): loops, connections and their limits. It knows no paths and no formats; a handler
// gives the answers, at once on the loop or later from any thread.
//
//   class Hello : public net::HttpHandler {
//     void handle(std::shared_ptr<net::Exchange> exchange) override {
//       exchange->answer({.status = 200, .body = "hello"});
//     }
//     ...
//   };
//   Hello hello;
//   auto server = TRY(net::HttpServer::listen({.address = "127.0.0.1", .port = 0}, hello));
//   ...
//   server->stop(10'000);
//
// Requests of one connection are answered in the order in which they came. A client that goes away while its answer is
// being made cancels the exchange. What is no HTTP, too large or too slow is refused and costs its own connection only.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"

namespace larder::net {

// What goes back. The head is made from it; Date and Content-Length come by themselves.
struct HttpAnswer {
  int status = 200;
  std::string headers;                 // whole lines, each ended by \r\n; see header()
  std::string_view body;               // sent from where it lies, never copied
  std::shared_ptr<const void> holder;  // keeps `body` alive until it is sent; none needed for literals
  bool close = false;                  // end the connection after this answer

  // Adds a line. Bytes of `value` that no header may hold (controls, line ends) are left out, so that nothing given by
  // a stranger can add a line of its own.
  HttpAnswer& header(std::string_view name, std::string_view value);
  // Takes the body into its own keeping.
  HttpAnswer& keep(std::string text);
};

// One request and the way to answer it. Its views are valid as long as it lives. One that goes unanswered is answered
// with 500, so that no client waits for ever.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual std::string_view method() const = 0;
  virtual std::string_view target() const = 0;  // as sent, "/path?query"
  // The first header of that name, letter case aside; empty when there is none.
  virtual std::string_view header(std::string_view name) const = 0;
  virtual bool has_header(std::string_view name) const = 0;
  virtual std::string_view body() const = 0;
  virtual std::string_view peer() const = 0;  // address of the client, without port

  // Cancelled when the client goes away, and when a stopping server will wait no longer.
  virtual const Cancel& cancel() const = 0;

  // Once. Any thread; returns without waiting for the client.
  virtual void answer(HttpAnswer answer) = 0;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // On a loop: must not block. Several loops call at once.
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
  // The answer to what never becomes an Exchange: 400 no HTTP, 408 too slow, 413 or 431 too large, 503 too many
  // connections, 500 unanswered. `why` is a sentence for people.
  virtual HttpAnswer refuse(int status, std::string_view why, std::string_view peer) = 0;
};

struct HttpOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6, or "localhost"
  std::uint16_t port = 0;             // 0: any free one
  unsigned threads = 0;               // loops; 0: one a core
  std::uint32_t connections_max = 4096;
  std::uint32_t header_bytes_max = 16 * 1024;
  std::uint64_t body_bytes_max = 1024 * 1024;
  std::int64_t idle_ms = 75'000;    // between two requests
  std::int64_t header_ms = 10'000;  // from the first byte of a request to the end of its header
  std::int64_t body_ms = 30'000;    // from there to the end of its body
  std::int64_t write_ms = 30'000;   // for a client to take its answer, beside what it takes at the least pace:
  std::uint32_t write_bytes_a_second_min = 16 * 1024;
};

class HttpServer {
 public:
  // Bound, listening and accepting when it returns. `handler` must outlive it. kInvalid: no such address. kUnavailable:
  // the port is taken. kDenied, kIo as the system says.
  static Result<std::unique_ptr<HttpServer>> listen(const HttpOptions& options, HttpHandler& handler);
  // Stops at once, and waits for those who still hold an Exchange to let go of it.
  ~HttpServer();

  std::uint16_t port() const;
  std::string address() const;  // "127.0.0.1:8080", "[::1]:8080"
  std::uint32_t connections() const;

  // Accepts no more, closes idle connections and lets running exchanges end. What still runs after drain_ms is
  // cancelled and its connection closed. Returns when all loops have ended. Later calls do nothing.
  void stop(std::int64_t drain_ms);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::net
