#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "../../conformance/event_log_support.hpp"
#include "kafka_server.hpp"
#include "log/kafka_log.hpp"
#include "millrace/ids.hpp"
#include "stores/kafka_copy_target.hpp"
#include "stores/log_copy_source.hpp"

namespace millrace::stores {
namespace {

constexpr WallTime kMorning{std::chrono::hours(490'000)};
// More than are put in order at a time, many of them in one moment, and days without any.
constexpr int kRecords = 150'000;
constexpr int kBurst = 120'000;

WallTime time_of(int record) {
  if (record < kBurst) return kMorning;
  return kMorning + std::chrono::hours(24 * 30) + seconds(record);
}

config::Installation installation() {
  config::Installation to;
  to.name = "test";
  to.kafka_log = config::KafkaLog{.brokers = KafkaServer::shared()->settings().brokers,
                                  .prefix = "read-" + random_hex(4)};
  return to;
}

void write_copy(const config::Installation& to) {
  auto target = open_kafka_copy_target(to);
  ASSERT_TRUE(target) << target.error().message;
  ASSERT_TRUE((*target)->begin({.from = "old", .begins = {}, .topics = {"a", "b"}, .rooms = {}}));
  for (int i = 0; i < kRecords; ++i) {
    const std::string payload = std::to_string(i);
    const LogRecord record{static_cast<Partition>(i % 7), 0,       time_of(i),
                           i % 3 == 0 ? "a" : "b",        payload, {}};
    ASSERT_TRUE((*target)->write(Journal::events, record));
  }
  ASSERT_TRUE((*target)->flush());
  ASSERT_TRUE((*target)->complete({"complete", "old", {}, {}, {}}));
}

TEST(KafkaCopySource, ReadsAllTopicsInTheOrderOfTheirTimes) {
  if (KafkaServer::shared() == nullptr) GTEST_SKIP() << "no Kafka";
  const config::Installation at = installation();
  write_copy(at);
  auto log = open_kafka_log({.settings = KafkaServer::shared()->settings(),
                             .prefix = at.kafka_log->prefix,
                             .entities = {"a", "b"},
                             .clock = system_clock()});
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(kRecords, records_in(**log));
  auto source = kafka_copy_source(**log, at, {});
  ASSERT_TRUE(source);
  WallTime time;
  std::map<std::pair<std::string, Partition>, int> last;
  int seen = 0;
  const auto read = (*source)->read([&](Journal, const LogRecord& record) -> Result<void> {
    EXPECT_LE(time, record.appended_at);
    time = record.appended_at;
    const int number = std::stoi(std::string(record.payload));
    const auto [at_one, first] =
        last.try_emplace({std::string(record.topic), record.partition}, number);
    if (!first) EXPECT_LT(std::exchange(at_one->second, number), number);
    ++seen;
    return {};
  });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(kRecords, seen);
}

TEST(KafkaCopySource, PassesOverWhatIsThereTwice) {
  if (KafkaServer::shared() == nullptr) GTEST_SKIP() << "no Kafka";
  const config::Installation at = installation();
  const auto open = [&at] {
    return open_kafka_log({.settings = KafkaServer::shared()->settings(),
                           .prefix = at.kafka_log->prefix,
                           .entities = {"a"},
                           .clock = system_clock()});
  };
  // As after a crash: what was not acknowledged is written once more.
  for (const auto& payloads : {std::vector{"x", "y"}, std::vector{"y", "z"}}) {
    auto log = open();
    ASSERT_TRUE(log) << log.error().message;
    for (const std::string payload : payloads) {
      std::vector<LogEntry> group{{5, "shop", payload, {}, "id of " + payload}};
      ASSERT_TRUE(test::append_and_wait(**log, Journal::inbox, std::move(group)));
    }
    (*log)->close();
  }
  auto log = open();
  ASSERT_TRUE(log) << log.error().message;
  auto source = kafka_copy_source(**log, at, {});
  ASSERT_TRUE(source);
  std::vector<std::string> read;
  ASSERT_TRUE((*source)->read([&](Journal, const LogRecord& record) -> Result<void> {
    read.push_back(fmt::format("{} {}", record.offset, record.payload));
    return {};
  }));
  EXPECT_EQ((std::vector<std::string>{"0 x", "1 y", "3 z"}), read);
}

TEST(KafkaCopySource, PassesOverWhatCameTooLate) {
  if (KafkaServer::shared() == nullptr) GTEST_SKIP() << "no Kafka";
  const config::Installation at = installation();
  const auto append = [&at](const std::string& owner, const std::string& payload) {
    auto log = open_kafka_log({.settings = KafkaServer::shared()->settings(),
                               .prefix = at.kafka_log->prefix,
                               .entities = {"a"},
                               .clock = system_clock(),
                               .owner = owner});
    ASSERT_TRUE(log) << log.error().message;
    LogEntry entry{5, "a", payload, {}};
    entry.of_owner = true;
    ASSERT_TRUE(test::append_and_wait(**log, Journal::events, {std::move(entry)}));
    (*log)->close();
  };
  append("a/1", "first");
  append("b/1", "second");
  append("a/1", "late");
  append("b/1", "third");
  auto log = open_kafka_log({.settings = KafkaServer::shared()->settings(),
                             .prefix = at.kafka_log->prefix,
                             .entities = {"a"},
                             .clock = system_clock()});
  ASSERT_TRUE(log) << log.error().message;
  TopicReigns reigns;
  reigns["a"].at(5) = {{1, "b/1"}};
  auto source = kafka_copy_source(**log, at, reigns);
  ASSERT_TRUE(source);
  std::vector<std::string> read;
  ASSERT_TRUE((*source)->read([&](Journal, const LogRecord& record) -> Result<void> {
    read.push_back(fmt::format("{} {}", record.offset, record.payload));
    return {};
  }));
  EXPECT_EQ((std::vector<std::string>{"0 first", "1 second", "3 third"}), read);
}

}  // namespace
}  // namespace millrace::stores
