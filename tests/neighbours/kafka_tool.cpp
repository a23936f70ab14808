// What scenarios do to a Kafka: kafka_tool BROKERS create TOPIC PARTITIONS | delete TOPIC |
// trim TOPIC PARTITION OFFSET | offsets TOPIC GROUP | produce TOPIC PARTITION. `offsets` prints a
// line for each partition of 64 that the group has an offset in, `PARTITION OFFSET END`. `produce`
// writes a record for each line of stdin, KEY, VALUE and headers NAME=VALUE with tabs between them,
// and ends when all are acknowledged.
#include <cstdio>
#include <future>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "kafka/kafka_producer.hpp"

namespace millrace {

namespace {

KafkaMessage message_of(const std::string& topic, int partition, const std::string& line) {
  std::vector<std::string> words;
  std::istringstream rest(line);
  for (std::string word; std::getline(rest, word, '\t');) words.push_back(word);
  KafkaMessage message{.topic = topic, .partition = partition};
  message.key = words.at(0);
  message.value = words.at(1);
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    message.headers.push_back({words[i].substr(0, equals), words[i].substr(equals + 1)});
  }
  return message;
}

Result<void> produce(const KafkaSettings& settings, const std::string& topic, int partition) {
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
      auto taken =
          producer->send(message_of(topic, partition, line), [&](const Result<KafkaPlace>& place) {
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

Result<void> run(const std::vector<std::string>& words) {
  KafkaSettings settings;
  settings.brokers = words.at(0);
  const std::string& what = words.at(1);
  const std::string& topic = words.at(2);
  if (what == "produce") return produce(settings, topic, std::stoi(words.at(3)));
  MILLRACE_TRY(admin, KafkaAdmin::open(settings));
  if (what == "delete") return admin->delete_topic(topic);
  if (what == "trim") {
    const KafkaOffset before{std::stoi(words.at(3)), std::stol(words.at(4))};
    return admin->delete_records(topic, {&before, 1});
  }
  if (what == "offsets") {
    MILLRACE_TRY(offsets, admin->published_offsets(words.at(3), topic, 64));
    MILLRACE_TRY(ends, admin->ends(topic, 64));
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
