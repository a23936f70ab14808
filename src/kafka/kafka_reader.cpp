#include "kafka/kafka_reader.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <utility>

namespace millrace {

namespace {
constexpr std::size_t kTakenAtOnce = 256;
}  // namespace

struct KafkaReader::State {
  std::shared_ptr<KafkaClient> client;  // before what comes from it
  KafkaQueue records;
  KafkaMonitor monitor;
};

KafkaReader::KafkaReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
KafkaReader::~KafkaReader() = default;

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
  const auto error = rd_kafka_assign(state_->client->get(), list_of(positions).get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return std::unexpected(kafka_error_while(error, "partitions cannot be assigned"));
}

KafkaBatch KafkaReader::next(std::size_t records_max, std::size_t bytes_max, milliseconds wait) {
  KafkaBatch batch;
  batch.client_ = state_->client;
  // A batch call waits until it is full: the first comes alone, the others when they are there.
  rd_kafka_message_t* first =
      rd_kafka_consumer_poll(state_->client->get(), static_cast<int>(wait.count()));
  if (first == nullptr) return batch;
  batch.add(KafkaBatch::Message(first), state_->monitor);
  std::array<rd_kafka_message_t*, kTakenAtOnce> taken{};
  while (batch.records_.size() < records_max && batch.bytes_ < bytes_max) {
    const std::size_t wanted = std::min(taken.size(), records_max - batch.records_.size());
    const ssize_t count =
        rd_kafka_consume_batch_queue(state_->records.get(), 0, taken.data(), wanted);
    if (count <= 0) break;
    for (ssize_t i = 0; i < count; ++i)
      batch.add(KafkaBatch::Message(taken[static_cast<std::size_t>(i)]), state_->monitor);
  }
  return batch;
}

const KafkaHealth& KafkaReader::health() const {
  return state_->monitor.health();
}

}  // namespace millrace
