#include "daemon/gated_client.hpp"

#include "net/http_client.hpp"

namespace millrace::daemon {
namespace {

// Keeps the gate alive as long as its client.
class GatedClient final : public HttpClient {
 public:
  GatedClient(std::shared_ptr<const EgressGate> gate, std::unique_ptr<HttpClient> client)
      : gate_(std::move(gate)), client_(std::move(client)) {}

  Awaitable<Result<HttpResponse>> send(HttpRequest request, milliseconds timeout) override {
    return client_->send(std::move(request), timeout);
  }

 private:
  std::shared_ptr<const EgressGate> gate_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> make_gated_client(Shard& shard,
                                                      const HttpClientSettings& settings,
                                                      std::shared_ptr<const EgressGate> gate) {
  HttpClientOptions options;
  options.url = settings.url;
  options.connections_max = settings.connections_max;
  options.connect_limit = settings.connect_timeout;
  options.answer_bytes_max = settings.answer_bytes_max;
  if (settings.url.tls && (!settings.ca_file.empty() || !settings.certificate_file.empty())) {
    MILLRACE_TRY(tls, make_tls_client_context({.ca_file = settings.ca_file,
                                               .certificate_file = settings.certificate_file,
                                               .key_file = settings.key_file}));
    options.tls = tls;
  }
  MILLRACE_TRY(client, make_http_client(shard, std::move(options), *gate));
  return std::unique_ptr<HttpClient>(
      std::make_unique<GatedClient>(std::move(gate), std::move(client)));
}

}  // namespace millrace::daemon
