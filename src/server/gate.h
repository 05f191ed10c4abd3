// Which requests a browser may bring: those of our own page, under our own names.
//
// A page of another site can make a browser send requests here, and can give its own name our address (DNS rebinding),
// so that the browser takes us for it. Against the first stand Origin and Content-Type (a foreign page can send JSON
// only after asking, and the answer is no); against the second stands Host.
#pragma once

#include <larder/result.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace larder::server {

class Gate {
 public:
  struct Refusal {
    int status = 0;
    Error error;
  };

  // localhost, 127.0.0.1 and [::1], the address listened on unless it stands for any, and `hosts`.
  Gate(std::string_view address, const std::vector<std::string>& hosts);

  // `host`, `origin`: the headers; no Origin at all is a request of our own page, or of no browser.
  std::optional<Refusal> check(std::string_view host, std::optional<std::string_view> origin) const;

  // Whether a Content-Type says JSON; parameters as charset are allowed.
  static bool is_json(std::string_view content_type);

 private:
  std::set<std::string, std::less<>> hosts_;  // lower case
};

}  // namespace larder::server
