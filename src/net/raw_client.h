// A client for tests: sends just the bytes it is given, well formed or not, and reads answers one by one. Blocks; gives
// up after ten seconds, as a test that waits longer has failed.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace larder::net {

class RawClient {
 public:
  struct Answer {
    int status = 0;                              // 0: the connection ended before an answer was whole
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
    std::string header(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? "" : found->second;
    }
  };

  explicit RawClient(std::uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (receive_buffer > 0) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd_.reset();
  }

  bool connected() const { return static_cast<bool>(fd_); }

  // False: the server closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // The next answer; `to_head`: it has no body, whatever its length says.
  Answer read(bool to_head = false) {
    Answer answer;
    std::size_t end = 0;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return {};
    std::string_view head = std::string_view(received_).substr(0, end + 2);
    answer.status = std::atoi(std::string(head.substr(9, 3)).c_str());
    for (head.remove_prefix(head.find("\r\n") + 2); !head.empty(); head.remove_prefix(head.find("\r\n") + 2)) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      const std::size_t colon = line.find(": ");
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      answer.headers[name] = line.substr(colon + 2);
    }
    received_.erase(0, end + 4);
    const std::size_t size = to_head ? 0 : std::strtoull(answer.header("content-length").c_str(), nullptr, 10);
    while (received_.size() < size)
      if (!more()) return {};
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
  }

  Answer ask(std::string_view bytes) {
    send(bytes);
    return read();
  }

  // True: nothing unread is left and the server ended the connection.
  bool ended() { return received_.empty() && !more() && ended_; }

  // Says that no more comes, and still reads.
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

 private:
  bool more() {
    char bytes[16384];
    const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got > 0) received_.append(bytes, static_cast<std::size_t>(got));
    ended_ = got == 0 || (got < 0 && errno == ECONNRESET);
    return got > 0;
  }

  Fd fd_;
  std::string received_;
  bool ended_ = false;
};

}  // namespace larder::net
