// A server on a free port, spoken to over raw sockets. The handler answers by path:
//   /echo      what came, at once          /later   the same, from another thread
//   /hold      when the test says so       /drop    never
//   /large     16 MiB                      /empty   204
#include "net/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <list>
#include <thread>

#include "base/mutex.h"
#include "net/raw_client.h"

namespace larder::net {
namespace {

class Paths : public HttpHandler {
 public:
  void handle(std::shared_ptr<Exchange> exchange) override {
    const std::string_view target = exchange->target();
    if (target == "/drop") return;
    if (target == "/empty") return exchange->answer({.status = 204});
    if (target == "/large") {
      HttpAnswer answer;
      answer.body = *large_;
      answer.holder = large_;
      ++large_asked_;
      return exchange->answer(std::move(answer));
    }
    if (target == "/later") {
      MutexLock lock(mutex_);
      threads_.emplace_back([exchange] { exchange->answer(echo(*exchange)); });
      return;
    }
    if (target == "/hold") {
      MutexLock lock(mutex_);
      held_.push_back(std::move(exchange));
      changed_.notify_all();
      return;
    }
    exchange->answer(echo(*exchange));
  }

  HttpAnswer refuse(int status, std::string_view why, std::string_view) override {
    return HttpAnswer{.status = status}.keep(std::string(why));
  }

  // The next request to /hold, when it has come.
  std::shared_ptr<Exchange> held() {
    MutexLock lock(mutex_);
    while (held_.empty()) changed_.wait(lock.native());
    auto exchange = std::move(held_.front());
    held_.pop_front();
    return exchange;
  }

  long large_users() const { return large_.use_count(); }
  int large_asked() const { return large_asked_; }
  std::string_view large() const { return *large_; }

  ~Paths() override {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  static HttpAnswer echo(const Exchange& exchange) {
    HttpAnswer answer;
    answer.header("X-Test", exchange.header("x-TEST"));
    answer.keep(std::string(exchange.method()) + " " + std::string(exchange.target()) + " " +
                std::string(exchange.body()));
    return answer;
  }

  const std::shared_ptr<const std::string> large_ = std::make_shared<const std::string>(16 << 20, 'x');
  std::atomic<int> large_asked_ = 0;
  Mutex mutex_;
  Condition changed_;
  std::list<std::shared_ptr<Exchange>> held_ LARDER_GUARDED_BY(mutex_);
  std::list<std::thread> threads_ LARDER_GUARDED_BY(mutex_);
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    if (options.threads == 0) options.threads = 2;
    auto server = HttpServer::listen(options, paths_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(server).value();
  }
  RawClient client(int receive_buffer = 0) { return RawClient(server_->port(), receive_buffer); }
  static std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n"; }

  // Waits until the exchange is cancelled.
  static bool cancelled(const Exchange& exchange) {
    std::promise<void> told;
    Cancel::Listener listener(exchange.cancel(), [&] { told.set_value(); });
    return told.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  }

  Paths paths_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAtOnceAndLater) {
  start();
  RawClient c = client();
  for (const char* path : {"/echo", "/later", "/echo", "/later"}) {
    const auto answer = c.ask(get(path));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, std::string("GET ") + path + " ");
    EXPECT_FALSE(answer.header("date").empty());
  }
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpServerTest, AnswersAPipelineInOrder) {
  start();
  RawClient c = client();
  std::string all;
  for (int i = 0; i < 200; ++i) all += get(i % 3 == 0 ? "/later" : "/echo?" + std::to_string(i));
  std::thread sender([&] { c.send(all); });
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(c.read().body, i % 3 == 0 ? "GET /later " : "GET /echo?" + std::to_string(i) + " ") << i;
  sender.join();
}

TEST_F(HttpServerTest, TakesARequestCutAnywhere) {
  start();
  const std::string whole = "POST /echo HTTP/1.1\r\nHost: test\r\nX-Test: seen\r\nContent-Length: 5\r\n\r\nhello";
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    RawClient c = client();
    c.send(whole.substr(0, cut));
    std::this_thread::yield();
    const auto answer = c.ask(whole.substr(cut));
    ASSERT_EQ(answer.body, "POST /echo hello") << cut;
    ASSERT_EQ(answer.header("x-test"), "seen") << cut;
  }
}

TEST_F(HttpServerTest, TakesChunkedBodies) {
  start();
  EXPECT_EQ(
      client()
          .ask("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
          .body,
      "POST /echo abcde");
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  start();
  RawClient c = client();
  c.send("HEAD /echo HTTP/1.1\r\nHost: test\r\n\r\n");
  const auto answer = c.read(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("content-length"), "11");
  EXPECT_EQ(c.ask(get("/echo")).body, "GET /echo ");  // nothing was left over
}

TEST_F(HttpServerTest, SaysNoLengthWhereNoBodyMayBe) {
  start();
  const auto answer = client().ask(get("/empty"));
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.headers.count("content-length"), 0u);
}

TEST_F(HttpServerTest, KeepsAliveAsTheVersionHasIt) {
  start();
  RawClient old = client();
  EXPECT_EQ(old.ask("GET /echo HTTP/1.0\r\n\r\n").header("connection"), "close");
  EXPECT_TRUE(old.ended());
  RawClient asked = client();
  EXPECT_EQ(asked.ask("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("connection"), "keep-alive");
  EXPECT_EQ(asked.ask(get("/echo")).status, 200);
  RawClient closing = client();
  EXPECT_EQ(closing.ask("GET /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").header("connection"), "close");
  EXPECT_TRUE(closing.ended());
}

TEST_F(HttpServerTest, RefusesWhatIsNoHttpAndClosesThatConnectionAlone) {
  start();
  RawClient good = client();
  EXPECT_EQ(good.ask(get("/echo")).status, 200);
  using namespace std::string_literals;  // the first has zero bytes in it
  for (const std::string& bad : {
           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n"s,
           std::string("GET\r\n\r\n"),
           std::string("GET /echo HTTP/2.0\r\n\r\n"),
           std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
           std::string("GET /echo HTTP/1.1\r\n\r\n"),
           std::string("GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
           std::string("GET /echo HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n"),
           std::string("GET /echo HTTP/1.1\r\nHost: a\r\n folded\r\nContent-Length: x\r\n\r\n"),
           std::string("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
           std::string("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
           std::string(
               "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
           std::string("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
       }) {
    RawClient c = client();
    EXPECT_EQ(c.ask(bad).status, 400) << bad;
    EXPECT_TRUE(c.ended()) << bad;
  }
  EXPECT_EQ(good.ask(get("/echo")).status, 200);
}

TEST_F(HttpServerTest, RefusesAnEndlessHeader) {
  start();
  RawClient c = client();
  c.send("GET /echo HTTP/1.1\r\nHost: test\r\n");
  const std::string line = "X-More: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 40 && c.send(line); ++i) {
  }
  EXPECT_EQ(c.read().status, 431);
  EXPECT_TRUE(c.ended());
}

TEST_F(HttpServerTest, RefusesATooLargeBodyBeforeItComes) {
  start({.body_bytes_max = 100});
  EXPECT_EQ(client().ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 101\r\n\r\n").status, 413);
  EXPECT_EQ(client().ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999\r\n\r\n").status, 413);
  EXPECT_EQ(client()
                .ask("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" +
                     std::string(128, 'x') + "\r\n0\r\n\r\n")
                .status,
            413);
  EXPECT_EQ(
      client().ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x')).status,
      200);
}

TEST_F(HttpServerTest, TellsAClientThatSentTooMuchEvenWhileItSends) {
  start({.body_bytes_max = 100});
  RawClient c = client();
  c.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10000000\r\n\r\n");
  const std::string part(65536, 'x');
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(c.send(part)) << i;  // it is heard out, so that it hears the answer
  EXPECT_EQ(c.read().status, 413);
}

TEST_F(HttpServerTest, GoesOnForAClientThatAsksWhetherItMay) {
  start();
  RawClient c = client();
  EXPECT_EQ(c.ask("POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n").status, 100);
  EXPECT_EQ(c.ask("ok").body, "POST /echo ok");
}

TEST_F(HttpServerTest, RefusesTheSlow) {
  start({.idle_ms = 20});
  RawClient silent = client();
  EXPECT_TRUE(silent.ended());
  start({.header_ms = 20, .body_ms = 20});
  RawClient header = client();
  EXPECT_EQ(header.ask("GET /echo HTTP/1.1\r\nHo").status, 408);
  EXPECT_TRUE(header.ended());
  RawClient body = client();
  EXPECT_EQ(body.ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhel").status, 408);
  EXPECT_TRUE(body.ended());
}

TEST_F(HttpServerTest, LetsAnAnswerGoWhenItIsSentOrItsClientGone) {
  start({.threads = 1});
  const long users = paths_.large_users();
  RawClient c = client(4096);
  c.send(get("/large"));
  RawClient other = client();
  EXPECT_EQ(other.ask(get("/echo")).status, 200);  // the loop is free while the client takes its time
  EXPECT_EQ(paths_.large_users(), users + 1);      // held without a copy until it is sent
  EXPECT_EQ(c.read().body, paths_.large());
  EXPECT_EQ(other.ask(get("/echo")).status, 200);
  EXPECT_EQ(paths_.large_users(), users);
  c.send(get("/large"));
  c.close();
  while (server_->connections() > 1) std::this_thread::yield();
  EXPECT_EQ(paths_.large_users(), users);
}

TEST_F(HttpServerTest, LetsAnAnswerGoWhenItsClientDoesNotTakeIt) {
  start({.write_ms = 20, .write_bytes_a_second_min = 1 << 30});
  const long users = paths_.large_users();
  RawClient c = client(4096);
  c.send(get("/large"));
  while (paths_.large_asked() == 0) std::this_thread::yield();
  while (paths_.large_users() > users || server_->connections() > 0) std::this_thread::yield();
  EXPECT_EQ(c.read().status, 0);  // it was cut
}

TEST_F(HttpServerTest, CancelsWhenTheClientGoes) {
  start();
  RawClient c = client();
  c.send(get("/hold"));
  auto exchange = paths_.held();
  EXPECT_FALSE(exchange->cancel().cancelled());
  c.close();
  EXPECT_TRUE(cancelled(*exchange));
  exchange->answer({.status = 200});  // to nobody
}

TEST_F(HttpServerTest, CancelsWhenTheClientGoesAfterItSentMore) {
  start();
  RawClient c = client();
  c.send(get("/hold") + get("/echo"));
  auto exchange = paths_.held();
  c.send(get("/echo"));
  c.close();
  EXPECT_TRUE(cancelled(*exchange));
}

TEST_F(HttpServerTest, AnswersWhatIsDropped) {
  start();
  RawClient c = client();
  EXPECT_EQ(c.ask(get("/drop")).status, 500);
  EXPECT_EQ(c.ask(get("/echo")).status, 200);
}

TEST_F(HttpServerTest, RefusesConnectionsOverTheLimit) {
  start({.connections_max = 2});
  RawClient first = client(), second = client();
  EXPECT_EQ(first.ask(get("/echo")).status, 200);
  EXPECT_EQ(second.ask(get("/echo")).status, 200);
  RawClient third = client();
  EXPECT_EQ(third.read().status, 503);
  EXPECT_TRUE(third.ended());
  third.close();
  EXPECT_EQ(first.ask(get("/echo")).status, 200);
  first.close();
  while (server_->connections() > 1) std::this_thread::yield();
  EXPECT_EQ(client().ask(get("/echo")).status, 200);
}

TEST_F(HttpServerTest, DrainsWhatRunsAndAcceptsNoMore) {
  start();
  RawClient idle = client(), busy = client();
  EXPECT_EQ(idle.ask(get("/echo")).status, 200);
  busy.send(get("/hold"));
  auto exchange = paths_.held();
  std::thread stopper([&] { server_->stop(60'000); });
  EXPECT_TRUE(idle.ended());
  exchange->answer({.status = 200, .body = "done"});
  exchange.reset();
  const auto answer = busy.read();
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_TRUE(busy.ended());
  busy.close();
  stopper.join();
  EXPECT_FALSE(client().connected());
}

TEST_F(HttpServerTest, CutsOffWhatOutlastsTheDrain) {
  start();
  RawClient c = client();
  c.send(get("/hold"));
  auto exchange = paths_.held();
  server_->stop(1);
  EXPECT_TRUE(exchange->cancel().cancelled());
  EXPECT_TRUE(c.ended());
  exchange->answer({.status = 200});  // to nobody
}

// A stop may fall on the very moment at which the loops' own timers are due; it must not leave one of them armed.
TEST_F(HttpServerTest, EndsWheneverItIsStopped) {
  for (int round = 0; round < 200; ++round) {
    start({.threads = 1, .idle_ms = 20});  // deadlines are looked at every 5 ms
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(4500 + 5 * round);
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    server_->stop(0);
  }
}

TEST_F(HttpServerTest, WaitsForThoseWhoStillHoldAnExchange) {
  start();
  RawClient c = client();
  c.send(get("/hold"));
  std::atomic<bool> let_go = false;
  std::thread holder([&let_go, exchange = paths_.held()]() mutable {
    while (!exchange->cancel().cancelled()) std::this_thread::yield();
    exchange->answer({.status = 200});
    std::this_thread::yield();
    let_go = true;
    exchange.reset();
  });
  server_.reset();
  EXPECT_TRUE(let_go);
  holder.join();
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  start();
  const auto taken = HttpServer::listen({.port = server_->port()}, paths_);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code, Code::kUnavailable);
  EXPECT_NE(taken.error().message.find("127.0.0.1:" + std::to_string(server_->port())), std::string::npos);
  const auto nowhere = HttpServer::listen({.address = "nowhere"}, paths_);
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().code, Code::kInvalid);
}

TEST(HttpAnswer, KeepsALineALine) {
  HttpAnswer answer;
  answer.header("X-A", "one\r\nX-Evil: yes\x01\x7f").header("X-B", "tab\tö");
  EXPECT_EQ(answer.headers, "X-A: oneX-Evil: yes\r\nX-B: tab\tö\r\n");
}

}  // namespace
}  // namespace larder::net
