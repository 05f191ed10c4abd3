#include "server/gate.h"

#include <algorithm>
#include <cctype>

namespace larder::server {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

// "data.example:8080" -> "data.example"; "[::1]:8080" -> "[::1]".
std::string_view without_port(std::string_view host) {
  const std::size_t end = host.substr(0, 1) == "[" ? host.find(']') + 1 : host.find(':');
  return host.substr(0, end);
}

}  // namespace

Gate::Gate(std::string_view address, const std::vector<std::string>& hosts)
    : hosts_{"localhost", "127.0.0.1", "[::1]"} {
  if (address != "0.0.0.0" && address != "::")
    hosts_.insert(address.find(':') == std::string_view::npos ? lower(address) : "[" + lower(address) + "]");
  for (const std::string& host : hosts) hosts_.insert(lower(host));
}

std::optional<Gate::Refusal> Gate::check(std::string_view host, std::optional<std::string_view> origin) const {
  // The usual ones are spelled as we know them, so that a request costs no copy.
  const std::string_view name = without_port(host);
  if (hosts_.find(name) == hosts_.end() && hosts_.find(lower(name)) == hosts_.end())
    return Refusal{421, Error{Code::kDenied,
                              "this server is not known by the name in Host; server.hosts in larder.yaml "
                              "lists the names it answers to"}};
  if (origin) {
    const std::size_t scheme = origin->find("://");
    const bool web = scheme != std::string_view::npos &&
                     (origin->substr(0, scheme) == "http" || origin->substr(0, scheme) == "https");
    if (!web || lower(origin->substr(scheme + 3)) != lower(host))
      return Refusal{403, Error{Code::kDenied, "requests of other sites' pages are not answered"}};
  }
  return std::nullopt;
}

bool Gate::is_json(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t'))
    content_type.remove_suffix(1);
  return lower(content_type) == "application/json";
}

}  // namespace larder::server
