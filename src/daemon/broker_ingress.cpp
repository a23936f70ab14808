// What takes messages in: made before anything that uses it, opened to the world last.
#include <spdlog/spdlog.h>

#include <tuple>

#include "daemon/address.hpp"
#include "daemon/broker.hpp"

namespace millrace::daemon {

// Before the shards' own work and the admin plane, which use it.
Result<void> Broker::make_ingress() {
  const config::Installation& installation = config_->installation;
  counters_ = std::make_unique<ingress::Counters>();
  ingress::Intake::Limits limits;
  limits.min_free_fraction = installation.retention.min_free_fraction;
  intake_ = std::make_unique<ingress::Intake>(*log_, *counters_, limits);
  intake_->set_disk_free(log_->usage().disk_free_fraction);
  keys_ = std::make_unique<ingress::KeyStore>(*state_, clock_);
  MILLRACE_CHECK_OK(keys_->load());
  hooks_ = std::make_unique<ingress::HookEndpoint>(*intake_, *inbox_ids_, *counters_,
                                                   ingress::Clocks{clock_, clock_watch_});
  hooks_->set_table(std::make_shared<const ingress::HookTable>(*config_));
  events_ = std::make_unique<ingress::EventsEndpoint>(*intake_, *event_ids_, *keys_, *counters_,
                                                      ingress::Clocks{clock_, clock_watch_});
  events_->set_table(std::make_shared<const ingress::EventsTable>(*config_));
  plane_ = std::make_unique<ingress::DataPlane>(*hooks_, *events_);
  HttpServerOptions options;
  std::tie(options.address, options.port) = split_address(installation.listen);
  options.tls = tls_;
  options.body_max_of = [plane = plane_.get()](std::string_view target) {
    return plane->body_max_of(target);
  };
  MILLRACE_TRY(server, make_http_server(shards_->all(), std::move(options), plane_->handler()));
  data_server_ = std::move(server);
  return {};
}

void Broker::start_ingress() {
  data_server_->start();
  // Only a stop of the shards could keep them from starting.
  if (const auto started = start_kafka_sources(); !started)
    spdlog::error("kafka sources do not start error={}", started.error().message);
  ready_ = true;
  started_ = true;
  spdlog::info("ready listen={} port={} shards={}", config_->installation.listen,
               data_server_->port(), shards_->size());
}

}  // namespace millrace::daemon
