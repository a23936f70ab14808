#include "stores/kafka_copy_target.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kafka_server.hpp"
#include "log/kafka_log.hpp"
#include "millrace/ids.hpp"

namespace millrace::stores {
namespace {

constexpr WallTime kMorning{std::chrono::hours(490'000)};
const LogStream kOrders(Journal::events, "order");

/// Without a Kafka the program says so, and its tests are skipped.
class KafkaCopyTargetTest : public testing::Test {
 protected:
  void SetUp() override {
    if (KafkaServer::shared() == nullptr) GTEST_SKIP() << "no Kafka";
    to_.name = "test";
    to_.kafka_log = config::KafkaLog{.brokers = KafkaServer::shared()->settings().brokers,
                                     .prefix = "copy-" + random_hex(4)};
    plan_.from = "old";
    plan_.topics = {"order"};
    plan_.rooms[kOrders][1] = 3;
  }

  /// Begun.
  std::unique_ptr<LogCopyTarget> target() {
    auto opened = open_kafka_copy_target(to_);
    EXPECT_TRUE(opened) << opened.error().message;
    begun_ = (*opened)->begin(plan_);
    return *std::move(opened);
  }
  void write(LogCopyTarget& target, const std::vector<std::string>& payloads) {
    for (std::size_t i = 0; i < payloads.size(); ++i) {
      const WallTime at = kMorning + seconds(i);
      ASSERT_TRUE(target.write(Journal::events, {1, 0, at, "order", payloads[i], {}}));
    }
    ASSERT_TRUE(target.flush());
  }
  std::vector<std::string> written(LogReader& reader) {
    std::vector<std::string> found;
    for (;;) {
      const auto batch = reader.next(100, 10'000);
      EXPECT_TRUE(batch) << batch.error().message;
      if (!batch || (*batch)->records.empty()) return found;
      for (const LogRecord& record : (*batch)->records) {
        found.push_back(fmt::format("{}:{} {} {}", record.partition, record.offset,
                                    (record.appended_at - kMorning) / seconds(1), record.payload));
      }
    }
  }
  Result<std::unique_ptr<EventLog>> open() {
    return open_kafka_log({.settings = KafkaServer::shared()->settings(),
                           .prefix = to_.kafka_log->prefix,
                           .entities = plan_.topics,
                           .clock = system_clock()});
  }

  config::Installation to_;
  CopyPlan plan_;
  Result<void> begun_;
};

TEST_F(KafkaCopyTargetTest, GoesOnAndIsALogOnlyWhenItIsComplete) {
  auto copy = target();
  ASSERT_TRUE(begun_) << begun_.error().message;
  write(*copy, {"a", "b"});
  copy.reset();
  const auto early = open();
  ASSERT_FALSE(early);
  EXPECT_EQ(Errc::conflict, early.error().code);

  copy = target();
  ASSERT_TRUE(begun_);
  write(*copy, {"a", "b", "c"});
  auto reader = copy->open_reader(kOrders);
  ASSERT_TRUE(reader);
  const std::vector<std::string> expected{"1:3 0 a", "1:4 1 b", "1:5 2 c"};
  EXPECT_EQ(expected, written(**reader)) << "behind the room for what rows name";
  ASSERT_TRUE(copy->complete({"complete", "old", {}, {}, {}}));
  copy.reset();
  const auto log = open();
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(3, (*log)->begins(kOrders)[1]);
  reader = (*log)->open_reader(kOrders, (*log)->begins(kOrders));
  EXPECT_EQ(expected, written(**reader));
}

TEST_F(KafkaCopyTargetTest, BeginsAnewAfterWhatWasNotWrittenAsItShould) {
  auto copy = target();
  ASSERT_TRUE(begun_) << begun_.error().message;
  write(*copy, {"a", "a"});
  ASSERT_TRUE(copy->give_up({"differs", "old", {}, {}, {}}));
  copy.reset();
  copy = target();
  ASSERT_TRUE(begun_) << begun_.error().message;
  write(*copy, {"a", "b"});
  auto reader = copy->open_reader(kOrders);
  ASSERT_TRUE(reader);
  EXPECT_EQ((std::vector<std::string>{"1:5 0 a", "1:6 1 b"}), written(**reader));
}

TEST_F(KafkaCopyTargetTest, BeginsAnewWhenTheOtherLogBeginsElsewhere) {
  auto copy = target();
  ASSERT_TRUE(begun_) << begun_.error().message;
  write(*copy, {"a", "b"});
  copy.reset();
  plan_.begins["events"][1] = 1;
  copy = target();
  ASSERT_TRUE(begun_) << begun_.error().message;
  write(*copy, {"b"});
  auto reader = copy->open_reader(kOrders);
  ASSERT_TRUE(reader);
  EXPECT_EQ((std::vector<std::string>{"1:5 0 b"}), written(**reader));
}

TEST_F(KafkaCopyTargetTest, LeavesOtherLogsAndTheirCopiesAlone) {
  auto log = open();
  ASSERT_TRUE(log) << log.error().message;
  (*log)->close();
  target();
  ASSERT_FALSE(begun_);
  EXPECT_EQ(Errc::conflict, begun_.error().code);

  to_.kafka_log->prefix += "-b";
  target();
  ASSERT_TRUE(begun_) << begun_.error().message;
  plan_.from = "another";
  target();
  ASSERT_FALSE(begun_);
  EXPECT_EQ(Errc::conflict, begun_.error().code);
}

}  // namespace
}  // namespace millrace::stores
