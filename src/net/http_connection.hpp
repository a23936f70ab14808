// One accepted connection: reads requests one after another, hands them to the handler, writes the
// answers. For http_server.cpp alone.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "net/http_server.hpp"
#include "net/http_wire.hpp"
#include "net/input_buffer.hpp"
#include "net/stream.hpp"

namespace millrace {

/// What all connections of a server share; immutable but for the counters and the TLS context.
class HttpServerShared {
 public:
  HttpServerShared(HttpServerOptions server_options, HttpHandler request_handler)
      : options(std::move(server_options)),
        handler(std::move(request_handler)),
        tls_(std::move(options.tls)) {}

  HttpServerOptions options;
  const HttpHandler handler;
  HttpServer::Counters counters;

  void set_tls(TlsContextPtr tls) {
    const std::lock_guard lock(mutex_);
    tls_ = std::move(tls);
  }
  TlsContextPtr tls() const {
    const std::lock_guard lock(mutex_);
    return tls_;
  }

 private:
  mutable std::mutex mutex_;
  TlsContextPtr tls_;  ///< guarded by mutex_; moved out of the options
};

class HttpConnection {
 public:
  HttpConnection(Shard& shard, std::shared_ptr<HttpServerShared> shared,
                 boost::asio::ip::tcp::socket socket);

  /// Serves until the peer, a limit, a refusal or `finish` ends it.
  Awaitable<void> serve(TlsContextPtr tls);
  /// Answers 503 and closes.
  Awaitable<void> turn_away(TlsContextPtr tls);
  /// No request after the running one; at once when none is running.
  void finish();
  void abort() { stream_.abort(); }

 private:
  enum class Next : std::uint8_t { proceed, close, refused };

  Awaitable<Next> read_head();
  Awaitable<Next> read_body();
  Awaitable<Next> read_sized_body();
  Awaitable<Next> read_chunked_body(std::size_t body_max);
  Awaitable<Next> serve_one();
  Awaitable<HttpResponse> call_handler(IncomingRequest request);
  Awaitable<bool> fill();
  Awaitable<bool> write_response(HttpResponse response, bool head_only, bool keep_alive);
  Next refuse(HttpRefusal refusal);
  Next input_ended();
  Awaitable<void> answer_refusal();
  IncomingRequest take_request();

  Shard& shard_;
  std::shared_ptr<HttpServerShared> shared_;
  Stream stream_;
  std::string peer_;
  InputBuffer input_;
  HttpRequestHead head_;  ///< of the request being read
  std::string body_;
  std::string output_;
  HttpRefusal refusal_;
  std::chrono::steady_clock::time_point request_began_;
  bool tls_ = false;
  bool idle_ = true;
  bool finishing_ = false;
};

}  // namespace millrace
