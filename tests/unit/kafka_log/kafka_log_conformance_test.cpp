#include "../../conformance/event_log_suite.hpp"
#include "delete_log.hpp"
#include "kafka_server.hpp"
#include "millrace/ids.hpp"

namespace millrace::test {
namespace {

/// Without a Kafka the program says so, and its tests are skipped.
class KafkaHarness final : public EventLogHarness {
 public:
  ~KafkaHarness() override { delete_log(KafkaServer::shared()->settings(), prefix_, kEventTopics); }
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
