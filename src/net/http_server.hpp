// The HTTP/1.1 server: frames requests strictly, bounds everything, answers one request at a time
// per connection. Handlers see whole requests only and run on the shard of their connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/http.hpp"
#include "millrace/result.hpp"
#include "net/shard.hpp"
#include "net/tls.hpp"

namespace millrace {

struct IncomingRequest {
  std::string method;
  std::string target;   ///< as received
  std::string path;     ///< before '?', still percent-encoded
  std::string query;    ///< after '?', still percent-encoded
  HttpHeaders headers;  ///< names in lower case
  std::string body;
  std::string peer;  ///< the peer's address without its port
  bool tls = false;
  Shard* shard = nullptr;  ///< the handler runs there
};

/// One handler for all shards: called on several threads at once.
using HttpHandler = std::function<Awaitable<HttpResponse>(IncomingRequest)>;

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any; HttpServer::port tells which
  TlsContextPtr tls;       ///< nullptr: plain
  std::size_t header_bytes_max = 8192;
  std::size_t fields_max = 100;
  std::size_t body_max = 1 << 20;
  /// When set, asked once the header is read: the body limit of this target. Called on any shard.
  std::function<std::size_t(std::string_view target)> body_max_of;
  std::size_t connections_max = 10'000;  ///< per shard; beyond: 503 and close
  milliseconds header_limit{10'000};     ///< for the handshake, and from first byte to whole header
  milliseconds request_limit{60'000};    ///< from first byte to whole body; again for the answer
  milliseconds idle_limit{75'000};       ///< between requests
};

class HttpServer {
 public:
  struct Counters {
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> requests{0};          ///< handed to the handler
    std::atomic<std::uint64_t> refused{0};           ///< malformed
    std::atomic<std::uint64_t> too_large{0};         ///< 413 and 431: beyond a limit
    std::atomic<std::uint64_t> timed_out{0};         ///< 408
    std::atomic<std::uint64_t> over_connections{0};  ///< 503 at connections_max
    std::atomic<std::uint64_t> accept_failures{0};   ///< out of descriptors or memory
    std::atomic<std::uint64_t> handler_failures{0};  ///< exceptions that became 500
    std::atomic<std::int64_t> connections{0};        ///< open now
  };

  virtual ~HttpServer() = default;
  virtual std::uint16_t port() const = 0;
  /// Begins to accept. The shards must be running.
  virtual void start() = 0;
  /// From a thread that is no shard: stops accepting, lets running requests finish until
  /// `deadline`, closes idle connections. False when some had to be cut.
  virtual bool stop(milliseconds deadline) = 0;
  /// New connections use it. Thread-safe.
  virtual void set_tls(TlsContextPtr tls) = 0;
  virtual const Counters& counters() const = 0;
};

/// Listens on one socket per shard (SO_REUSEPORT when there are several). Fails when the port is
/// taken, also by a process that shares ports. Must be destroyed before the shards.
Result<std::unique_ptr<HttpServer>> make_http_server(std::vector<Shard*> shards,
                                                     HttpServerOptions options,
                                                     HttpHandler handler);

}  // namespace millrace
