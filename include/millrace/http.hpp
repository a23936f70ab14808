// HTTP messages as plain structs and the client that connectors use. Asio and Beast stay in
// src/net.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace {

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The first header of that name, compared without case; nullopt when there is none.
std::optional<std::string_view> header(const HttpHeaders& headers, std::string_view name);

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  ///< path and query, already encoded
  HttpHeaders headers;       ///< without Host, Content-Length, Connection: the client writes those
  std::string body;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;
  std::string body;
};

/// "https://host:port/base" taken apart. Errc::invalid_argument for anything but http and https,
/// for user information, fragments and empty hosts.
struct Url {
  bool tls = false;
  std::string host;  ///< lower case, without brackets for IPv6
  std::uint16_t port = 80;
  std::string base_path;          ///< "" or "/base", without a trailing slash; keeps a query out
  std::string authority() const;  ///< host[:port] as it goes into Host
};
Result<Url> parse_url(std::string_view text);
/// Percent-encodes everything but RFC 3986 unreserved characters: safe in one path segment.
std::string percent_encode(std::string_view text);

/// How to reach one target. Empty file names: the system's authorities, no client certificate.
struct HttpClientSettings {
  Url url;
  std::size_t connections_max = 8;
  milliseconds connect_timeout{10'000};
  std::size_t answer_bytes_max = std::size_t{8} << 20;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

/// One target's client with its own keep-alive pool, living on one shard: call it from there only.
/// Every connection passes the egress gate (src/net/egress.hpp).
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Sends once; never follows redirects, never repeats (except on a pooled connection that turns
  /// out closed before a byte of the request was accepted). The answer may have any status. Errors:
  /// Errc::not_connected, name_resolution, tls, egress_denied, timeout_before_send: nothing reached
  /// the peer. Errc::unanswered: some of it was sent and no complete answer came (closed, timed
  /// out, malformed). Errc::too_large: answered, but beyond `answer_bytes_max`; status unknown to
  /// caller is a rejected answer with the outcome unknown.
  virtual Awaitable<Result<HttpResponse>> send(HttpRequest request, milliseconds timeout) = 0;
};

/// Makes clients on the caller's shard, all behind the egress gate.
using HttpClientFactory =
    std::function<Result<std::unique_ptr<HttpClient>>(HttpClientSettings settings)>;

}  // namespace millrace
