// Larder's HTTP API (docs/format/http-api.md) and its page: which path does what, who may ask, and how answers look.
//
// A hit is looked up and answered on the loop, its bytes sent from where they lie in the store. What blocks goes to
// workers: misses to `queries`; lists, numbers and large renderings to `chores`, so that slow queries never hold them
// up.
#pragma once

#include <larder/cache.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/http_server.h"
#include "net/workers.h"
#include "query/query_cache.h"
#include "server/assets.h"
#include "server/gate.h"
#include "server/history.h"
#include "server/log.h"
#include "sources/files.h"
#include "wire/http.h"

namespace larder::server {

class HttpFront final : public net::HttpHandler {
 public:
  // Strangers to each other, introduced by serve(). All must outlive the front.
  struct Parts {
    Cache& cache;
    query::QueryCache& queries;
    std::function<std::vector<sources::Description>()> describe_sources;
    net::Workers& query_workers;
    net::Workers& chores;
    const Assets& assets;
    const History& history;
    Log& log;
    const Clock& clock;
  };
  struct Settings {
    sources::Limits limits;                      // of one query; its time counts from the request's arrival
    std::size_t render_at_once_max = 64 * 1024;  // an answer of more bytes of Arrow is rendered by a worker
  };

  HttpFront(Parts parts, Gate gate, Settings settings);

  void handle(std::shared_ptr<net::Exchange> exchange) override;
  net::HttpAnswer refuse(int status, std::string_view why, std::string_view peer) override;

  // What GET /readyz says: 200 or 503. False at first.
  void set_ready(bool ready) { ready_ = ready; }

  // What a path does, for documents and tests: "POST /api/v1/query".
  static std::vector<std::string> routes();

 private:
  struct Call;
  using CallPtr = std::shared_ptr<Call>;
  struct Route;
  struct Timings;
  static const Route kRoutes[];

  // The routes.
  void query(const CallPtr& call);
  void list_sources(const CallPtr& call);
  void stats(const CallPtr& call);
  void list_entries(const CallPtr& call);
  void evict_entry(const CallPtr& call);
  void evict_all(const CallPtr& call);
  void health(const CallPtr& call);
  void readiness(const CallPtr& call);
  void page(const CallPtr& call);

  void route(const CallPtr& call, std::string_view path);
  void fetch(const CallPtr& call, std::shared_ptr<const query::Ask> ask, wire::Format format);
  void reply(const CallPtr& call, query::Reply reply, wire::Format format, const Timings& timings, bool on_loop);
  // Runs it on a worker; refuses with 503 when these are behind.
  void submit(net::Workers& workers, const CallPtr& call, std::function<void()> task);

  void give(const CallPtr& call, net::HttpAnswer answer);
  void give_json(const CallPtr& call, std::string json);
  // `status` 0: as the error table has it.
  void fail(const CallPtr& call, const Error& error, int status = 0, std::string_view extra_headers = {});

  std::string next_id();
  double ms_since(std::int64_t began_ns) const;

  const Parts parts_;
  const Gate gate_;
  const Settings settings_;
  const std::int64_t started_ms_;
  const std::int64_t started_ns_;
  const std::uint64_t id_seed_;
  std::atomic<std::uint64_t> ids_ = 0;
  std::atomic<std::uint64_t> requests_ = 0;
  std::atomic<bool> ready_ = false;
};

}  // namespace larder::server
