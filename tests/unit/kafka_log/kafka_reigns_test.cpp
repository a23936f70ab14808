// Two instances on one log: what the one that lost a partition hands to Kafka too late.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <mutex>

#include "../../conformance/event_log_support.hpp"
#include "delete_log.hpp"
#include "kafka_server.hpp"
#include "millrace/ids.hpp"

namespace millrace::test {
namespace {

const LogStream kOrders(Journal::events, "order");
constexpr Partition kMoved = 5;

class KafkaReigns : public testing::Test {
 protected:
  void SetUp() override {
    if (KafkaServer::shared() == nullptr) GTEST_SKIP();
    a_ = open("a/1");
    b_ = open("b/1");
    ASSERT_TRUE(a_ && b_);
    b_->set_tail_listener(Journal::events, [this](const LogStream&, const RecordBatchPtr& batch) {
      const std::lock_guard lock(mutex_);
      for (const LogRecord& record : batch->records) {
        told_ += fmt::format("{}:{} ", record.offset, record.topic.empty() ? "-" : record.payload);
      }
    });
  }
  void TearDown() override {
    if (a_) delete_log(KafkaServer::shared()->settings(), prefix_, {"order"});
  }
  std::unique_ptr<EventLog> open(const std::string& owner) {
    auto log = open_kafka_log({.settings = KafkaServer::shared()->settings(),
                               .prefix = prefix_,
                               .entities = {"order"},
                               .clock = system_clock(),
                               .owner = owner});
    EXPECT_TRUE(log) << log.error().message;
    return log ? *std::move(log) : nullptr;
  }
  static void append(EventLog& log, const std::string& payload, bool of_owner = true) {
    LogEntry entry{kMoved, "order", payload, {}};
    entry.of_owner = of_owner;
    ASSERT_TRUE(append_and_wait(log, Journal::events, {std::move(entry)}));
  }
  void take_over() {
    ASSERT_TRUE(b_->follow({kMoved}));
    TopicReigns reigns;
    reigns["order"].at(kMoved) = {{b_->ends(kOrders)[kMoved], "b/1"}};
    b_->set_reigns(reigns);
  }
  std::string told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  bool is_told(const std::string& wanted) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (told() != wanted && std::chrono::steady_clock::now() < until) ::poll(nullptr, 0, 5);
    return told() == wanted;
  }
  static std::string read(EventLog& log) {
    const auto records = read_all(log, kOrders, log.begins(kOrders));
    EXPECT_TRUE(records) << records.error().message;
    std::string text;
    for (const ReadRecord& one : *records) text += fmt::format("{}:{} ", one.offset, one.payload);
    return text;
  }

  const std::string prefix_ = "reigns-" + random_hex(4);
  std::unique_ptr<EventLog> a_;
  std::unique_ptr<EventLog> b_;

 private:
  std::mutex mutex_;
  std::string told_;
};

TEST_F(KafkaReigns, WhatComesLateOfAnEarlierOwnerIsPassedOver) {
  append(*a_, "a1");
  take_over();
  append(*a_, "late");
  append(*b_, "b1");
  append(*a_, "sent to /events", false);
  append(*a_, "later");
  append(*b_, "b2");
  EXPECT_TRUE(is_told("1:- 2:b1 3:sent to /events 4:- 5:b2 ")) << told();
  EXPECT_EQ("0:a1 2:b1 3:sent to /events 5:b2 ", read(*b_));
  EXPECT_EQ(2u, b_->passed_over()) << "each once, however often it is read";
  EXPECT_EQ(0u, a_->passed_over());
}

TEST_F(KafkaReigns, AReaderThatIsAtTheEndBehindALateOneGoesOn) {
  append(*a_, "a1");
  take_over();
  append(*a_, "late");
  ASSERT_TRUE(is_told("1:- ")) << told();
  auto reader = b_->open_reader(kOrders, b_->begins(kOrders));
  ASSERT_TRUE(reader);
  const auto first = (*reader)->next(10, 1 << 20);
  ASSERT_TRUE(first);
  EXPECT_EQ(1u, (*first)->records.size());
  const auto none = (*reader)->next(10, 1 << 20);
  ASSERT_TRUE(none);
  EXPECT_TRUE((*none)->records.empty());
  EXPECT_EQ(2u, (*reader)->position()[kMoved]);
  append(*b_, "b1");
  const auto next = (*reader)->next(10, 1 << 20);
  ASSERT_TRUE(next);
  ASSERT_EQ(1u, (*next)->records.size());
  EXPECT_EQ("b1", (*next)->records.front().payload);
}

}  // namespace
}  // namespace millrace::test
