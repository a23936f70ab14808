// The part of KafkaAdmin that describes and creates topics.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <thread>
#include <utility>

#include "kafka/kafka_admin_state.hpp"

namespace millrace {

namespace {

constexpr std::int32_t kReplicasMax = 3;
/// More than the 16 MiB that a producer of ours sends at most.
constexpr std::int64_t kMessageBytesMax = std::int64_t{17} << 20;
constexpr milliseconds kAgainAfter{20};

struct MetadataDestroy {
  void operator()(const rd_kafka_metadata_t* metadata) const {
    rd_kafka_metadata_destroy(metadata);
  }
};
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, MetadataDestroy>;

struct TopicDestroy {
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};

struct NewTopicDestroy {
  void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
};
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, NewTopicDestroy>;

std::vector<std::pair<const char*, std::string>> settings_of(std::int32_t replication) {
  return {{"retention.ms", "-1"},
          {"retention.bytes", "-1"},
          {"cleanup.policy", "delete"},
          {"max.message.bytes", std::to_string(kMessageBytesMax)},
          {"min.insync.replicas", replication >= kReplicasMax ? "2" : "1"}};
}

void read_setting(KafkaTopic& topic, std::string_view name, std::string_view value) {
  std::int64_t number = -1;
  std::from_chars(value.data(), value.data() + value.size(), number);
  if (name == "retention.ms" && number >= 0) topic.retention = milliseconds(number);
  if (name == "retention.bytes" && number >= 0) topic.retention_bytes = number;
  if (name == "cleanup.policy") topic.compacted = value.find("compact") != value.npos;
  if (name == "max.message.bytes") topic.message_bytes_max = number;
  if (name == "min.insync.replicas") topic.min_insync_replicas = static_cast<std::int32_t>(number);
}

/// What commands for administrators begin with.
std::string where_of(const KafkaSettings& settings) {
  const bool secured = settings.tls || !settings.sasl_user.empty();
  return fmt::format("--bootstrap-server {}{}", settings.brokers,
                     secured ? " --command-config client.properties" : "");
}

Result<NewTopic> new_topic(const KafkaTopicSpec& spec, std::int32_t replication) {
  std::array<char, 256> reason{};
  NewTopic made(rd_kafka_NewTopic_new(spec.name.c_str(), spec.partitions, replication,
                                      reason.data(), reason.size()));
  if (!made)
    return fail(Errc::config, fmt::format("topic {} cannot be: {}", spec.name, reason.data()));
  for (const auto& [name, value] : settings_of(replication))
    rd_kafka_NewTopic_set_config(made.get(), name, value.c_str());
  return made;
}

// What the answer says of each topic, the first problem.
Result<void> check_topics(const rd_kafka_topic_result_t** results, std::size_t count,
                          rd_kafka_resp_err_t allowed, const char* doing) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == allowed) continue;
    const char* text = rd_kafka_topic_result_error_string(results[i]);
    return std::unexpected(kafka_error(
        error, fmt::format("topic {} cannot be {}: {}", rd_kafka_topic_result_name(results[i]),
                           doing, text != nullptr ? text : rd_kafka_err2str(error))));
  }
  return {};
}

Result<void> read_settings(const KafkaAdmin::State& admin, KafkaTopic& topic) {
  auto* resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.name.c_str());
  auto answer = admin.call(
      RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, "the settings of topics cannot be read",
      [&](rd_kafka_t* client, const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DescribeConfigs(client, &resource, 1, options, queue);
      });
  rd_kafka_ConfigResource_destroy(resource);
  if (!answer) return std::unexpected(std::move(answer).error());
  const auto* result = rd_kafka_event_DescribeConfigs_result(answer->get());
  std::size_t count = 0;
  const auto** resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
  if (count == 0 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return {};
  topic.has_settings = true;
  const auto** entries = rd_kafka_ConfigResource_configs(resources[0], &count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value != nullptr) read_setting(topic, rd_kafka_ConfigEntry_name(entries[i]), value);
  }
  return {};
}

std::int32_t replication_in(const KafkaCluster& cluster) {
  return std::clamp(static_cast<std::int32_t>(cluster.brokers.size()), 1, kReplicasMax);
}

Result<void> check_usable(const KafkaTopic& topic, const KafkaTopicSpec& spec) {
  if (topic.partitions != spec.partitions)
    return fail(Errc::config,
                fmt::format("topic {} has {} partitions and must have {}: records of one key would "
                            "lie elsewhere; delete it, or give another name",
                            topic.name, topic.partitions, spec.partitions));
  if (topic.compacted)
    return fail(Errc::config,
                fmt::format("topic {} is compacted, which drops records; run kafka-configs.sh "
                            "--alter --entity-type topics --entity-name {} --add-config "
                            "cleanup.policy=delete",
                            topic.name, topic.name));
  return {};
}

}  // namespace

std::string kafka_topics_command(const KafkaSettings& settings, const KafkaTopicSpec& topic,
                                 std::int32_t replication) {
  std::string command =
      fmt::format("kafka-topics.sh {} --create --topic {} --partitions {} --replication-factor {}",
                  where_of(settings), topic.name, topic.partitions, replication);
  for (const auto& [name, value] : settings_of(replication))
    command += fmt::format(" --config {}={}", name, value);
  return command;
}

std::vector<std::string> kafka_topic_warnings(const KafkaSettings& settings,
                                              const KafkaTopic& topic) {
  std::vector<std::string> warnings;
  if (!topic.has_settings) return warnings;
  if (topic.retention)
    warnings.push_back(fmt::format(
        "Kafka drops records of a topic by itself, before all have been delivered if that takes "
        "longer topic={} after_hours={}",
        topic.name, std::chrono::floor<std::chrono::hours>(*topic.retention).count()));
  if (topic.message_bytes_max < kMessageBytesMax)
    warnings.push_back(fmt::format(
        "Kafka refuses larger messages, whatever `limits.body` allows topic={} bytes_max={} "
        "next=\"kafka-configs.sh {} --alter --entity-type topics --entity-name {} --add-config "
        "max.message.bytes={}\"",
        topic.name, topic.message_bytes_max, where_of(settings), topic.name, kMessageBytesMax));
  return warnings;
}

Error kafka_with_rights(Error error, const KafkaSettings& settings, std::string_view prefix) {
  if (error.code != Errc::forbidden) return error;
  error.message += fmt::format(
      "\nThe user needs all of these rights:\n  kafka-acls.sh {} --add --allow-principal User:{} "
      "--resource-pattern-type prefixed --topic {}. --operation Describe --operation Read "
      "--operation Write --operation Delete",
      where_of(settings),
      settings.sasl_user.empty() ? "NAME-IN-ITS-CERTIFICATE" : settings.sasl_user, prefix);
  return error;
}

Result<KafkaCluster> KafkaAdmin::cluster() {
  const rd_kafka_metadata_t* got = nullptr;
  const auto error =
      rd_kafka_metadata(state_->client->get(), 0, nullptr, &got, state_->timeout_ms());
  const Metadata metadata(got);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(
        kafka_error(error, fmt::format("{} does not answer: {}", state_->settings.brokers,
                                       state_->reason(rd_kafka_err2str(error)))));
  KafkaCluster cluster;
  for (int i = 0; i < metadata->broker_cnt; ++i) cluster.brokers.push_back(metadata->brokers[i].id);
  std::unique_ptr<char, decltype(&std::free)> id(
      rd_kafka_clusterid(state_->client->get(), state_->timeout_ms()), &std::free);
  if (id) cluster.id = id.get();
  return cluster;
}

Result<std::optional<KafkaTopic>> KafkaAdmin::topic(const std::string& name) {
  const std::unique_ptr<rd_kafka_topic_t, TopicDestroy> local(
      rd_kafka_topic_new(state_->client->get(), name.c_str(), nullptr));
  if (!local) return std::unexpected(kafka_error_while(rd_kafka_last_error(), "topic " + name));
  const rd_kafka_metadata_t* got = nullptr;
  auto error = rd_kafka_metadata(state_->client->get(), 0, local.get(), &got, state_->timeout_ms());
  const Metadata metadata(got);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt > 0)
    error = metadata->topics[0].err;
  if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return std::nullopt;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(
        kafka_error_while(error, fmt::format("topic {} cannot be looked at", name)));
  const rd_kafka_metadata_topic_t& told = metadata->topics[0];
  KafkaTopic topic;
  topic.name = name;
  topic.partitions = told.partition_cnt;
  for (int i = 0; i < told.partition_cnt; ++i) {
    const std::int32_t replicas = told.partitions[i].replica_cnt;
    topic.replication = i == 0 ? replicas : std::min(topic.replication, replicas);
  }
  MILLRACE_CHECK_OK(read_settings(*state_, topic));
  return topic;
}

Result<void> KafkaAdmin::create_topics(std::span<const KafkaTopicSpec> missing) {
  MILLRACE_TRY(brokers, cluster());
  const auto replication = replication_in(brokers);
  std::vector<NewTopic> owned;
  std::vector<rd_kafka_NewTopic_t*> topics;
  for (const auto& spec : missing) {
    MILLRACE_TRY(made, new_topic(spec, replication));
    topics.push_back(owned.emplace_back(std::move(made)).get());
  }
  MILLRACE_TRY(answer, state_->call(RD_KAFKA_ADMIN_OP_CREATETOPICS, "topics cannot be created",
                                    [&](rd_kafka_t* client, const rd_kafka_AdminOptions_t* options,
                                        rd_kafka_queue_t* queue) {
                                      rd_kafka_CreateTopics(client, topics.data(), topics.size(),
                                                            options, queue);
                                    }));
  std::size_t count = 0;
  const auto** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer.get()), &count);
  // Another instance may have been first.
  return check_topics(results, count, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "created");
}

Error KafkaAdmin::without_right(Error error, std::span<const KafkaTopicSpec> missing) {
  if (error.code != Errc::forbidden) return error;
  std::int32_t replication = 1;
  if (const auto known = cluster()) replication = replication_in(*known);
  error.message += "; somebody who has the right must run";
  for (const auto& spec : missing)
    error.message += "\n  " + kafka_topics_command(state_->settings, spec, replication);
  return error;
}

// A new topic is known to each broker a moment later. A leader that is not ready yet may refuse a
// batch and take the next one, and so change their order: one that says its ends is ready.
Result<KafkaTopic> KafkaAdmin::await_ready(const KafkaTopicSpec& spec) {
  const auto until = std::chrono::steady_clock::now() + state_->timeout;
  while (true) {
    MILLRACE_TRY(found, topic(spec.name));
    if (found) {
      const auto known = ends(spec.name, spec.partitions);
      if (known) return *std::move(found);
      if (known.error().code != Errc::not_found) return std::unexpected(known.error());
    }
    if (std::chrono::steady_clock::now() > until)
      return fail(Errc::unanswered, fmt::format("topic {} does not appear", spec.name));
    std::this_thread::sleep_for(kAgainAfter);
  }
}

Result<std::vector<KafkaTopic>> KafkaAdmin::ensure_topics(std::span<const KafkaTopicSpec> topics) {
  std::vector<KafkaTopicSpec> missing;
  for (const auto& spec : topics) {
    auto found = topic(spec.name);
    if (!found) return std::unexpected(without_right(std::move(found).error(), topics));
    if (*found) {
      MILLRACE_CHECK_OK(check_usable(**found, spec));
    } else {
      missing.push_back(spec);
    }
  }
  if (!missing.empty()) {
    auto created = create_topics(missing);
    if (!created) return std::unexpected(without_right(std::move(created).error(), missing));
  }
  std::vector<KafkaTopic> ready;
  for (const auto& spec : topics) {
    MILLRACE_TRY(found, await_ready(spec));
    ready.push_back(std::move(found));
  }
  return ready;
}

Result<void> KafkaAdmin::delete_topic(const std::string& name) {
  auto* request = rd_kafka_DeleteTopic_new(name.c_str());
  auto answer = state_->call(
      RD_KAFKA_ADMIN_OP_DELETETOPICS, "topics cannot be deleted",
      [&](rd_kafka_t* client, const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DeleteTopics(client, &request, 1, options, queue);
      });
  rd_kafka_DeleteTopic_destroy(request);
  if (!answer) return std::unexpected(std::move(answer).error());
  std::size_t count = 0;
  const auto** results = rd_kafka_DeleteTopics_result_topics(
      rd_kafka_event_DeleteTopics_result(answer->get()), &count);
  return check_topics(results, count, RD_KAFKA_RESP_ERR_NO_ERROR, "deleted");
}

}  // namespace millrace
