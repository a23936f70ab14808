#include "kafka/kafka_consumer.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace millrace {

namespace {

constexpr std::size_t kDroppedAtOnce = 1'000;
static_assert(kKafkaBeginning == RD_KAFKA_OFFSET_BEGINNING);

struct PartitionDestroy {
  void operator()(rd_kafka_topic_partition_t* partition) const {
    rd_kafka_topic_partition_destroy(partition);
  }
};
Result<void> checked(rd_kafka_error_t* error, const char* doing) {
  if (error == nullptr) return {};
  auto made = kafka_error(rd_kafka_error_code(error),
                          fmt::format("{}: {}", doing, rd_kafka_error_string(error)));
  rd_kafka_error_destroy(error);
  return std::unexpected(std::move(made));
}

WallTime time_of(const rd_kafka_message_t* message) {
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t at = rd_kafka_message_timestamp(message, &type);
  return WallTime(milliseconds(type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? 0 : at));
}

std::string_view view_of(const void* data, std::size_t size) {
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), size);
}

}  // namespace

void KafkaPositionsDestroy::operator()(rd_kafka_topic_partition_list_s* list) const {
  rd_kafka_topic_partition_list_destroy(list);
}

KafkaProperties consumer_properties(const KafkaConsumerOptions& options) {
  KafkaProperties properties{
      // Never joined and never committed to; librdkafka asks for a name.
      {"group.id", "millrace-assigned"},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      // An offset that is not there is told, not replaced by another one.
      {"auto.offset.reset", "error"},
      {"enable.partition.eof", options.tell_ends ? "true" : "false"},
      {"check.crcs", "true"},
      {"fetch.wait.max.ms", "500"},
      {"fetch.error.backoff.ms", "100"},
      {"topic.metadata.refresh.interval.ms", "5000"},
      {"topic.metadata.propagation.max.ms", "1000"},
      {"queued.min.messages", "1000000"},
      {"queued.max.messages.kbytes", std::to_string(options.prefetch_bytes / 1024 + 1)},
      {"max.partition.fetch.bytes", std::to_string(options.fetch_bytes_max)},
      {"fetch.max.bytes",
       std::to_string(std::max(options.prefetch_bytes, options.fetch_bytes_max))},
  };
  properties.insert(properties.end(), options.more.begin(), options.more.end());
  return properties;
}

KafkaPositionList list_of(const std::vector<KafkaPosition>& positions) {
  KafkaPositionList list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
  for (const auto& position : positions)
    rd_kafka_topic_partition_list_add(list.get(), position.topic.c_str(), position.partition)
        ->offset = position.offset;
  return list;
}

Result<void> assign_only(const KafkaClient& client, const std::vector<KafkaPosition>& positions,
                         std::set<KafkaPartition>& assigned) {
  assigned.clear();
  for (const auto& position : positions) assigned.emplace(position.topic, position.partition);
  const auto error = rd_kafka_assign(client.get(), list_of(positions).get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return std::unexpected(kafka_error_while(error, "partitions cannot be assigned"));
}

std::vector<std::pair<std::string_view, std::string_view>> KafkaRecord::headers() const {
  std::vector<std::pair<std::string_view, std::string_view>> views;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return views;
  const char* name = nullptr;
  const void* data = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &data, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    views.emplace_back(name, view_of(data, size));
  return views;
}

void KafkaBatch::EventDestroy::operator()(rd_kafka_op_s* event) const {
  rd_kafka_event_destroy(event);
}
KafkaBatch::KafkaBatch() = default;
KafkaBatch::~KafkaBatch() = default;
KafkaBatch::KafkaBatch(KafkaBatch&&) noexcept = default;
KafkaBatch& KafkaBatch::operator=(KafkaBatch&& other) noexcept {
  // Memberwise would let go of the client before the events that came from it.
  KafkaBatch taken(std::move(other));
  std::swap(client_, taken.client_);
  std::swap(events_, taken.events_);
  std::swap(records_, taken.records_);
  std::swap(ends_, taken.ends_);
  std::swap(problems_, taken.problems_);
  std::swap(bytes_, taken.bytes_);
  return *this;
}

void KafkaBatch::add(Event event, KafkaMonitor& monitor, std::set<KafkaPartition>& assigned) {
  if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR)
    return add_error(event.get(), monitor, assigned);
  if (monitor.take(event.get())) return;
  const rd_kafka_message_t* got = rd_kafka_event_message_next(event.get());
  if (got == nullptr) return;
  monitor.heard();
  bytes_ += got->key_len + got->len;
  records_.push_back({rd_kafka_topic_name(got->rkt), got->partition, got->offset, time_of(got),
                      view_of(got->key, got->key_len), view_of(got->payload, got->len),
                      got->payload != nullptr, got});
  events_.push_back(std::move(event));
}

void KafkaBatch::add_error(rd_kafka_op_s* event, KafkaMonitor& monitor,
                           std::set<KafkaPartition>& assigned) {
  const auto error = rd_kafka_event_error(event);
  const std::unique_ptr<rd_kafka_topic_partition_t, PartitionDestroy> of(
      rd_kafka_event_topic_partition(event));
  // An error of a broker, or of the group that nobody joined: partitions go on by themselves.
  if (!of) {
    monitor.take(event);
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    monitor.heard();
    ends_.push_back({of->topic, of->partition, of->offset});
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) client_->abandon();
  // librdkafka repeats some of them, and would go on by itself after others.
  if (assigned.erase({of->topic, of->partition}) == 0) return;
  static_cast<void>(checked(
      rd_kafka_incremental_unassign(client_->get(), list_of({{of->topic, of->partition, 0}}).get()),
      "a partition cannot be removed"));
  problems_.push_back(
      {of->topic, of->partition,
       kafka_error(error, fmt::format("topic {} partition {} cannot be read: {}", of->topic,
                                      of->partition, rd_kafka_event_error_string(event)))});
}

struct KafkaConsumer::State : std::enable_shared_from_this<KafkaConsumer::State> {
  Result<void> start(Shard& home, const KafkaSettings& settings,
                     const KafkaConsumerOptions& options);
  void woken();
  Result<void> unassign(const std::vector<KafkaPosition>& positions);

  std::shared_ptr<KafkaClient> client;  // before what comes from it
  rd_kafka_queue_t* events = nullptr;   ///< the wake's, both
  rd_kafka_queue_t* records = nullptr;
  std::unique_ptr<KafkaWake> wake;
  std::function<void()> on_readable;
  std::set<KafkaPartition> assigned;
  KafkaMonitor monitor;
};

Result<void> KafkaConsumer::State::start(Shard& home, const KafkaSettings& settings,
                                         const KafkaConsumerOptions& options) {
  MILLRACE_TRY(
      made, KafkaClient::open(KafkaClient::Kind::consumer, settings, consumer_properties(options)));
  client = std::move(made);
  wake = std::make_unique<KafkaWake>(home.context(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->woken();
  });
  KafkaQueue main(rd_kafka_queue_get_main(client->get()));
  KafkaQueue fetched(rd_kafka_queue_get_consumer(client->get()));
  events = main.get();
  records = fetched.get();
  wake->watch(std::move(main));
  wake->watch(std::move(fetched));
  return {};
}

void KafkaConsumer::State::woken() {
  while (true) {
    const KafkaBatch::Event event(rd_kafka_queue_poll(events, 0));
    if (!event) break;
    monitor.take(event.get());
  }
  if (on_readable) on_readable();
}

Result<void> KafkaConsumer::State::unassign(const std::vector<KafkaPosition>& positions) {
  return checked(rd_kafka_incremental_unassign(client->get(), list_of(positions).get()),
                 "partitions cannot be removed");
}

KafkaConsumer::KafkaConsumer(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::open(Shard& home, KafkaSettings settings,
                                                           KafkaConsumerOptions options) {
  auto state = std::make_shared<State>();
  MILLRACE_CHECK_OK(state->start(home, settings, options));
  return std::unique_ptr<KafkaConsumer>(new KafkaConsumer(std::move(state)));
}

KafkaConsumer::~KafkaConsumer() {
  state_->on_readable = nullptr;
  // Among what was not taken may be the news that a topic is gone, which the client's end must
  // know.
  while (!take(kDroppedAtOnce, SIZE_MAX).empty()) continue;
  state_->wake.reset();
  state_->client.reset();
}

Result<void> KafkaConsumer::assign(const std::vector<KafkaPosition>& positions) {
  return assign_only(*state_->client, positions, state_->assigned);
}

Result<void> KafkaConsumer::add(const std::vector<KafkaPosition>& positions) {
  std::vector<KafkaPartition> again;
  for (const auto& position : positions) {
    const auto [partition, fresh] = state_->assigned.emplace(position.topic, position.partition);
    if (!fresh) again.push_back(*partition);
  }
  if (!again.empty()) {
    MILLRACE_CHECK_OK(remove(again));
    state_->assigned.insert(again.begin(), again.end());
  }
  return checked(rd_kafka_incremental_assign(state_->client->get(), list_of(positions).get()),
                 "partitions cannot be added");
}

Result<void> KafkaConsumer::remove(const std::vector<KafkaPartition>& partitions) {
  std::vector<KafkaPosition> positions;
  for (const auto& partition : partitions) {
    if (state_->assigned.erase(partition) == 0) continue;
    positions.push_back({partition.first, partition.second, 0});
  }
  if (positions.empty()) return {};
  return state_->unassign(positions);
}

void KafkaConsumer::set_on_readable(std::function<void()> on_readable) {
  state_->on_readable = std::move(on_readable);
  state_->wake->wake();
}

KafkaBatch KafkaConsumer::take(std::size_t records_max, std::size_t bytes_max) {
  KafkaBatch batch;
  batch.client_ = state_->client;
  while (batch.records_.size() < records_max && batch.bytes_ < bytes_max) {
    KafkaBatch::Event event(rd_kafka_queue_poll(state_->records, 0));
    if (!event) break;
    batch.add(std::move(event), state_->monitor, state_->assigned);
  }
  return batch;
}

KafkaHealth KafkaConsumer::health() const {
  return state_->monitor.health();
}
KafkaStatistics KafkaConsumer::statistics() const {
  return state_->monitor.statistics();
}

}  // namespace millrace
