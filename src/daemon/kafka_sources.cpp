// Connections of type kafka: what takes their topics in.
#include <any>
#include <thread>
#include <utility>

#include "connectors/kafka/kafka_options.hpp"
#include "daemon/broker.hpp"
#include "daemon/living_on.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kEndPoll{10};

std::string mechanism_of(KafkaSasl sasl) {
  switch (sasl) {
    case KafkaSasl::scram_sha_512:
      return "SCRAM-SHA-512";
    case KafkaSasl::scram_sha_256:
      return "SCRAM-SHA-256";
    case KafkaSasl::plain:
      return "PLAIN";
  }
  return {};
}

ingress::KafkaSourceOptions options_of(const config::Config& config,
                                       const config::Connection& connection) {
  const auto& said = std::any_cast<const KafkaOptions&>(connection.options);
  ingress::KafkaSourceOptions options;
  options.source = ingress::prepare_source(config, connection);
  options.topic = said.topic;
  options.from_beginning = said.start == KafkaStart::beginning;
  options.kafka.brokers = said.brokers;
  options.kafka.client_id = "millrace-" + connection.name;
  options.kafka.tls = said.tls;
  options.kafka.tls_ca = said.ca_file;
  options.kafka.tls_cert = said.cert_file;
  options.kafka.tls_key = said.key_file;
  options.kafka.sasl_mechanism = mechanism_of(said.sasl);
  options.kafka.sasl_user = said.user;
  options.kafka.sasl_password = said.password;
  return options;
}

}  // namespace

// After a start, and after a reload for connections that are new or changed.
Result<void> Broker::start_kafka_sources() {
  if (!kafka_waiting_) kafka_waiting_ = std::make_unique<ReaderPool>(1, "kafka");
  const ingress::KafkaSourceParts parts{.intake = *intake_,
                                        .inbox_ids = *inbox_ids_,
                                        .event_ids = *event_ids_,
                                        .events = *events_,
                                        .state = *state_,
                                        .waiting = *kafka_waiting_,
                                        .counters = *counters_,
                                        .clocks = {clock_, clock_watch_}};
  const config::ConfigPtr config = this->config();
  // The map changes on the first shard, as in replace_connections.
  auto start = [&]() -> Awaitable<Result<void>> {
    for (const auto& [name, connection] : config->connections) {
      ConnectionUnit& unit = connections_[name];
      if (connection.type != "kafka" || unit.kafka) continue;
      if (!owned().contains(partition_of(name))) continue;  // another instance takes it in
      unit.kafka = living_on(*unit.home, std::make_unique<ingress::KafkaSource>(
                                             *unit.home, options_of(*config, connection), parts));
      unit.kafka->start();
    }
    co_return Result<void>{};
  };
  return run_on(shards_->at(0), start);
}

// Those that are not among the running ones any more.
void Broker::stop_kafka_sources(const std::map<std::string, ConnectionUnit>& connections) {
  for (const auto& [name, unit] : connections) {
    const auto running = connections_.find(name);
    const bool stays = running != connections_.end() && running->second.kafka == unit.kafka;
    if (unit.kafka && (!stays || stopping_)) unit.kafka->stop();
  }
}

Result<void> Broker::stop_foreign_sources(PartitionSet wanted) {
  std::vector<std::shared_ptr<ingress::KafkaSource>> ending;
  auto stop = [&]() -> Awaitable<Result<void>> {
    for (auto& [name, unit] : connections_) {
      if (!unit.kafka || wanted.contains(partition_of(name))) continue;
      unit.kafka->stop();
      ending.push_back(std::exchange(unit.kafka, nullptr));
    }
    co_return Result<void>{};
  };
  MILLRACE_CHECK_OK(run_on(shards_->at(0), stop));
  for (const auto& source : ending) {
    while (!source->ended()) {
      MILLRACE_CHECK_OK(not_stopping());
      std::this_thread::sleep_for(kEndPoll);
    }
  }
  return {};
}

std::shared_ptr<ingress::KafkaSource> Broker::kafka_source(const std::string& connection) const {
  const auto unit = connections_.find(connection);
  return unit == connections_.end() ? nullptr : unit->second.kafka;
}

}  // namespace millrace::daemon
