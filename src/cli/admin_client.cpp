#include "cli/admin_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "millrace/http.hpp"

namespace millrace::cli {
namespace {

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/// Waits until the socket can be read or written; false at the deadline.
bool wait_for(int descriptor, short events, BootTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - BootClock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{descriptor, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

std::unexpected<Error> unreachable(const AdminAddress& address, int error) {
  return fail(Errc::not_connected,
              fmt::format("cannot reach millraced at {}: is it running? ({}; systemctl status "
                          "millraced, or millraced --config DIR)",
                          address.text(), std::strerror(error)));
}

bool send_all(int descriptor, std::string_view text, BootTime deadline) {
  while (!text.empty()) {
    if (!wait_for(descriptor, POLLOUT, deadline)) return false;
    const ssize_t sent = send(descriptor, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string value_text(const Json& value) {
  return value.is_string() ? std::string(value.get_string()) : write_json(value);
}

std::string fill_path(std::string_view pattern, JsonObject& arguments) {
  std::string path;
  while (!pattern.empty()) {
    const std::size_t open = pattern.find('{');
    path += pattern.substr(0, open);
    if (open == pattern.npos) break;
    const std::size_t close = pattern.find('}', open);
    const std::string_view name = pattern.substr(open + 1, close - open - 1);
    if (const Json* value = arguments.if_contains(name)) {
      path += percent_encode(value_text(*value));
      arguments.stable_erase(arguments.find(name));
    }
    pattern.remove_prefix(close + 1);
  }
  return path;
}

Result<AdminAnswer> parse_answer(const std::string& text) {
  const std::size_t end = text.find("\r\n\r\n");
  AdminAnswer answer;
  if (!text.starts_with("HTTP/1.1 ") || end == text.npos ||
      std::from_chars(text.data() + 9, text.data() + 12, answer.status).ptr != text.data() + 12) {
    return fail(Errc::protocol, "what listens there does not answer as millraced does");
  }
  const std::string_view head = std::string_view(text).substr(0, end + 2);
  const std::string_view body = std::string_view(text).substr(end + 4);
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  std::size_t length = 0;
  if (const std::size_t at = head.find(kLength); at != head.npos) {
    const char* digits = head.data() + at + kLength.size();
    std::from_chars(digits, head.data() + head.size(), length);
  }
  if (body.size() != length) {
    return fail(Errc::unanswered,
                "the answer of millraced was cut off: what was asked may have "
                "happened; look before you repeat it");
  }
  if (auto json = parse_json(body)) answer.body = *std::move(json);
  return answer;
}

}  // namespace

std::string AdminAddress::text() const {
  return host.find(':') == host.npos ? host + ":" + port : "[" + host + "]:" + port;
}

Result<AdminAddress> parse_admin_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  AdminAddress address;
  if (colon != text.npos) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    address = {std::string(host), std::string(text.substr(colon + 1))};
  }
  const bool digits = !address.port.empty() && address.port.size() <= 5 &&
                      address.port.find_first_not_of("0123456789") == address.port.npos;
  if (address.host.empty() || !digits) {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is no address; write for example 127.0.0.1:8481", text));
  }
  return address;
}

Result<std::string> AdminClient::exchange(const std::string& request) const {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(address_.host.c_str(), address_.port.c_str(), &hints, &found);
      error != 0) {
    return fail(Errc::name_resolution,
                fmt::format("cannot resolve {}: {}", address_.host, gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  if (!is_loopback(found->ai_addr)) {
    return fail(Errc::forbidden,
                fmt::format("{} is not on this machine: the token would travel unencrypted; run "
                            "millrace there, for example through ssh",
                            address_.text()));
  }
  const BootTime deadline = BootClock::now() + limit_;
  const Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return unreachable(address_, errno);
  // On loopback a connection is made or refused at once; only a full backlog makes it wait.
  if (connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0) {
    return unreachable(address_, errno);
  }
  if (!send_all(socket.get(), request, deadline)) {
    return fail(Errc::not_connected, "millraced closed the connection; try again");
  }
  std::string text;
  char buffer[16384];
  for (;;) {
    if (!wait_for(socket.get(), POLLIN, deadline)) {
      return fail(
          Errc::unanswered,
          fmt::format("millraced at {} did not answer within {} s: what was asked may still "
                      "happen; look before you repeat it",
                      address_.text(), std::chrono::ceil<seconds>(limit_).count()));
    }
    const ssize_t got = recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return fail(Errc::unanswered, "the connection to millraced broke");
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kAnswerBytesMax) {
      return fail(Errc::too_large, "the answer is larger than 64 MB; ask for less, e.g. --limit");
    }
  }
}

Result<AdminAnswer> AdminClient::call(const admin::OperationSpec& operation,
                                      JsonObject arguments) const {
  std::string target = fill_path(operation.path, arguments);
  const bool has_body = operation.method == "POST";
  std::string body;
  if (has_body && !arguments.empty()) body = write_json(Json(std::move(arguments)));
  if (!has_body) {
    char separator = '?';
    for (const auto& argument : arguments) {
      target += separator;
      target += percent_encode({argument.key().data(), argument.key().size()});
      target += '=';
      target += percent_encode(value_text(argument.value()));
      separator = '&';
    }
  }
  std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n",
                  operation.method, target, address_.text(), token_);
  if (has_body) request += fmt::format("Content-Length: {}\r\n", body.size());
  if (!body.empty()) request += "Content-Type: application/json\r\n";
  request += "\r\n" + body;
  MILLRACE_TRY(text, exchange(request));
  return parse_answer(text);
}

}  // namespace millrace::cli
