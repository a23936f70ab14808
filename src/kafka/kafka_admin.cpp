#include "kafka/kafka_admin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "kafka/kafka_admin_state.hpp"

namespace millrace {

namespace {

constexpr milliseconds kAgainAfter{50};
/// librdkafka 2.0.2 now and then waits for an answer to a question about offsets that never comes;
/// asked again it is there at once.
constexpr milliseconds kOffsetsAttempt{5'000};

struct AdminOptionsDestroy {
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
};
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, AdminOptionsDestroy>;

KafkaPartitions list_of(const std::string& topic, std::span<const KafkaOffset> offsets) {
  KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& offset : offsets)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), offset.partition)->offset =
        offset.offset;
  return list;
}

std::span<const rd_kafka_topic_partition_t> partitions_of(
    const rd_kafka_topic_partition_list_t* list) {
  if (list == nullptr) return {};
  return {list->elems, static_cast<std::size_t>(list->cnt)};
}

// The first partition that failed, in words.
Result<void> check_partitions(const rd_kafka_topic_partition_list_t* list,
                              const std::string& doing) {
  for (const auto& partition : partitions_of(list))
    if (partition.err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return std::unexpected(kafka_error_while(
          partition.err,
          fmt::format("{}, topic {} partition {}", doing, partition.topic, partition.partition)));
  return {};
}

Result<void> ask_for_offsets(rd_kafka_t* client, rd_kafka_topic_partition_list_t* list,
                             int timeout_ms) {
  const std::string doing = "the offsets of Kafka's records cannot be read";
  const auto error = rd_kafka_offsets_for_times(client, list, timeout_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(
        kafka_error_while(error, fmt::format("{}, topic {}", doing, list->elems[0].topic)));
  return check_partitions(list, doing);
}

}  // namespace

Result<KafkaEvent> KafkaAdmin::State::call(rd_kafka_admin_op_t operation, const std::string& doing,
                                           const Submit& submit) const {
  const AdminOptions options(rd_kafka_AdminOptions_new(client->get(), operation));
  std::array<char, 128> ignored{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms(), ignored.data(),
                                            ignored.size());
  const KafkaQueue queue(rd_kafka_queue_new(client->get()));
  submit(client->get(), options.get(), queue.get());
  // The request's own time-out ends this wait.
  KafkaEvent event(rd_kafka_queue_poll(queue.get(), -1));
  const auto error = rd_kafka_event_error(event.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
  return std::unexpected(
      kafka_error(error, fmt::format("{}: {}", doing, rd_kafka_event_error_string(event.get()))));
}

std::string KafkaAdmin::State::reason(const char* otherwise) const {
  const KafkaQueue queue(rd_kafka_queue_get_main(client->get()));
  KafkaMonitor said;
  while (const KafkaEvent event{rd_kafka_queue_poll(queue.get(), 0)}) said.take(event.get());
  return said.health().reason.empty() ? otherwise : said.health().reason;
}

KafkaAdmin::KafkaAdmin(std::unique_ptr<State> state) : state_(std::move(state)) {}
KafkaAdmin::~KafkaAdmin() = default;

Result<std::unique_ptr<KafkaAdmin>> KafkaAdmin::open(KafkaSettings settings, milliseconds timeout) {
  settings.statistics_every = milliseconds(0);
  // A producer would create the topics it asks about.
  MILLRACE_TRY(client, KafkaClient::open(KafkaClient::Kind::consumer, settings, {}));
  auto state = std::make_unique<State>(std::move(settings), timeout, std::move(client));
  return std::unique_ptr<KafkaAdmin>(new KafkaAdmin(std::move(state)));
}

Result<std::vector<std::int64_t>> KafkaAdmin::State::offsets(
    std::span<const KafkaPartition> partitions, std::int64_t asked) const {
  if (partitions.empty()) return std::vector<std::int64_t>();
  const auto until = std::chrono::steady_clock::now() + timeout;
  KafkaPartitions list;
  while (true) {
    list.reset(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const auto& [topic, partition] : partitions)
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = asked;
    const auto attempt = std::min(timeout, kOffsetsAttempt);
    const auto asked_of =
        ask_for_offsets(client->get(), list.get(), static_cast<int>(attempt.count()));
    if (asked_of) break;
    // A partition that is just now made, or moved to another leader.
    const Errc code = asked_of.error().code;
    const bool again = code == Errc::peer_unavailable || code == Errc::unanswered;
    if (!again || std::chrono::steady_clock::now() > until)
      return std::unexpected(asked_of.error());
    std::this_thread::sleep_for(kAgainAfter);
  }
  std::vector<std::int64_t> answers;
  for (const auto& [topic, partition] : partitions)
    answers.push_back(
        rd_kafka_topic_partition_list_find(list.get(), topic.c_str(), partition)->offset);
  return answers;
}

Result<std::vector<std::int64_t>> KafkaAdmin::State::offsets(const std::string& topic,
                                                             std::int32_t partitions,
                                                             std::int64_t asked) const {
  std::vector<KafkaPartition> all;
  for (std::int32_t partition = 0; partition < partitions; ++partition)
    all.emplace_back(topic, partition);
  return offsets(all, asked);
}

Result<std::vector<std::int64_t>> KafkaAdmin::ends(const std::string& topic,
                                                   std::int32_t partitions) {
  return state_->offsets(topic, partitions, RD_KAFKA_OFFSET_END);
}

Result<std::vector<std::int64_t>> KafkaAdmin::begins(const std::string& topic,
                                                     std::int32_t partitions) {
  return state_->offsets(topic, partitions, RD_KAFKA_OFFSET_BEGINNING);
}

Result<std::vector<std::int64_t>> KafkaAdmin::ends(std::span<const KafkaPartition> partitions) {
  return state_->offsets(partitions, RD_KAFKA_OFFSET_END);
}

Result<std::vector<std::int64_t>> KafkaAdmin::begins(std::span<const KafkaPartition> partitions) {
  return state_->offsets(partitions, RD_KAFKA_OFFSET_BEGINNING);
}

Result<std::vector<std::int64_t>> KafkaAdmin::offsets_at(const std::string& topic,
                                                         std::int32_t partitions, WallTime at) {
  const auto time = std::chrono::ceil<milliseconds>(at).time_since_epoch().count();
  MILLRACE_TRY(found, state_->offsets(topic, partitions, time));
  MILLRACE_TRY(last, ends(topic, partitions));
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i] < 0) found[i] = last[i];
  return found;
}

Result<void> KafkaAdmin::delete_records(const std::string& topic,
                                        std::span<const KafkaOffset> before) {
  if (before.empty()) return {};
  const auto list = list_of(topic, before);
  const std::string doing = "Kafka's records cannot be deleted";
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list.get());
  auto answer = state_->call(
      RD_KAFKA_ADMIN_OP_DELETERECORDS, doing,
      [&](rd_kafka_t* client, const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DeleteRecords(client, &request, 1, options, queue);
      });
  rd_kafka_DeleteRecords_destroy(request);
  if (!answer) return std::unexpected(std::move(answer).error());
  const auto* result = rd_kafka_event_DeleteRecords_result(answer->get());
  return check_partitions(rd_kafka_DeleteRecords_result_offsets(result), doing);
}

Result<void> KafkaAdmin::publish_offsets(const std::string& group, const std::string& topic,
                                         std::span<const KafkaOffset> offsets) {
  if (offsets.empty()) return {};
  const auto list = list_of(topic, offsets);
  const auto doing = fmt::format("the offsets of group {} cannot be written", group);
  // Not AlterConsumerGroupOffsets: an answer to it that comes after its time aborts the process
  // (librdkafka issue 4605). A consumer that is no member commits the same.
  MILLRACE_TRY(client, KafkaClient::open(KafkaClient::Kind::consumer, state_->settings,
                                         {{"group.id", group}, {"enable.auto.commit", "false"}}));
  const KafkaQueue answers(rd_kafka_queue_new(client->get()));
  const auto asked =
      rd_kafka_commit_queue(client->get(), list.get(), answers.get(), nullptr, nullptr);
  if (asked != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(kafka_error_while(asked, doing));
  const KafkaEvent answer(rd_kafka_queue_poll(answers.get(), state_->timeout_ms()));
  if (!answer) return fail(Errc::not_connected, fmt::format("{}: Kafka does not answer", doing));
  const auto error = rd_kafka_event_error(answer.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(kafka_error_while(error, doing));
  return check_partitions(rd_kafka_event_topic_partition_list(answer.get()), doing);
}

Result<std::vector<KafkaOffset>> KafkaAdmin::published_offsets(const std::string& group,
                                                               const std::string& topic,
                                                               std::int32_t partitions) {
  std::vector<KafkaOffset> questions;
  for (std::int32_t partition = 0; partition < partitions; ++partition)
    questions.push_back({partition, RD_KAFKA_OFFSET_INVALID});
  const auto list = list_of(topic, questions);
  const auto doing = fmt::format("the offsets of group {} cannot be read", group);
  // Not ListConsumerGroupOffsets, as above.
  MILLRACE_TRY(client, KafkaClient::open(KafkaClient::Kind::consumer, state_->settings,
                                         {{"group.id", group}, {"enable.auto.commit", "false"}}));
  const auto error = rd_kafka_committed(client->get(), list.get(), state_->timeout_ms());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(kafka_error_while(error, doing));
  MILLRACE_CHECK_OK(check_partitions(list.get(), doing));
  std::vector<KafkaOffset> found;
  for (const auto& partition : partitions_of(list.get()))
    if (partition.offset >= 0) found.push_back({partition.partition, partition.offset});
  return found;
}

}  // namespace millrace
