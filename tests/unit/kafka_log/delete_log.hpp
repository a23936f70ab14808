// What tests of the log on Kafka leave behind.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_log.hpp"

namespace millrace::test {

/// All topics of a log on Kafka: hundreds of partitions that the server need not keep.
inline void delete_log(const KafkaSettings& settings, const std::string& prefix,
                       std::vector<std::string> entities) {
  const auto admin = KafkaAdmin::open(settings);
  if (!admin) return;
  entities.emplace_back("dead");
  std::vector<std::string> names{prefix + ".log", kafka_topic_of(prefix, Journal::inbox),
                                 kafka_topic_of(prefix, Journal::trail)};
  for (const std::string& topic : entities)
    names.push_back(kafka_topic_of(prefix, {Journal::events, topic}));
  for (const std::string& name : names) EXPECT_TRUE((*admin)->delete_topic(name));
}

}  // namespace millrace::test
