#include <algorithm>
#include <utility>

#include "net/http_server.h"

namespace larder::net {

HttpAnswer& HttpAnswer::header(std::string_view name, std::string_view value) {
  const auto allowed = [](char c) { return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t'; };
  headers.append(name).append(": ");
  if (std::all_of(value.begin(), value.end(), allowed))
    headers.append(value);
  else
    std::copy_if(value.begin(), value.end(), std::back_inserter(headers), allowed);
  headers.append("\r\n");
  return *this;
}

HttpAnswer& HttpAnswer::keep(std::string text) {
  auto kept = std::make_shared<const std::string>(std::move(text));
  body = *kept;
  holder = std::move(kept);
  return *this;
}

}  // namespace larder::net
