#include "kafka/kafka_reader.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace millrace {

namespace {
constexpr std::size_t kDroppedAtOnce = 1'000;
}  // namespace

struct KafkaReader::State {
  std::shared_ptr<KafkaClient> client;  // before what comes from it
  KafkaQueue records;
  std::set<KafkaPartition> assigned;
  KafkaMonitor monitor;
};

KafkaReader::KafkaReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
KafkaReader::~KafkaReader() {
  // Among what was not taken may be the news that a topic is gone, which the client's end must
  // know.
  while (!next(kDroppedAtOnce, SIZE_MAX, milliseconds(0)).empty()) continue;
}

Result<std::unique_ptr<KafkaReader>> KafkaReader::open(const KafkaSettings& settings,
                                                       KafkaConsumerOptions options) {
  options.tell_ends = true;
  auto state = std::make_unique<State>();
  MILLRACE_TRY(
      made, KafkaClient::open(KafkaClient::Kind::consumer, settings, consumer_properties(options)));
  state->client = std::move(made);
  // What the client says of its brokers comes with the records: nobody else takes it here.
  rd_kafka_poll_set_consumer(state->client->get());
  state->records.reset(rd_kafka_queue_get_consumer(state->client->get()));
  return std::unique_ptr<KafkaReader>(new KafkaReader(std::move(state)));
}

Result<void> KafkaReader::assign(const std::vector<KafkaPosition>& positions) {
  return assign_only(*state_->client, positions, state_->assigned);
}

KafkaBatch KafkaReader::next(std::size_t records_max, std::size_t bytes_max, milliseconds wait) {
  KafkaBatch batch;
  batch.client_ = state_->client;
  const auto until = std::chrono::steady_clock::now() + wait;
  while (batch.records_.size() < records_max && batch.bytes_ < bytes_max) {
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    // Only the first is waited for.
    const auto patience = batch.empty() ? std::max(left, milliseconds(0)) : milliseconds(0);
    KafkaBatch::Event event(
        rd_kafka_queue_poll(state_->records.get(), static_cast<int>(patience.count())));
    if (!event) break;
    batch.add(std::move(event), state_->monitor, state_->assigned);
  }
  return batch;
}

const KafkaHealth& KafkaReader::health() const {
  return state_->monitor.health();
}

}  // namespace millrace
