// The order in which a request is judged: is it for us (Host), is it our page's (Origin), is there such a path, such a
// method, is the body what it says; then its route's function has it. Every way out goes through give(), which adds
// what every answer has and writes the log's line.
#include "server/http_front.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <utility>

#include "arrow/render.h"
#include "base/error_table.h"
#include "base/hash.h"
#include "server/http_call.h"
#include "wire/http.h"
#include "wire/query_body.h"

namespace larder::server {
namespace {

constexpr std::size_t kPathShownMax = 200;
constexpr std::size_t kSqlShownMax = 200;
constexpr std::size_t kIdBytesMax = 64;
constexpr double kNsPerMs = 1e6;

// An id that the client brought, so that its log and ours tell of one request; only what is harmless in any log.
bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kIdBytesMax && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string number(double value) {
  std::array<char, 64> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 3).ptr};
}

// Errors whose words an operator must see; the others may quote data.
bool is_ours(Code code) {
  return code == Code::kIo || code == Code::kCorrupt || code == Code::kNoSpace || code == Code::kInternal;
}

}  // namespace

struct HttpFront::Timings {
  double lookup_ms = 0;
  double queue_ms = 0;
};

struct HttpFront::Route {
  std::string_view method;
  std::string_view path;  // {key} stands for one segment, at the end
  void (HttpFront::*run)(const CallPtr&);
  bool any_host = false;  // asked by probes under whatever name; tells nothing
  bool quiet = false;     // logged at debug only
};

const HttpFront::Route HttpFront::kRoutes[] = {
    // method  path                     function                  any_host quiet
    {"POST", "/api/v1/query", &HttpFront::query},         {"GET", "/api/v1/sources", &HttpFront::list_sources},
    {"GET", "/api/v1/stats", &HttpFront::stats},          {"GET", "/api/v1/entries", &HttpFront::list_entries},
    {"DELETE", "/api/v1/entries", &HttpFront::evict_all}, {"DELETE", "/api/v1/entries/{key}", &HttpFront::evict_entry},
    {"GET", "/healthz", &HttpFront::health, true, true},  {"GET", "/readyz", &HttpFront::readiness, true, true},
};

std::vector<std::string> HttpFront::routes() {
  std::vector<std::string> out;
  for (const Route& route : kRoutes) out.push_back(std::string(route.method) + " " + std::string(route.path));
  return out;
}

HttpFront::HttpFront(Parts parts, Gate gate, Settings settings)
    : parts_(std::move(parts)),
      gate_(std::move(gate)),
      settings_(settings),
      started_ms_(parts_.clock.now_ms()),
      started_ns_(parts_.clock.steady_ns()),
      id_seed_((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()) {}

void HttpFront::handle(std::shared_ptr<net::Exchange> exchange) {
  ++requests_;
  auto call = std::make_shared<Call>();
  const std::string_view given_id = exchange->header("X-Request-Id");
  call->id = is_id(given_id) ? std::string(given_id) : next_id();
  call->began_ns = parts_.clock.steady_ns();
  call->exchange = std::move(exchange);
  const std::string_view target = call->exchange->target();
  const std::string_view path = target.substr(0, target.find('?'));
  call->shown_path = path.substr(0, kPathShownMax);
  route(call, path);
}

void HttpFront::route(const CallPtr& call, std::string_view path) {
  const net::Exchange& exchange = *call->exchange;
  const std::string_view method = exchange.method() == "HEAD" ? "GET" : exchange.method();

  const Route* found = nullptr;
  std::string allowed;  // methods of this path, where it is known
  for (const Route& route : kRoutes) {
    constexpr std::string_view kHole = "{key}";
    std::string_view segment;
    if (route.path.ends_with(kHole)) {
      const std::string_view folder = route.path.substr(0, route.path.size() - kHole.size());
      if (!path.starts_with(folder)) continue;
      call->shown_path = route.path;
      segment = path.substr(folder.size());
      if (segment.empty() || segment.find('/') != std::string_view::npos) continue;
    } else if (route.path != path) {
      continue;
    }
    allowed.append(allowed.empty() ? "" : ", ").append(route.method).append(route.method == "GET" ? ", HEAD" : "");
    if (route.method != method) continue;
    found = &route;
    call->segment = segment;
    break;
  }

  if (found == nullptr || !found->any_host) {
    std::optional<std::string_view> origin;
    if (exchange.has_header("Origin")) origin = exchange.header("Origin");
    if (const auto refusal = gate_.check(exchange.header("Host"), origin))
      return fail(call, refusal->error, refusal->status);
  }
  if (found != nullptr) {
    if (found->quiet) call->level = LogLevel::kDebug;
    return (this->*found->run)(call);
  }
  const bool is_page = !path.starts_with("/api/") && path != "/api";
  if (is_page && path.starts_with("/")) {
    if (allowed.empty() && method == "GET") return page(call);
    if (allowed.empty()) allowed = "GET, HEAD";
  }
  if (allowed.empty())
    return fail(call, Error{Code::kNotFound, "there is no " + std::string(path.substr(0, kPathShownMax)) + " here"});
  fail(call, Error{Code::kUnsupported, "the method " + std::string(exchange.method()) + " is not for this path"}, 405,
       "Allow: " + allowed + "\r\n");
}

void HttpFront::query(const CallPtr& call) {
  const net::Exchange& exchange = *call->exchange;
  if (!Gate::is_json(exchange.header("Content-Type")))
    return fail(call, Error{Code::kInvalid, "the body must be JSON, with Content-Type: application/json"}, 415);
  Result<wire::QueryRequest> request = wire::parse_query_body(exchange.body());
  if (!request.ok()) return fail(call, request.error());
  const std::optional<wire::Format> format =
      request->format ? request->format : wire::negotiate(exchange.header("Accept"));
  if (!format)
    return fail(call,
                Error{Code::kUnsupported,
                      "Accept takes none of application/vnd.apache.arrow.stream, "
                      "application/json and text/csv"},
                406);
  if (parts_.log.wants(LogLevel::kDebug))
    parts_.log.event(LogLevel::kDebug, "sql",
                     {{"id", call->id}, {"sql", std::string_view(request->sql).substr(0, kSqlShownMax)}});

  auto ask = std::make_shared<query::Ask>();
  ask->question = {std::move(request->source), std::move(request->sql), std::move(request->params)};
  ask->max_age_ms = request->max_age_ms;

  Result<std::optional<query::Reply>> hit = parts_.queries.lookup(*ask);
  if (!hit.ok()) return fail(call, hit.error());
  if (*hit) return reply(call, std::move(**hit), *format, {ms_since(call->began_ns), 0}, true);
  fetch(call, std::move(ask), *format);
}

void HttpFront::fetch(const CallPtr& call, std::shared_ptr<const query::Ask> ask, wire::Format format) {
  const double lookup_ms = ms_since(call->began_ns);
  submit(parts_.query_workers, call, [this, call, ask = std::move(ask), format, lookup_ms] {
    const double waited_ms = ms_since(call->began_ns);
    sources::Limits limits = settings_.limits;
    if (limits.timeout_ms > 0) {
      limits.timeout_ms -= static_cast<std::int64_t>(waited_ms);
      if (limits.timeout_ms <= 0)
        return fail(call, Error{Code::kTimeout, "the query's time was over before its turn came; the server is busy"});
    }
    Result<query::Reply> fetched = parts_.queries.fetch(*ask, limits, call->exchange->cancel());
    if (!fetched.ok()) return fail(call, fetched.error());
    reply(call, std::move(*fetched), format, {lookup_ms, waited_ms - lookup_ms}, false);
  });
}

void HttpFront::reply(const CallPtr& call, query::Reply reply_, wire::Format format, const Timings& timings,
                      bool on_loop) {
  // Rendering a large answer would hold up the loop, so it starts over on a worker.
  if (format != wire::Format::kArrow && on_loop && reply_.arrow().size() > settings_.render_at_once_max) {
    auto kept = std::make_shared<query::Reply>(std::move(reply_));
    return submit(parts_.chores, call,
                  [this, call, kept, format, timings] { reply(call, std::move(*kept), format, timings, false); });
  }

  using query::Outcome;
  const bool hit = reply_.outcome == Outcome::kHit;
  call->cache = hit ? "hit" : reply_.outcome == Outcome::kShared ? "shared" : "miss";
  net::HttpAnswer answer;
  answer.headers.reserve(640);
  if (!reply_.key.empty()) {
    const std::string etag = wire::etag(reply_.key, format);
    answer.header("ETag", etag);
    const std::string_view if_none_match = call->exchange->header("If-None-Match");
    if (!if_none_match.empty() && wire::etag_matches(if_none_match, etag))
      return fail(call, Error{Code::kExists, "the answer is the one that If-None-Match names"}, 412, answer.headers);
  }
  answer.header("Content-Type", wire::content_type(format));
  answer.header("Cache-Status", wire::cache_status({.hit = hit,
                                                    .stored = reply_.stored && !hit,
                                                    .collapsed = reply_.outcome == Outcome::kShared,
                                                    .detail = reply_.not_stored}));
  answer.header("Age", std::to_string(reply_.age_ms / 1000));
  answer.header("Cache-Control", "no-store");
  answer.header("X-Larder-Rows", std::to_string(reply_.rows));
  answer.header("X-Larder-Created", std::to_string(reply_.created_ms));
  const double cost_ms = reply_.cost_ms;
  answer.header("X-Larder-Cost-Ms", number(cost_ms));

  double render_ms = 0;
  if (format == wire::Format::kArrow) {
    auto kept = std::make_shared<const query::Reply>(std::move(reply_));
    answer.body = kept->arrow();
    answer.holder = std::move(kept);
  } else {
    const std::int64_t began_ns = parts_.clock.steady_ns();
    std::string text;
    const Status rendered = format == wire::Format::kJson ? arrow::write_json(reply_.arrow(), text)
                                                          : arrow::write_csv(reply_.arrow(), text);
    if (!rendered.ok()) return fail(call, rendered.error());
    answer.keep(std::move(text));
    render_ms = ms_since(began_ns);
  }
  if (hit)
    answer.header("Server-Timing", render_ms > 0
                                       ? wire::server_timing({{"lookup", timings.lookup_ms}, {"render", render_ms}})
                                       : wire::server_timing({{"lookup", timings.lookup_ms}}));
  else
    answer.header(
        "Server-Timing",
        wire::server_timing(
            {{"lookup", timings.lookup_ms}, {"queue", timings.queue_ms}, {"source", cost_ms}, {"render", render_ms}}));
  give(call, std::move(answer));
}

void HttpFront::submit(net::Workers& workers, const CallPtr& call, std::function<void()> task) {
  if (!workers.submit(std::move(task)))
    fail(call, Error{Code::kUnavailable, "too many requests wait already; try again in a moment"});
}

void HttpFront::health(const CallPtr& call) {
  net::HttpAnswer answer;
  answer.header("Content-Type", "text/plain").header("Cache-Control", "no-store").body = "ok\n";
  give(call, std::move(answer));
}

void HttpFront::readiness(const CallPtr& call) {
  net::HttpAnswer answer;
  answer.header("Content-Type", "text/plain").header("Cache-Control", "no-store");
  answer.status = ready_ ? 200 : 503;
  answer.body = ready_ ? "ready\n" : "stopping\n";
  give(call, std::move(answer));
}

void HttpFront::page(const CallPtr& call) {
  const net::Exchange& exchange = *call->exchange;
  const std::string_view target = exchange.target();
  net::HttpAnswer answer = parts_.assets.answer(target.substr(0, target.find('?')), exchange.header("Accept-Encoding"),
                                                exchange.header("If-None-Match"));
  if (answer.status == 0) return fail(call, Error{Code::kNotFound, "there is no such file here"});
  give(call, std::move(answer));
}

void HttpFront::give(const CallPtr& call, net::HttpAnswer answer) {
  answer.header("X-Request-Id", call->id);
  answer.header("X-Content-Type-Options", "nosniff");
  answer.header("Cross-Origin-Resource-Policy", "same-origin");
  if (parts_.log.wants(call->level))
    parts_.log.request({.level = call->level,
                        .id = call->id,
                        .peer = call->exchange->peer(),
                        .method = call->exchange->method(),
                        .path = call->shown_path,
                        .status = answer.status,
                        .ms = ms_since(call->began_ns),
                        .bytes = answer.body.size(),
                        .cache = call->cache});
  call->exchange->answer(std::move(answer));
}

void HttpFront::give_json(const CallPtr& call, std::string json) {
  net::HttpAnswer answer;
  answer.header("Content-Type", "application/json").header("Cache-Control", "no-store").keep(std::move(json));
  give(call, std::move(answer));
}

void HttpFront::fail(const CallPtr& call, const Error& error, int status, std::string_view extra_headers) {
  const ErrorRow& row = error_row(error.code);
  net::HttpAnswer answer;
  answer.status = status != 0 ? status : row.http_status;
  answer.headers = extra_headers;
  answer.header("Content-Type", "application/json").header("Cache-Control", "no-store");
  if (answer.status == 503) answer.header("Retry-After", "1");
  answer.header("X-Request-Id", call->id).header("X-Content-Type-Options", "nosniff");
  answer.keep(wire::error_body(error, call->id));
  parts_.log.request({.level = is_ours(error.code) ? LogLevel::kError : call->level,
                      .id = call->id,
                      .peer = call->exchange->peer(),
                      .method = call->exchange->method(),
                      .path = call->shown_path,
                      .status = answer.status,
                      .ms = ms_since(call->began_ns),
                      .bytes = answer.body.size(),
                      .cache = call->cache,
                      .code = row.name,
                      .message = is_ours(error.code) ? std::string_view(error.message) : std::string_view()});
  call->exchange->answer(std::move(answer));
}

net::HttpAnswer HttpFront::refuse(int status, std::string_view why, std::string_view peer) {
  const Code code = status == 503                    ? Code::kUnavailable
                    : status == 500                  ? Code::kInternal
                    : status == 408                  ? Code::kTimeout
                    : status == 413 || status == 431 ? Code::kTooLarge
                                                     : Code::kInvalid;
  const std::string id = next_id();
  const Error error{code, std::string(why)};
  net::HttpAnswer answer;
  answer.status = status;
  answer.header("Content-Type", "application/json").header("Cache-Control", "no-store");
  if (status == 503) answer.header("Retry-After", "1");
  answer.header("X-Request-Id", id).header("X-Content-Type-Options", "nosniff");
  answer.keep(wire::error_body(error, id));
  parts_.log.request({.id = id,
                      .peer = peer,
                      .status = status,
                      .bytes = answer.body.size(),
                      .code = error_row(code).name,
                      .message = why});
  return answer;
}

std::string HttpFront::next_id() {
  const std::uint64_t count = ids_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t id = hash64({reinterpret_cast<const char*>(&count), sizeof count}, id_seed_);
  std::string text(16, '0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = "0123456789abcdef"[id >> (60 - 4 * i) & 15];
  return text;
}

double HttpFront::ms_since(std::int64_t began_ns) const {
  return static_cast<double>(parts_.clock.steady_ns() - began_ns) / kNsPerMs;
}

}  // namespace larder::server
