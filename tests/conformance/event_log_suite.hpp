// What every EventLog must do. An implementation runs it unchanged:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, EventLogSuite, ::testing::Values(&make_my_harness));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>

#include "event_log_support.hpp"

namespace millrace::test {

/// Opens the same log again and again; one at a time.
class EventLogHarness {
 public:
  virtual ~EventLogHarness() = default;
  /// A log whose events have the topics kEventTopics.
  virtual std::unique_ptr<EventLog> open() = 0;
};
inline const std::vector<std::string> kEventTopics{"order", "tracking", "t"};
using MakeEventLogHarness = std::unique_ptr<EventLogHarness> (*)();

class EventLogSuite : public ::testing::TestWithParam<MakeEventLogHarness> {
 protected:
  void SetUp() override {
    harness_ = GetParam()();
    if (!harness_) GTEST_SKIP();  // the harness said why
    reopen();
  }
  void reopen() {
    if (log_) log_->close();
    log_.reset();
    log_ = harness_->open();
    ASSERT_NE(log_, nullptr);
  }
  AppendResult append(Journal journal, std::vector<LogEntry> group) {
    return append_and_wait(*log_, journal, std::move(group));
  }
  LogStream events(std::string_view topic = "t") const {
    return log_->stream_of(Journal::events, topic);
  }
  std::vector<ReadRecord> read(const LogStream& stream, const PartitionOffsets& from = {}) {
    auto records = read_all(*log_, stream, from);
    EXPECT_TRUE(records) << records.error().message;
    return records ? std::move(*records) : std::vector<ReadRecord>();
  }

  std::unique_ptr<EventLogHarness> harness_;
  std::unique_ptr<EventLog> log_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EventLogSuite);

TEST_P(EventLogSuite, GivesDenseOffsetsPerPartitionAndReadsBackInOrder) {
  EXPECT_TRUE(log_->empty());
  EXPECT_EQ(append(Journal::events, {{3, "order", "a"}, {5, "order", "b"}, {3, "order", "c"}}),
            (std::vector<Offset>{0, 0, 1}));
  EXPECT_EQ(append(Journal::events, {{3, "order", "d"}}), (std::vector<Offset>{2}));
  EXPECT_FALSE(log_->empty());
  EXPECT_EQ(log_->ends(events("order"))[3], 3u);
  EXPECT_EQ(log_->ends(events("order"))[5], 1u);
  EXPECT_EQ(log_->ends(Journal::inbox)[3], 0u);
  std::string third;
  for (const ReadRecord& record : read(events("order"))) {
    if (record.partition != 3) continue;
    third += record.topic + std::to_string(record.offset) + record.payload + " ";
  }
  EXPECT_EQ(third, "order0a order1c order2d ");
  EXPECT_TRUE(read(Journal::inbox).empty());
}

TEST_P(EventLogSuite, EveryTopicLiesInOneStreamAndIsReadThere) {
  const auto offsets = append(Journal::events, {{3, "order", "a"}, {3, "tracking", "b"}});
  ASSERT_TRUE(offsets);
  const auto streams = log_->streams(Journal::events);
  Offset records = 0;
  for (const LogStream& stream : streams) records += log_->ends(stream)[3];
  EXPECT_EQ(records, 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string topic = i == 0 ? "order" : "tracking";
    EXPECT_NE(std::ranges::find(streams, events(topic)), streams.end());
    PartitionOffsets from;
    from.fill(kSkipPartition);
    from[3] = offsets->at(i);
    const auto found = read(events(topic), from);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.front().topic, topic);
    EXPECT_EQ(found.front().offset, offsets->at(i));
  }
}

TEST_P(EventLogSuite, RunsTheCompletionOnTheGivenExecutorOnly) {
  TestExecutor executor;
  bool done = false;
  const auto here = std::this_thread::get_id();
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> known = held;
  log_->append(Journal::inbox, {{1, "odoo", "x"}}, executor, [&, held](AppendResult result) {
    EXPECT_TRUE(result);
    EXPECT_EQ(std::this_thread::get_id(), here);
    // What is completed is durable, and what is durable can be read.
    EXPECT_EQ(log_->ends(Journal::inbox)[1], 1u);
    done = true;
  });
  held.reset();
  EXPECT_TRUE(executor.run_until([&] { return done; }));
  EXPECT_TRUE(known.expired()) << "what a completion holds may live on its executor only";
}

TEST_P(EventLogSuite, KeepsBytesAsTheyAre) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every.push_back(static_cast<char>(byte));
  ASSERT_TRUE(append(Journal::inbox, {{0, "", ""}, {0, "topic", every}}));
  const auto records = read(Journal::inbox);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].payload, "");
  EXPECT_EQ(records[1].payload, every);
}

TEST_P(EventLogSuite, ReadsFromTheGivenOffsetsAndSkipsPartitions) {
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(append(Journal::events, {{1, "t", "a"}, {2, "t", "b"}, {3, "t", "c"}}));
  }
  PartitionOffsets from;
  from.fill(kSkipPartition);
  from[1] = 4;
  from[3] = 10;
  auto reader = log_->open_reader(events(), from);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ((*reader)->position(), from);
  Offset expected = 4;
  for (;;) {
    auto batch = (*reader)->next(4, 1 << 20);
    ASSERT_TRUE(batch);
    if ((*batch)->records.empty()) break;
    EXPECT_LE((*batch)->records.size(), 4u);
    for (const LogRecord& record : (*batch)->records) {
      EXPECT_EQ(record.partition, 1);
      EXPECT_EQ(record.offset, expected++);
    }
    EXPECT_EQ((*reader)->position()[1], expected);
  }
  EXPECT_EQ(expected, 10u);
  EXPECT_EQ((*reader)->position()[2], kSkipPartition);
  EXPECT_EQ((*reader)->position()[3], 10u);
}

TEST_P(EventLogSuite, AlwaysProgressesHoweverSmallTheLimits) {
  ASSERT_TRUE(append(Journal::events, {{1, "t", std::string(5000, 'x')}, {1, "t", "small"}}));
  auto reader = log_->open_reader(events(), {});
  ASSERT_TRUE(reader);
  for (const std::size_t size : {std::size_t{5000}, std::size_t{5}}) {
    auto batch = (*reader)->next(100, 1);
    ASSERT_TRUE(batch);
    ASSERT_EQ((*batch)->records.size(), 1u);
    EXPECT_EQ((*batch)->records[0].payload.size(), size);
  }
}

TEST_P(EventLogSuite, AReaderAtTheEndGoesOnWhenMoreIsDurable) {
  auto reader = log_->open_reader(Journal::inbox, {});
  ASSERT_TRUE(reader);
  for (Offset round = 0; round < 5; ++round) {
    auto nothing = (*reader)->next(10, 1 << 20);
    ASSERT_TRUE(nothing);
    EXPECT_TRUE((*nothing)->records.empty());
    ASSERT_TRUE(append(Journal::inbox, {{7, "c", "p"}}));
    auto batch = (*reader)->next(10, 1 << 20);
    ASSERT_TRUE(batch);
    ASSERT_EQ((*batch)->records.size(), 1u);
    EXPECT_EQ((*batch)->records[0].offset, round);
  }
}

TEST_P(EventLogSuite, HandsEveryDurableBatchToTheListenerBeforeItsCompletions) {
  std::mutex mutex;
  std::vector<RecordBatchPtr> batches;
  log_->set_tail_listener(Journal::events, [&](const LogStream&, const RecordBatchPtr& batch) {
    std::lock_guard guard(mutex);
    batches.push_back(batch);
  });
  TestExecutor executor;
  int completed = 0;
  for (int i = 0; i < 100; ++i) {
    log_->append(Journal::events, {{9, "t", std::to_string(i)}}, executor,
                 [&, i](AppendResult result) {
                   ASSERT_TRUE(result);
                   ++completed;
                   std::lock_guard guard(mutex);
                   ASSERT_FALSE(batches.empty());
                   EXPECT_GE(batches.back()->records.back().offset, static_cast<Offset>(i));
                 });
  }
  ASSERT_TRUE(executor.run_until([&] { return completed == 100; }));
  std::lock_guard guard(mutex);
  Offset expected = 0;
  for (const RecordBatchPtr& batch : batches) {
    for (const LogRecord& record : batch->records) {
      EXPECT_EQ(record.offset, expected);
      EXPECT_EQ(record.topic, "t");
      EXPECT_EQ(record.payload, std::to_string(expected));
      ++expected;
    }
  }
  EXPECT_EQ(expected, 100u);
}

TEST_P(EventLogSuite, RefusesAGroupThatExceedsAFrameAndGoesOn) {
  std::vector<LogEntry> group;
  for (int i = 0; i < 17; ++i) group.push_back({1, "t", std::string(1u << 20, 'x')});
  const auto refused = append(Journal::inbox, group);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_TRUE(append(Journal::inbox, {{1, "t", "small"}}));
  EXPECT_EQ(log_->ends(Journal::inbox)[1], 1u);
}

TEST_P(EventLogSuite, KeepsEverythingWhenOpenedAgain) {
  const std::string uuid = log_->uuid();
  ASSERT_TRUE(append(Journal::inbox, {{1, "odoo", "first"}, {2, "odoo", "second"}}));
  ASSERT_TRUE(append(Journal::events, {{1, "order", "third"}}));
  ASSERT_TRUE(append(Journal::trail, {{1, "hop", "fourth"}}));
  const std::string ends = log_->durable_ends();
  EXPECT_TRUE(log_->verify_ends(ends));
  reopen();
  EXPECT_EQ(log_->uuid(), uuid);
  EXPECT_FALSE(log_->empty());
  EXPECT_TRUE(log_->verify_ends(ends));
  EXPECT_EQ(read(Journal::inbox).size(), 2u);
  EXPECT_EQ(read(events("order")).at(0).payload, "third");
  EXPECT_EQ(read(Journal::trail).at(0).payload, "fourth");
  EXPECT_EQ(append(Journal::inbox, {{1, "odoo", "fifth"}}), (std::vector<Offset>{1}));
}

TEST_P(EventLogSuite, TimesNeverGoDown) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(append(Journal::inbox, {{static_cast<Partition>(i % 3), "t", "x"}}));
    if (i == 10) reopen();
  }
  std::map<Partition, WallTime> last;
  for (const ReadRecord& record : read(Journal::inbox)) {
    EXPECT_GE(record.appended_at, last[record.partition]);
    EXPECT_GT(record.appended_at, WallTime());
    last[record.partition] = record.appended_at;
  }
  EXPECT_EQ(last.size(), 3u);
}

TEST_P(EventLogSuite, CompletesWhatWasAppendedBeforeClosingAndRefusesWhatComesAfter) {
  TestExecutor executor;
  int completed = 0;
  for (int i = 0; i < 50; ++i) {
    log_->append(Journal::events, {{1, "t", "x"}}, executor, [&](AppendResult result) {
      EXPECT_TRUE(result);
      ++completed;
    });
  }
  log_->close();
  EXPECT_TRUE(executor.run_until([&] { return completed == 50; }));
  const auto refused = append(Journal::events, {{1, "t", "late"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::stopping);
  log_.reset();
  reopen();
  EXPECT_EQ(log_->ends(events())[1], 50u);
}

TEST_P(EventLogSuite, AppendersAndReadersRunSideBySide) {
  constexpr int kThreads = 4;
  constexpr Offset kGroups = 100;
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      TestExecutor executor;
      Offset completed = 0;
      const auto own = static_cast<Partition>(thread);
      for (Offset i = 0; i < kGroups; ++i) {
        log_->append(Journal::events, {{own, "t", std::to_string(i)}, {60, "t", "shared"}},
                     executor, [&, i](AppendResult result) {
                       ASSERT_TRUE(result);
                       EXPECT_EQ(result->at(0), i);
                       ++completed;
                     });
      }
      EXPECT_TRUE(executor.run_until([&] { return completed == kGroups; }));
      --running;
    });
  }
  auto reader = log_->open_reader(events(), {});
  ASSERT_TRUE(reader);
  std::map<Partition, Offset> seen;
  for (bool last_round = false;;) {
    const bool ended = running == 0;
    auto batch = (*reader)->next(37, 1 << 16);
    ASSERT_TRUE(batch) << batch.error().message;
    for (const LogRecord& record : (*batch)->records) {
      EXPECT_EQ(record.offset, seen[record.partition]++);
      if (record.partition < kThreads) EXPECT_EQ(record.payload, std::to_string(record.offset));
    }
    if (last_round && (*batch)->records.empty()) break;
    last_round = ended;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen[60], kThreads * kGroups);
}

TEST_P(EventLogSuite, RefusesTheEndsOfAnotherLog) {
  ASSERT_TRUE(append(Journal::inbox, {{1, "t", "x"}}));
  const std::string ends = log_->durable_ends();
  const auto other = GetParam()();
  auto log = other->open();
  ASSERT_NE(log, nullptr);
  EXPECT_FALSE(log->verify_ends(ends));
  EXPECT_FALSE(log_->verify_ends("not what was stored"));
}

}  // namespace millrace::test
