// The http sink: one call, judged by its answer.
#pragma once

#include <memory>

#include "connectors/http/http_options.hpp"
#include "millrace/connector.hpp"

namespace millrace::connectors {

/// Sends a delivery's request below the connection's url, with authentication, Idempotency-Key,
/// Content-Type (when there is a body) and User-Agent. Lives on the client's shard.
class HttpSink final : public Sink {
 public:
  /// `clock` must outlive the sink.
  HttpSink(std::unique_ptr<HttpClient> client, Url url, HttpOptions options, const Clock& clock);

  Awaitable<Outcome> deliver(Delivery delivery) override;
  Awaitable<Outcome> check() override;

 private:
  milliseconds limit(milliseconds asked) const;

  std::unique_ptr<HttpClient> client_;
  Url url_;
  HttpOptions options_;
  const Clock& clock_;
};

/// The body's bytes, target and headers of one attempt, ready to send.
HttpRequest prepare_request(Delivery delivery, const Url& url, const HttpOptions& options,
                            WallTime now);

}  // namespace millrace::connectors
