#include "../../conformance/event_log_suite.hpp"
#include "kafka_server.hpp"
#include "log/kafka_log.hpp"
#include "millrace/ids.hpp"

namespace millrace::test {
namespace {

/// Without a Kafka the program says so, and its tests are skipped.
class KafkaHarness final : public EventLogHarness {
 public:
  ~KafkaHarness() override {
    const auto admin = KafkaAdmin::open(KafkaServer::shared()->settings());
    if (!admin) return;
    std::vector<std::string> names{prefix_ + ".log", kafka_topic_of(prefix_, Journal::inbox),
                                   kafka_topic_of(prefix_, Journal::trail)};
    for (const std::string topic : {"order", "tracking", "t", "dead"}) {
      names.push_back(kafka_topic_of(prefix_, {Journal::events, topic}));
    }
    for (const std::string& name : names) EXPECT_TRUE((*admin)->delete_topic(name));
  }
  std::unique_ptr<EventLog> open() override {
    auto log = open_kafka_log({.settings = KafkaServer::shared()->settings(),
                               .prefix = prefix_,
                               .entities = kEventTopics,
                               .clock = system_clock()});
    EXPECT_TRUE(log) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }

 private:
  std::string prefix_ = "test-" + random_hex(4);
};

std::unique_ptr<EventLogHarness> on_kafka() {
  if (KafkaServer::shared() == nullptr) return nullptr;
  return std::make_unique<KafkaHarness>();
}

INSTANTIATE_TEST_SUITE_P(KafkaLog, EventLogSuite, ::testing::Values(&on_kafka));

}  // namespace
}  // namespace millrace::test
