// One request on its way through the front. For http_front.cc and http_admin.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/http_front.h"

namespace larder::server {

struct HttpFront::Call {
  std::shared_ptr<net::Exchange> exchange;
  std::string id;
  std::int64_t began_ns = 0;
  std::string_view shown_path;  // for the log; points into the exchange or a route
  std::string_view segment;     // what {key} of the route stands for, still percent-encoded
  std::string_view cache;       // for the log: "hit", "miss", "shared"
  LogLevel level = LogLevel::kInfo;
};

}  // namespace larder::server
