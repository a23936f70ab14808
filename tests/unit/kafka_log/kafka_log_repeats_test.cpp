#include <gtest/gtest.h>

#include <mutex>

#include "../../conformance/event_log_support.hpp"
#include "kafka_server.hpp"
#include "log/kafka_log.hpp"
#include "millrace/ids.hpp"

namespace millrace::test {
namespace {

/// Makes a start look at the newest records, as the daemon's does.
class NoIds final : public IdMemory {
 public:
  void ids_of(const LogRecord&, std::vector<RecordId>&) const override {}
  void remember(RecordId, WallTime) override {}
  void begin_segment(std::uint64_t) override {}
  void archived_below(std::uint64_t) override {}
};

/// The payloads that the tail of the inbox was told; a place without any is "-".
class Tail {
 public:
  void follow(EventLog& log) {
    log.set_tail_listener(Journal::inbox, [this](const LogStream&, const RecordBatchPtr& batch) {
      const std::lock_guard lock(mutex_);
      for (const LogRecord& record : batch->records) {
        told_.emplace_back(record.topic.empty() ? "-" : record.payload);
      }
    });
  }
  std::vector<std::string> told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> told_;
};

TEST(KafkaLogRepeats, WhatIsWrittenAgainAfterACrashIsReadOnce) {
  if (KafkaServer::shared() == nullptr) GTEST_SKIP();
  NoIds ids;
  const std::string prefix = "repeats-" + random_hex(4);
  const auto open = [&] {
    return open_kafka_log({.settings = KafkaServer::shared()->settings(),
                           .prefix = prefix,
                           .entities = {"order"},
                           .clock = system_clock(),
                           .id_memories = {&ids, nullptr, nullptr}});
  };
  const auto entry = [](std::string payload, std::string id) {
    return std::vector<LogEntry>{
        {.partition = 5, .topic = "shop", .payload = std::move(payload), .id = std::move(id)}};
  };
  const auto payloads = [](EventLog& log) {
    std::vector<std::string> found;
    const auto records = read_all(log, Journal::inbox, log.begins(Journal::inbox));
    EXPECT_TRUE(records) << records.error().message;
    for (const ReadRecord& record : *records) found.push_back(record.payload);
    return found;
  };
  {
    auto log = open();
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_TRUE(append_and_wait(**log, Journal::inbox, entry("first", "a")));
    ASSERT_TRUE(append_and_wait(**log, Journal::inbox, entry("second", "b")));
    (*log)->close();
  }
  auto log = open();
  ASSERT_TRUE(log) << log.error().message;
  Tail tail;
  tail.follow(**log);
  ASSERT_TRUE(append_and_wait(**log, Journal::inbox, entry("first", "a")));
  ASSERT_TRUE(append_and_wait(**log, Journal::inbox, entry("third", "c")));
  EXPECT_EQ((std::vector<std::string>{"-", "third"}), tail.told());
  EXPECT_EQ((std::vector<std::string>{"first", "second", "third"}), payloads(**log));
  (*log)->close();
}

}  // namespace
}  // namespace millrace::test
