// The real front on the real server, on a free port, over a real store; only the source is a fake, whose SQL is:
//   rows N     the numbers from 1 to N in a column "n"     text S   one row, the text S, in a column "t"
//   hold       answers when the test lets it, or stops when it is cancelled
//   bad        a wrong statement                           broken   an error of ours whose words are for operators only
#include "server/http_front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "arrow/writer.h"
#include "net/raw_client.h"

namespace larder::server {
namespace {

using net::RawClient;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// One column, of int64 ("l") or text ("u"), as an Arrow stream.
std::string stream_of(const char* format, const char* name, std::int64_t rows, const void* first, const void* second) {
  ArrowSchema column{format, name, nullptr, 0, 0, nullptr, nullptr, nullptr, nullptr};
  ArrowSchema* columns[] = {&column};
  const ArrowSchema schema{"+s", "", nullptr, 0, 1, columns, nullptr, nullptr, nullptr};
  const void* buffers[] = {nullptr, first, second};
  ArrowArray array{rows, 0, 0, second == nullptr ? 2 : 3, 0, buffers, nullptr, nullptr, nullptr, nullptr};
  ArrowArray* arrays[] = {&array};
  const void* none[] = {nullptr};
  const ArrowArray batch{rows, 0, 0, 1, 1, none, arrays, nullptr, nullptr, nullptr};
  std::string out;
  arrow::StreamWriter writer(out, 0);
  EXPECT_TRUE(writer.begin(schema).ok() && writer.write(batch).ok() && writer.end().ok());
  return out;
}

class FakeSource final : public sources::Source {
 public:
  Result<sources::Plan> plan(const sources::Question& question) override {
    if (question.sql == "bad") return Error{Code::kInvalid, "line 1: this is no SQL"};
    return sources::Plan{.normal_sql = question.sql, .reads = {"numbers"}, .repeatable = true};
  }
  Result<std::string> version(const sources::Plan&) override {
    MutexLock lock(mutex_);
    return version_;
  }
  Result<sources::Answer> run(const sources::Question& question, const sources::Plan&, const sources::Limits&,
                              const Cancel& cancel) override {
    if (question.sql == "broken") return Error{Code::kIo, "/srv/disk: cannot be read"};
    if (question.sql == "hold") return hold(cancel);
    std::string arrow;
    std::uint64_t rows = 1;
    if (question.sql.starts_with("text ")) {
      const std::string text = question.sql.substr(5);
      const std::int32_t offsets[] = {0, static_cast<std::int32_t>(text.size())};
      arrow = stream_of("u", "t", 1, offsets, text.data());
    } else {
      std::from_chars(question.sql.data() + 5, question.sql.data() + question.sql.size(), rows);
      std::vector<std::int64_t> numbers;
      for (std::uint64_t i = 1; i <= rows; ++i) numbers.push_back(static_cast<std::int64_t>(i));
      arrow = stream_of("l", "n", static_cast<std::int64_t>(rows), numbers.data(), nullptr);
    }
    MutexLock lock(mutex_);
    ++runs_;
    return sources::Answer{arrow, rows, version_};
  }

  // --- for the test ---
  void change() {
    MutexLock lock(mutex_);
    version_ += "+";
  }
  int runs() {
    MutexLock lock(mutex_);
    return runs_;
  }
  void wait_for_holding(int holding) {
    MutexLock lock(mutex_);
    while (holding_ < holding) changed_.wait(lock.native());
  }
  void let_go() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_for_cancelled() {
    MutexLock lock(mutex_);
    while (!cancelled_) changed_.wait(lock.native());
  }

 private:
  Result<sources::Answer> hold(const Cancel& cancel) {
    bool stop = false;
    Cancel::Listener listener(cancel, [&] {
      MutexLock lock(mutex_);
      stop = true;
      changed_.notify_all();
    });
    MutexLock lock(mutex_);
    ++holding_;
    changed_.notify_all();
    while (!open_ && !stop) changed_.wait(lock.native());
    --holding_;
    if (!stop) {
      const std::int64_t one = 1;
      return sources::Answer{stream_of("l", "n", 1, &one, nullptr), 1, version_};
    }
    cancelled_ = true;
    changed_.notify_all();
    return Error{Code::kCancelled, "the caller went away"};
  }

  Mutex mutex_;
  Condition changed_;
  std::string version_ LARDER_GUARDED_BY(mutex_) = "v1";
  int runs_ LARDER_GUARDED_BY(mutex_) = 0;
  int holding_ LARDER_GUARDED_BY(mutex_) = 0;
  bool open_ LARDER_GUARDED_BY(mutex_) = false;
  bool cancelled_ LARDER_GUARDED_BY(mutex_) = false;
};

constexpr Asset kFiles[] = {
    {"/assets/app-12345678.js", "text/javascript", "aaaa", true, "script", "gz", "br"},
    {"/index.html", "text/html; charset=utf-8", "cccc", false, "<html>", {}, {}},
};

struct Setup {
  unsigned loops = 2;
  unsigned workers = 4;
  std::size_t waiting_max = 100;
  std::size_t render_at_once_max = 64 * 1024;
  std::int64_t timeout_ms = 0;
};

// Everybody, introduced as serve() does it.
class Served {
 public:
  explicit Served(const Setup& setup = {})
      : folder_(fresh_folder()),
        cache_(Cache::open(folder_, {.size_limit_bytes = 64 << 20}).value()),
        queries_(cache_, source_, {}),
        workers_(setup.workers, setup.waiting_max),
        chores_(2, 100),
        assets_(kFiles),
        log_("info", LogStyle::kJson, &logged_),
        front_({cache_, queries_, [] { return described(); }, workers_, chores_, assets_, history_, log_, clock_},
               Gate("127.0.0.1", {"data.example"}),
               {.limits = {.timeout_ms = setup.timeout_ms}, .render_at_once_max = setup.render_at_once_max}),
        server_(net::HttpServer::listen({.threads = setup.loops, .body_bytes_max = 4096}, front_).value()) {
    front_.set_ready(true);
  }
  ~Served() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void stop() {
    server_->stop(10'000);
    workers_.stop();
    chores_.stop();
  }

  RawClient client() const { return RawClient(server_->port()); }
  Cache& cache() { return cache_; }
  FakeSource& source() { return source_; }
  HttpFront& front() { return front_; }
  History& history() { return history_; }
  net::HttpServer& server() { return *server_; }
  ManualClock& clock() { return clock_; }
  std::string logged() { return stop(), logged_.str(); }

 private:
  static std::filesystem::path fresh_folder() {
    std::string pattern = testing::TempDir() + "larder_front_XXXXXX";
    return ::mkdtemp(pattern.data());
  }
  static std::vector<sources::Description> described() {
    return {{.name = "numbers",
             .format = "parquet",
             .files = 2,
             .bytes = 70,
             .version = "v1",
             .columns = {{"n", "BIGINT"}}},
            {.name = "gone", .format = "csv", .error = "no file"}};
  }

  const std::filesystem::path folder_;
  ManualClock clock_;
  FakeSource source_;
  Cache cache_;
  query::QueryCache queries_;
  net::Workers workers_;
  net::Workers chores_;
  Assets assets_;
  History history_;
  std::ostringstream logged_;
  Log log_;
  HttpFront front_;
  std::unique_ptr<net::HttpServer> server_;
};

std::string request(std::string_view method, std::string_view target, std::string_view headers = {},
                    std::string_view body = {}) {
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  if (headers.find("Host:") == std::string_view::npos) text += "Host: localhost\r\n";
  text.append(headers);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text.append("\r\n").append(body);
}

std::string post(std::string_view body, std::string_view headers = {}) {
  return request("POST", "/api/v1/query", "Content-Type: application/json\r\n" + std::string(headers), body);
}

std::string sql(const std::string& text, std::string_view headers = {}) {
  return post(json{{"sql", text}}.dump(), headers);
}

std::string code_of(const RawClient::Answer& answer) {
  const json body = json::parse(answer.body, nullptr, false);
  if (body.is_discarded() || !body.contains("error")) return "none: " + answer.body;
  EXPECT_EQ(body["error"]["request_id"], answer.header("x-request-id"));
  return body["error"]["code"];
}

TEST(HttpFront, AnswersFromTheSourceOnceAndThenFromTheCache) {
  Served served;
  RawClient c = served.client();
  const auto miss = c.ask(sql("rows 3"));
  EXPECT_EQ(miss.status, 200);
  EXPECT_EQ(miss.header("content-type"), "application/vnd.apache.arrow.stream");
  EXPECT_EQ(miss.header("cache-status"), "larder; fwd=miss; stored");
  EXPECT_EQ(miss.header("age"), "0");
  EXPECT_EQ(miss.header("x-larder-rows"), "3");
  EXPECT_EQ(miss.header("cache-control"), "no-store");
  EXPECT_EQ(miss.header("x-content-type-options"), "nosniff");
  EXPECT_THAT(miss.header("server-timing"), HasSubstr("source;dur="));
  const auto hit = c.ask(sql("rows 3"));
  EXPECT_EQ(hit.header("cache-status"), "larder; hit");
  EXPECT_EQ(hit.body, miss.body);
  EXPECT_EQ(hit.header("etag"), miss.header("etag"));
  EXPECT_THAT(hit.header("server-timing"), StartsWith("lookup;dur="));
  EXPECT_EQ(served.source().runs(), 1);
  served.source().change();
  EXPECT_EQ(c.ask(sql("rows 3")).header("cache-status"), "larder; fwd=miss; stored");
  EXPECT_EQ(c.ask(post(R"({"sql":"rows 3","max_age":0})")).header("cache-status"), "larder; fwd=miss; stored");
  EXPECT_EQ(served.source().runs(), 3);
}

TEST(HttpFront, RendersTheFormatAskedFor) {
  for (const std::size_t at_once : {0, 1 << 20}) {  // by a worker, on the loop
    Served served({.render_at_once_max = at_once});
    RawClient c = served.client();
    for (int i = 0; i < 2; ++i) {  // a miss, a hit
      const auto as_json = c.ask(post(R"({"sql":"rows 2","format":"json"})"));
      EXPECT_EQ(as_json.header("content-type"), "application/json");
      EXPECT_EQ(json::parse(as_json.body)["rows"], json::parse("[[1],[2]]"));
      const auto as_csv = c.ask(sql("rows 2", "Accept: text/csv\r\n"));
      EXPECT_EQ(as_csv.header("content-type"), "text/csv; charset=utf-8; header=present");
      EXPECT_EQ(as_csv.body, "n\r\n1\r\n2\r\n");
      EXPECT_NE(as_csv.header("etag"), as_json.header("etag"));
    }
    EXPECT_EQ(served.source().runs(), 1);
    const auto none = c.ask(sql("rows 2", "Accept: image/png\r\n"));
    EXPECT_EQ(none.status, 406);
    EXPECT_EQ(code_of(none), "unsupported");
  }
}

TEST(HttpFront, SaysWhenTheClientHasTheAnswerAlready) {
  Served served;
  RawClient c = served.client();
  const std::string etag = c.ask(sql("rows 3")).header("etag");
  EXPECT_EQ(etag.size(), 34u);
  const auto same = c.ask(sql("rows 3", "If-None-Match: " + etag + "\r\n"));
  EXPECT_EQ(same.status, 412);
  EXPECT_EQ(same.header("etag"), etag);
  served.source().change();
  EXPECT_EQ(c.ask(sql("rows 3", "If-None-Match: " + etag + "\r\n")).status, 200);
}

TEST(HttpFront, RefusesWrongBodies) {
  Served served;
  RawClient c = served.client();
  const std::pair<const char*, int> cases[] = {
      {"{", 400},
      {"[]", 400},
      {"{}", 400},
      {R"({"sql":1})", 400},
      {R"({"sql":"rows 1","sqll":"x"})", 400},
      {R"({"sql":"rows 1","max_age":-1})", 400},
      {R"({"sql":"rows 1","format":"xml"})", 400},
      {R"({"sql":"bad"})", 400},
  };
  for (const auto& [body, status] : cases) {
    const auto answer = c.ask(post(body));
    EXPECT_EQ(answer.status, status) << body;
    EXPECT_EQ(code_of(answer), "invalid") << body;
  }
  EXPECT_EQ(c.ask(request("POST", "/api/v1/query", "Content-Type: application/json\r\n")).status, 400);
  EXPECT_EQ(c.ask(sql("rows 1")).status, 200);
  const auto large = c.ask(post(std::string(5000, ' ')));
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(code_of(large), "too_large");
}

TEST(HttpFront, LetsOnlyItsOwnPageIn) {
  Served served;
  struct Case {
    std::string text;
    int status;
  };
  const std::string body = R"({"sql":"rows 1"})";
  const Case cases[] = {
      {request("POST", "/api/v1/query", "Content-Type: text/plain\r\n", body), 415},
      {request("POST", "/api/v1/query", "Content-Type: application/x-www-form-urlencoded\r\n", body), 415},
      {request("POST", "/api/v1/query", "", body), 415},
      {post(body, "Host: evil.example\r\n"), 421},
      {post(body, "Host: evil.example\r\nOrigin: http://evil.example\r\n"), 421},
      {post(body, "Origin: http://evil.example\r\n"), 403},
      {post(body, "Origin: null\r\n"), 403},
      {post(body, "Origin: http://localhost\r\n"), 200},
      {post(body, "Host: data.example\r\nOrigin: https://data.example\r\n"), 200},
      {request("GET", "/", "Host: evil.example\r\n"), 421},
      {request("DELETE", "/api/v1/entries", "Origin: http://evil.example\r\n"), 403},
      {request("GET", "/api/v1/no", "Host: evil.example\r\n"), 421},
      {request("GET", "/healthz", "Host: 10.0.0.9\r\n"), 200},  // a probe asks by address
  };
  for (const Case& each : cases) {
    const auto answer = served.client().ask(each.text);
    EXPECT_EQ(answer.status, each.status) << each.text;
    EXPECT_EQ(answer.headers.count("access-control-allow-origin"), 0u);
  }
}

TEST(HttpFront, KnowsItsPathsAndMethods) {
  Served served;
  RawClient c = served.client();
  const struct {
    const char* method;
    const char* target;
    int status;
    const char* allow;
  } cases[] = {
      {"GET", "/healthz", 200, ""},
      {"GET", "/healthz?x=1", 200, ""},
      {"GET", "/readyz", 200, ""},
      {"POST", "/healthz", 405, "GET, HEAD"},
      {"GET", "/api/v1/query", 405, "POST"},
      {"OPTIONS", "/api/v1/query", 405, "POST"},
      {"PUT", "/api/v1/entries", 405, "GET, HEAD, DELETE"},
      {"GET", "/api/v1/entries/a", 405, "DELETE"},
      {"DELETE", "/api/v1/entries/", 404, ""},
      {"DELETE", "/api/v1/entries/a/b", 404, ""},
      {"GET", "/api", 404, ""},
      {"GET", "/api/", 404, ""},
      {"GET", "/api/v2/query", 404, ""},
      {"GET", "/api/v1/query.json", 404, ""},
      {"GET", "/missing.js", 404, ""},
      {"POST", "/", 405, "GET, HEAD"},
      {"GET", "*", 404, ""},
      {"GET", "http://localhost/healthz", 404, ""},
  };
  for (const auto& each : cases) {
    const auto answer = c.ask(request(each.method, each.target));
    EXPECT_EQ(answer.status, each.status) << each.method << " " << each.target;
    EXPECT_EQ(answer.header("allow"), each.allow) << each.method << " " << each.target;
    if (each.status >= 400) {
      EXPECT_NE(code_of(answer), "") << each.target;
    }
  }
  c.send(request("HEAD", "/healthz"));
  const auto head = c.read(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"), "3");
}

TEST(HttpFront, ServesThePage) {
  Served served;
  RawClient c = served.client();
  const auto index = c.ask(request("GET", "/admin?tab=1"));
  EXPECT_EQ(index.status, 200);
  EXPECT_EQ(index.body, "<html>");
  EXPECT_THAT(index.header("content-security-policy"), HasSubstr("frame-ancestors 'none'"));
  EXPECT_EQ(index.header("x-content-type-options"), "nosniff");
  EXPECT_EQ(c.ask(request("GET", "/", "If-None-Match: " + index.header("etag") + "\r\n")).status, 304);
  const auto script = c.ask(request("GET", "/assets/app-12345678.js", "Accept-Encoding: br\r\n"));
  EXPECT_EQ(script.body, "br");
  EXPECT_EQ(script.header("content-encoding"), "br");
}

TEST(HttpFront, CancelsTheQueryOfAClientThatGoes) {
  Served served;
  RawClient c = served.client();
  c.send(sql("hold"));
  served.source().wait_for_holding(1);
  c.close();
  served.source().wait_for_cancelled();
  EXPECT_THAT(served.logged(), HasSubstr("\"status\":499"));
}

TEST(HttpFront, AsksOnceForClientsThatAskTheSame) {
  Served served;
  RawClient a = served.client(), b = served.client();
  a.send(sql("hold"));
  served.source().wait_for_holding(1);
  b.send(sql("hold"));
  while (json::parse(served.client().ask(request("GET", "/api/v1/stats")).body)["query"]["waiting"] != 1) {
  }
  served.source().let_go();
  const std::set<std::string> both = {a.read().header("cache-status"), b.read().header("cache-status")};
  EXPECT_THAT(both, ElementsAre("larder; fwd=miss; stored", "larder; fwd=miss; stored; collapsed"));
}

TEST(HttpFront, RefusesWhatWouldWaitTooLong) {
  Served served({.loops = 1, .workers = 1, .waiting_max = 1});  // one loop: requests are taken as they were sent
  RawClient running = served.client(), waiting = served.client(), refused = served.client();
  running.send(sql("hold"));
  served.source().wait_for_holding(1);
  waiting.send(sql("rows 1"));
  const auto answer = refused.ask(sql("rows 2"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("retry-after"), "1");
  EXPECT_EQ(code_of(answer), "unavailable");
  EXPECT_EQ(refused.ask(request("GET", "/healthz")).status, 200);  // the rest goes on
  EXPECT_EQ(refused.ask(request("GET", "/api/v1/stats")).status, 200);
  served.source().let_go();
  EXPECT_EQ(running.read().status, 200);
  EXPECT_EQ(waiting.read().status, 200);
}

TEST(HttpFront, CountsTheWaitAgainstTheQuerysTime) {
  Served served({.loops = 1, .workers = 1, .timeout_ms = 1000});
  RawClient running = served.client(), waiting = served.client(), other = served.client();
  running.send(sql("hold"));
  served.source().wait_for_holding(1);
  waiting.send(sql("rows 1"));
  EXPECT_EQ(other.ask(request("GET", "/healthz")).status, 200);  // so the one before it waits by now
  served.clock().advance_ms(1001);
  served.source().let_go();
  const auto answer = waiting.read();
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(code_of(answer), "timeout");
}

TEST(HttpFront, ListsAndEvictsEntries) {
  Served served;
  RawClient c = served.client();
  c.ask(sql("rows 3"));
  ASSERT_TRUE(served.cache().set("a/b c", "12345", {.ttl_ms = 60'000}).ok());
  ASSERT_TRUE(served.cache().set(std::string("\xff\x00k", 3), "1").ok());
  const auto list = [&](const std::string& query) {
    const auto answer = c.ask(request("GET", "/api/v1/entries" + query));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  };

  json all = list("");
  ASSERT_EQ(all["entries"].size(), 3u);
  EXPECT_EQ(all["next"], nullptr);
  const json query = all["entries"][0];
  EXPECT_EQ(query["kind"], "query");
  EXPECT_EQ(query["sql"], "rows 3");
  EXPECT_EQ(query["rows"], 3);
  EXPECT_EQ(query["version"], "v1");
  EXPECT_EQ(query["reads"], json::parse(R"(["numbers"])"));
  EXPECT_EQ(query["expires_ms"], nullptr);
  const json value = all["entries"][1];
  EXPECT_EQ(value["key"], "a/b c");
  EXPECT_EQ(value["kind"], "value");
  EXPECT_EQ(value["bytes"], 5);
  EXPECT_GT(value["expires_ms"], value["stored_ms"]);
  EXPECT_FALSE(value.contains("key_base64"));
  EXPECT_EQ(all["entries"][2]["key_base64"], "/wBr");

  const json first = list("?limit=2");
  ASSERT_EQ(first["entries"].size(), 2u);
  EXPECT_EQ(first["next"], value["sequence"]);
  EXPECT_EQ(list("?limit=2&after=" + first["next"].dump())["entries"][0]["key_base64"], "/wBr");
  EXPECT_EQ(list("?prefix=a%2F")["entries"].size(), 1u);
  EXPECT_EQ(list("?limit=3")["next"], nullptr);
  for (const char* wrong : {"?limit=0", "?limit=1001", "?limit=x", "?after=-1", "?afer=1", "?prefix=%zz"})
    EXPECT_EQ(c.ask(request("GET", std::string("/api/v1/entries") + wrong)).status, 400) << wrong;

  const auto evict = [&](const std::string& path) {
    return json::parse(c.ask(request("DELETE", "/api/v1/entries" + path)).body)["evicted"];
  };
  EXPECT_EQ(evict("/a%2Fb%20c"), 1);
  EXPECT_EQ(evict("/a%2Fb%20c"), 0);
  EXPECT_EQ(evict("/%ff%00k"), 1);
  EXPECT_EQ(c.ask(request("DELETE", "/api/v1/entries/%f")).status, 400);
  EXPECT_EQ(evict(""), 1);
  EXPECT_EQ(list("")["entries"].size(), 0u);
  EXPECT_EQ(c.ask(sql("rows 3")).header("cache-status"), "larder; fwd=miss; stored");
}

TEST(HttpFront, TellsItsNumbersAndSources) {
  Served served;
  RawClient c = served.client();
  c.ask(sql("rows 3"));
  c.ask(sql("rows 3"));
  served.history().add({.t_ms = 7, .hits = 1, .misses = 2, .entries = 3, .disk_bytes = 4, .saved_ms = 5});
  const json stats = json::parse(c.ask(request("GET", "/api/v1/stats")).body);
  EXPECT_EQ(stats["query"]["hits"], 1);
  EXPECT_EQ(stats["query"]["misses"], 1);
  EXPECT_EQ(stats["store"]["entries"], 1);
  EXPECT_EQ(stats["store"]["path"], served.cache().directory().string());
  EXPECT_EQ(stats["server"]["requests"], 3);
  EXPECT_EQ(stats["server"]["version"], LARDER_VERSION);
  EXPECT_EQ(stats["history"],
            json::parse(R"([{"t":7,"hits":1,"misses":2,"entries":3,"disk_bytes":4,"saved_ms":5.0}])"));
  EXPECT_EQ(json::parse(c.ask(request("GET", "/api/v1/sources")).body), json::parse(R"({"sources":[
      {"name":"numbers","kind":"files","format":"parquet","files":2,"bytes":70,"version":"v1",
       "columns":[{"name":"n","type":"BIGINT"}]},
      {"name":"gone","kind":"files","format":"csv","files":0,"bytes":0,"version":"","columns":[],"error":"no file"}]})"));
}

TEST(HttpFront, NamesEveryRequest) {
  Served served;
  RawClient c = served.client();
  const std::string a = c.ask(request("GET", "/healthz")).header("x-request-id");
  const std::string b = c.ask(request("GET", "/healthz")).header("x-request-id");
  EXPECT_EQ(a.size(), 16u);
  EXPECT_NE(a, b);
  EXPECT_EQ(c.ask(request("GET", "/healthz", "X-Request-Id: page-7.1\r\n")).header("x-request-id"), "page-7.1");
  EXPECT_EQ(c.ask(request("GET", "/healthz", "X-Request-Id: a\"b\r\n")).header("x-request-id").size(), 16u);
  EXPECT_FALSE(served.client().ask("no http\r\n\r\n").header("x-request-id").empty());
}

TEST(HttpFront, LogsNoDataButWhatAnOperatorNeeds) {
  Served served;
  RawClient c = served.client();
  c.ask(sql("text secret-one"));
  c.ask(sql("text secret-one"));
  c.ask(post(R"({"sql":"bad","params":["secret-two"]})"));
  c.ask(request("DELETE", "/api/v1/entries/secret-three"));
  c.ask(request("GET", "/api/v1/entries?prefix=secret-four"));
  c.ask(request("DELETE", "/api/v1/entries/secret-five/secret-six"));
  c.ask(sql("broken"));
  c.ask(request("GET", "/healthz"));
  const std::string log = served.logged();
  EXPECT_THAT(log, Not(HasSubstr("secret")));
  EXPECT_THAT(log, HasSubstr("/srv/disk: cannot be read"));
  EXPECT_THAT(log, HasSubstr("\"path\":\"/api/v1/entries/{key}\""));
  EXPECT_THAT(log, Not(HasSubstr("healthz")));
  std::istringstream lines(log);
  std::vector<std::string> caches;
  for (std::string line; std::getline(lines, line);)
    if (const json entry = json::parse(line); entry.contains("cache")) caches.push_back(entry["cache"]);
  EXPECT_THAT(caches, ElementsAre("miss", "hit"));
}

TEST(HttpFront, DrainsAndSaysSo) {
  Served served;
  RawClient busy = served.client(), probe = served.client();
  busy.send(sql("hold"));
  served.source().wait_for_holding(1);
  served.front().set_ready(false);
  EXPECT_EQ(probe.ask(request("GET", "/readyz")).status, 503);
  std::thread stopper([&] { served.stop(); });
  EXPECT_TRUE(probe.ended());
  served.source().let_go();
  EXPECT_EQ(busy.read().status, 200);
  busy.close();
  stopper.join();
  EXPECT_FALSE(served.client().connected());
}

TEST(HttpFront, IsWrittenDownWhole) {
  std::ifstream file(LARDER_ROOT "/docs/format/http-api.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const std::string& route : HttpFront::routes()) EXPECT_THAT(page, HasSubstr("`" + route + "`"));
}

}  // namespace
}  // namespace larder::server
