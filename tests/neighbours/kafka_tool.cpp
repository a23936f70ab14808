// What scenarios do to a Kafka: kafka_tool BROKERS create TOPIC PARTITIONS | delete TOPIC... |
// allow USER PREFIX OPERATION... | trim TOPIC PARTITION OFFSET | offsets TOPIC GROUP | owners TOPIC
// | produce TOPIC PARTITION SECONDS_OLD. `offsets` prints a line for each partition of 64 that the
// group has an offset in, `PARTITION OFFSET END`, `owners` one for each record of a topic of the
// log, `PARTITION OFFSET OWNER`. `produce` writes a record for each line of stdin, KEY, VALUE and
// headers NAME=VALUE with tabs between them, and ends when all are acknowledged.
#include <librdkafka/rdkafka.h>

#include <array>
#include <cstdio>
#include <future>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "kafka/kafka_client.hpp"
#include "kafka/kafka_producer.hpp"
#include "kafka/kafka_reader.hpp"

namespace millrace {

namespace {

constexpr int kPartitions = 64;

KafkaMessage message_of(const KafkaMessage& all, const std::string& line) {
  std::vector<std::string> words;
  std::istringstream rest(line);
  for (std::string word; std::getline(rest, word, '\t');) words.push_back(word);
  KafkaMessage message = all;
  message.key = words.at(0);
  message.value = words.at(1);
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    message.headers.push_back({words[i].substr(0, equals), words[i].substr(equals + 1)});
  }
  return message;
}

Result<void> produce(const KafkaSettings& settings, const KafkaMessage& all) {
  Shard shard("producer");
  shard.start();
  std::promise<Result<void>> ended;
  std::unique_ptr<KafkaProducer> producer;
  Result<void> outcome;
  std::size_t left = 1;
  const auto settle = [&](Result<void> one) {
    if (!one) outcome = std::move(one);
    if (--left == 0) ended.set_value(outcome);
  };
  shard.post([&] {
    auto made = KafkaProducer::open(shard, settings);
    if (!made) return ended.set_value(std::unexpected(made.error()));
    producer = *std::move(made);
    for (std::string line; std::getline(std::cin, line);) {
      ++left;
      auto taken = producer->send(message_of(all, line), [&](const Result<KafkaPlace>& place) {
        settle(place ? Result<void>() : std::unexpected(place.error()));
      });
      if (!taken) settle(std::move(taken));
    }
    settle({});
  });
  auto result = ended.get_future().get();
  std::promise<void> gone;
  shard.post([&] {
    producer.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  shard.stop(seconds(1));
  return result;
}

rd_kafka_AclOperation_t operation_of(std::string_view name) {
  if (name == "read") return RD_KAFKA_ACL_OPERATION_READ;
  if (name == "write") return RD_KAFKA_ACL_OPERATION_WRITE;
  if (name == "create") return RD_KAFKA_ACL_OPERATION_CREATE;
  if (name == "delete") return RD_KAFKA_ACL_OPERATION_DELETE;
  return RD_KAFKA_ACL_OPERATION_DESCRIBE;
}

// What the product never does, so it is not in KafkaAdmin.
Result<void> allow(const KafkaSettings& settings, const std::string& user,
                   const std::string& prefix, const std::vector<std::string>& operations) {
  MILLRACE_TRY(client, KafkaClient::open(KafkaClient::Kind::producer, settings, {}));
  rd_kafka_queue_t* answers = rd_kafka_queue_new(client->get());
  for (const std::string& operation : operations) {
    std::array<char, 256> reason{};
    rd_kafka_AclBinding_t* binding = rd_kafka_AclBinding_new(
        RD_KAFKA_RESOURCE_TOPIC, prefix.c_str(), RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
        ("User:" + user).c_str(), "*", operation_of(operation), RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
        reason.data(), reason.size());
    if (binding == nullptr) return fail(Errc::invalid_argument, reason.data());
    rd_kafka_CreateAcls(client->get(), &binding, 1, nullptr, answers);
    rd_kafka_AclBinding_destroy(binding);
    rd_kafka_event_t* answer = rd_kafka_queue_poll(answers, 30'000);
    const bool well = answer != nullptr && rd_kafka_event_error(answer) == 0;
    if (answer != nullptr) rd_kafka_event_destroy(answer);
    if (!well) return fail(Errc::peer_rejected, "the right cannot be given");
  }
  rd_kafka_queue_destroy(answers);
  return {};
}

Result<void> print_owners(const KafkaSettings& settings, KafkaAdmin& admin,
                          const std::string& topic) {
  MILLRACE_TRY(ends, admin.ends(topic, kPartitions));
  MILLRACE_TRY(reader, KafkaReader::open(settings));
  std::vector<KafkaPosition> positions;
  std::set<int> left;
  for (int p = 0; p < kPartitions; ++p) {
    positions.push_back({topic, p, kKafkaBeginning});
    left.insert(p);
  }
  MILLRACE_CHECK_OK(reader->assign(positions));
  while (!left.empty()) {
    const KafkaBatch batch = reader->next(1000, 1 << 20, seconds(30));
    if (batch.empty()) return fail(Errc::not_connected, "Kafka gives nothing");
    for (const KafkaProblem& problem : batch.problems()) return std::unexpected(problem.error);
    for (const KafkaRecord& record : batch.records()) {
      std::string_view owner;
      for (const auto& [name, value] : record.headers()) {
        if (name == "millrace-owner") owner = value;
      }
      std::cout << record.partition << ' ' << record.offset << ' ' << owner << '\n';
    }
    for (const KafkaPosition& end : batch.ends()) {
      if (end.offset >= ends.at(static_cast<std::size_t>(end.partition))) left.erase(end.partition);
    }
  }
  return {};
}

Result<void> run(const std::vector<std::string>& words) {
  KafkaSettings settings;
  settings.brokers = words.at(0);
  const std::string& what = words.at(1);
  const std::string& topic = words.at(2);
  if (what == "produce") {
    const WallTime at = system_clock().wall_now() - seconds(std::stoi(words.at(4)));
    return produce(settings,
                   {.topic = topic, .partition = std::stoi(words.at(3)), .timestamp = at});
  }
  if (what == "allow") return allow(settings, topic, words.at(3), {words.begin() + 4, words.end()});
  MILLRACE_TRY(admin, KafkaAdmin::open(settings));
  if (what == "owners") return print_owners(settings, *admin, topic);
  if (what == "delete") {
    for (std::size_t at = 2; at < words.size(); ++at) {
      MILLRACE_CHECK_OK(admin->delete_topic(words[at]));
    }
    return {};
  }
  if (what == "trim") {
    const KafkaOffset before{std::stoi(words.at(3)), std::stol(words.at(4))};
    return admin->delete_records(topic, {&before, 1});
  }
  if (what == "offsets") {
    MILLRACE_TRY(offsets, admin->published_offsets(words.at(3), topic, kPartitions));
    MILLRACE_TRY(ends, admin->ends(topic, kPartitions));
    for (const auto& [partition, offset] : offsets) {
      std::cout << partition << ' ' << offset << ' ' << ends.at(partition) << '\n';
    }
    return {};
  }
  const KafkaTopicSpec spec{topic, std::stoi(words.at(3))};
  MILLRACE_TRY(made, admin->ensure_topics({&spec, 1}));
  static_cast<void>(made);
  return {};
}

}  // namespace

}  // namespace millrace

int main(int count, char** arguments) {
  const auto done = millrace::run({arguments + 1, arguments + count});
  if (!done) std::fprintf(stderr, "kafka_tool: %s\n", done.error().message.c_str());
  return done ? 0 : 1;
}
