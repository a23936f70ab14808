#include "log/follower.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "../../conformance/event_log_support.hpp"
#include "log/tail_feed.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

/// A journal in memory whose durable end the test moves.
class FakeLog final : public EventLog {
 public:
  /// Makes the records durable; returns them as the tail listener would get them.
  RecordBatchPtr add(const std::vector<LogEntry>& entries) {
    auto batch = std::make_shared<RecordBatch>();
    for (const LogEntry& entry : entries) {
      kept_.push_back(std::make_shared<LogEntry>(entry));
      records_.push_back({entry.partition,
                          ends_[entry.partition]++,
                          {},
                          kept_.back()->topic,
                          kept_.back()->payload});
      batch->records.push_back(records_.back());
      batch->bytes.append(entry.topic).append(entry.payload);
    }
    const char* at = batch->bytes.data();
    for (LogRecord& record : batch->records) {
      record.topic = {at, record.topic.size()};
      at += record.topic.size();
      record.payload = {at, record.payload.size()};
      at += record.payload.size();
    }
    return batch;
  }
  void trim_everything() { begins_ = ends_; }
  const std::vector<LogRecord>& records() const { return records_; }
  int opened = 0;

  void append(Journal, std::vector<LogEntry>, Executor&, AppendDone) override { std::abort(); }
  void set_tail_listener(Journal, TailListener) override { std::abort(); }
  Result<std::unique_ptr<LogReader>> open_reader(Journal, const PartitionOffsets& from) override {
    ++opened;
    for (Partition partition = 0; partition < kPartitionCount; ++partition) {
      if (from[partition] != kSkipPartition && from[partition] < begins_[partition]) {
        return fail(Errc::not_found, "trimmed");
      }
    }
    return std::make_unique<Reader>(*this, from);
  }
  PartitionOffsets ends(Journal) const override { return ends_; }
  PartitionOffsets begins(Journal) const override { return begins_; }
  std::string durable_ends() const override { return {}; }
  Result<void> verify_ends(std::string_view) const override { return {}; }
  std::string uuid() const override { return {}; }
  bool empty() const override { return records_.empty(); }
  Usage usage() const override { return {}; }
  Result<void> trim(Journal, WallTime, const PartitionOffsets&) override { return {}; }
  void close() override {}

 private:
  class Reader final : public LogReader {
   public:
    Reader(FakeLog& log, const PartitionOffsets& from) : log_(log), position_(from) {}
    Result<RecordBatchPtr> next(std::size_t records_max, std::size_t bytes_max) override {
      std::vector<const LogRecord*> chosen;
      std::size_t bytes = 0;
      for (; at_ < log_.records_.size() && chosen.size() < records_max; ++at_) {
        const LogRecord& record = log_.records_[at_];
        if (record.offset < position_[record.partition]) continue;
        bytes += text_bytes(record);
        if (!chosen.empty() && bytes > bytes_max) break;
        chosen.push_back(&record);
        position_[record.partition] = record.offset + 1;
      }
      return copy_records(chosen);
    }
    const PartitionOffsets& position() const override { return position_; }

   private:
    FakeLog& log_;
    PartitionOffsets position_;
    std::size_t at_ = 0;
  };

  std::vector<std::shared_ptr<LogEntry>> kept_;
  std::vector<LogRecord> records_;
  PartitionOffsets ends_{};
  PartitionOffsets begins_{};
};

/// The shard has partitions 0 to 3.
PartitionOffsets shard_offsets(const PartitionOffsets& ends) {
  PartitionOffsets offsets = ends;
  for (Partition partition = 4; partition < kPartitionCount; ++partition) {
    offsets[partition] = kSkipPartition;
  }
  return offsets;
}

class FollowerTest : public ::testing::Test {
 protected:
  FollowerContext context() { return {dispatcher_, log_, Journal::events, shard_, reader_}; }
  std::unique_ptr<Follower> follow(FollowerOptions options = {},
                                   const PartitionOffsets& from = {}) {
    return std::make_unique<Follower>(context(), from, std::move(options));
  }
  void tail(const std::vector<LogEntry>& entries) { dispatcher_.dispatch(log_.add(entries)); }
  void settle() {
    while (reader_.run_one() || shard_.run_one()) {
    }
  }
  static std::string drain(Follower& follower) {
    std::string payloads;
    while (auto record = follower.pop()) payloads += std::string(record->record->payload) + " ";
    return payloads;
  }

  FakeLog log_;
  TestExecutor shard_;
  TestExecutor reader_;
  TailDispatcher dispatcher_{shard_offsets({})};
};

TEST_F(FollowerTest, GetsItsTopicsOfItsShardFromTheTailWithoutReading) {
  auto orders = follow({.topics = {"order"}});
  auto all = follow();
  tail({{0, "order", "a"}, {1, "tracking", "b"}, {9, "order", "other shard"}, {1, "order", "c"}});
  settle();
  EXPECT_EQ(drain(*orders), "a c ");
  EXPECT_EQ(drain(*all), "a b c ");
  EXPECT_EQ(log_.opened, 0);
  EXPECT_FALSE(all->catching_up());
}

TEST_F(FollowerTest, SharesOneSlotPerRecordAmongFollowers) {
  auto first = follow({.topics = {"order"}});
  auto second = follow();
  tail({{0, "order", "a"}, {0, "order", "b"}});
  const auto a = first->pop();
  const auto same = second->pop();
  const auto b = first->pop();
  ASSERT_TRUE(a && same && b);
  EXPECT_EQ(a->shared, same->shared);
  EXPECT_NE(a->shared, b->shared);
}

TEST_F(FollowerTest, StartsWithWhatIsInTheLogAndGoesOnAtTheTail) {
  tail({{0, "t", "0"}, {1, "t", "1"}, {0, "t", "2"}});
  auto follower = follow({.topics = {"t"}});
  tail({{0, "t", "3"}});
  EXPECT_TRUE(follower->catching_up());
  settle();
  EXPECT_EQ(drain(*follower), "0 1 2 3 ");
  settle();
  EXPECT_FALSE(follower->catching_up());
  tail({{1, "t", "4"}});
  EXPECT_EQ(drain(*follower), "4 ");
}

TEST_F(FollowerTest, AFullQueueFallsBehindAndCatchesUp) {
  auto follower = follow({.records_max = 4});
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    tail({{static_cast<Partition>(i % 3), "t", std::to_string(i)}});
    expected += std::to_string(i) + " ";
  }
  EXPECT_EQ(follower->queued(), 4u);
  EXPECT_TRUE(follower->catching_up());
  std::string got;
  for (int round = 0; round < 20; ++round) {
    settle();
    EXPECT_LE(follower->queued(), 4u);
    got += drain(*follower);
  }
  EXPECT_EQ(got, expected);
  EXPECT_FALSE(follower->catching_up());
}

TEST_F(FollowerTest, TheQueueIsBoundedInBytesAndTakesOneLargeRecord) {
  auto follower = follow({.bytes_max = 1000});
  tail({{0, "t", std::string(5000, 'x')}});
  EXPECT_EQ(follower->queued(), 1u);
  tail({{0, "t", "small"}});
  EXPECT_EQ(follower->queued(), 1u);
  EXPECT_TRUE(follower->pop());
  settle();
  EXPECT_EQ(drain(*follower), "small ");
}

TEST_F(FollowerTest, KeepsOfALargeBatchOnlyWhatSomeoneTakes) {
  auto follower = follow({.topics = {"rare"}});
  std::vector<LogEntry> entries;
  for (int i = 0; i < 100; ++i) entries.push_back({0, "common", std::string(2000, 'x')});
  entries.push_back({0, "rare", "it"});
  tail(entries);
  const auto record = follower->pop();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->record->payload, "it");
  EXPECT_EQ(record->record->offset, 100u);
  EXPECT_LT(record->batch->bytes.size(), 100u);
}

TEST_F(FollowerTest, AnIdleFollowersOffsetsAdvanceWithTheTail) {
  auto follower = follow({.topics = {"never"}});
  tail({{0, "t", "a"}, {2, "t", "b"}, {2, "t", "c"}});
  const PartitionOffsets next = follower->next_offsets();
  EXPECT_EQ(next[0], 1u);
  EXPECT_EQ(next[2], 2u);
  EXPECT_EQ(next[5], kSkipPartition);
}

TEST_F(FollowerTest, ReadyIsPostedWhenTheQueueBecomesNonEmpty) {
  auto follower = follow();
  int calls = 0;
  follower->set_ready([&] { ++calls; });
  tail({{0, "t", "a"}, {0, "t", "b"}});
  EXPECT_EQ(calls, 0) << "never from within the dispatcher";
  settle();
  EXPECT_EQ(calls, 1);
  drain(*follower);
  tail({{0, "t", "c"}});
  settle();
  EXPECT_EQ(calls, 2);
  int again = 0;
  follower->set_ready([&] { ++again; });
  settle();
  EXPECT_EQ(again, 1);
}

TEST_F(FollowerTest, MayDieWhileAReadIsOutstanding) {
  tail({{0, "t", "a"}});
  auto follower = follow();
  EXPECT_TRUE(reader_.run_one());
  follower.reset();
  settle();
  follower = follow();
  follower.reset();
  settle();
}

TEST_F(FollowerTest, MayDieInItsOwnReadyCallback) {
  auto follower = follow();
  follower->set_ready([&] { follower.reset(); });
  tail({{0, "t", "a"}});
  settle();
  EXPECT_EQ(follower, nullptr);
}

TEST_F(FollowerTest, ATrimmedLogIsReportedOnce) {
  tail({{0, "t", "a"}});
  log_.trim_everything();
  auto follower = follow();
  std::vector<Errc> failures;
  follower->set_failed([&](const Error& error) { failures.push_back(error.code); });
  settle();
  tail({{0, "t", "b"}});
  settle();
  EXPECT_EQ(failures, std::vector{Errc::not_found});
  EXPECT_FALSE(follower->pop());
  EXPECT_EQ(follower->next_offsets()[0], 0u);
}

TEST_F(FollowerTest, AGapInTheTailIsReadFromTheLog) {
  auto follower = follow();
  tail({{0, "t", "0"}});
  log_.add({{0, "t", "1"}, {1, "t", "2"}});  // never dispatched
  tail({{0, "t", "3"}});
  std::string got;
  for (int i = 0; i < 3; ++i) {
    got += drain(*follower);
    settle();
  }
  EXPECT_EQ(got, "0 1 2 3 ");
}

TEST_F(FollowerTest, AFeedThatOverflowsLosesNothing) {
  auto feed = TailFeed::make(shard_, dispatcher_, 10);
  auto follower = follow();
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    feed->deliver(log_.add({{static_cast<Partition>(i % 2), "t", std::to_string(i)}}));
    expected += std::to_string(i) + " ";
  }
  std::string got;
  for (int round = 0; round < 30; ++round) {
    settle();
    got += drain(*follower);
  }
  EXPECT_EQ(got, expected);
  EXPECT_EQ(dispatcher_.next()[0], 15u);
}

/// Everything at random: appends, late tails, reads, pops, deaths and rebirths at next_offsets().
class RandomRun {
 public:
  explicit RandomRun(std::uint64_t seed) : random_(seed) {
    feed_ = TailFeed::make(shard_, dispatcher_, 20 + random_() % 400);
    for (std::size_t i = 0; i < 5; ++i) {
      Consumer consumer;
      if (i > 0) consumer.topics.push_back(topic());
      if (i > 2) consumer.topics.push_back("D" + std::to_string(i));
      consumers_.push_back(std::move(consumer));
    }
  }

  void run() {
    for (int step = 0; step < 400; ++step) act();
    for (Consumer& consumer : consumers_) {
      if (!consumer.follower) revive(consumer);
    }
    while (true) {
      bool busy = false;
      while (reader_.run_one() || shard_.run_one()) busy = true;
      for (Consumer& consumer : consumers_) busy = pop(consumer) || busy;
      if (!busy) break;
    }
    for (Consumer& consumer : consumers_) check_complete(consumer);
  }

 private:
  struct Consumer {
    std::vector<std::string> topics;
    std::unique_ptr<Follower> follower;
    PartitionOffsets resume = shard_offsets({});
    std::map<Partition, std::vector<Offset>> popped;
  };

  std::string topic() { return std::string(1, static_cast<char>('A' + random_() % 4)); }
  Consumer& any() { return consumers_[random_() % consumers_.size()]; }

  void act() {
    switch (random_() % 8) {
      case 0:
      case 1:
        return append();
      case 2:
        return void(shard_.run_one());
      case 3:
        return void(reader_.run_one());
      case 4:
        return void(shard_.run_one() && shard_.run_one() && shard_.run_one());
      case 5:
      case 6:
        return void(pop(any()));
      default:
        break;
    }
    Consumer& consumer = any();
    if (!consumer.follower) return revive(consumer);
    check_next(consumer);
    if (random_() % 4 != 0) return;
    consumer.resume = consumer.follower->next_offsets();
    consumer.follower.reset();
  }

  void append() {
    std::vector<LogEntry> entries;
    for (std::size_t i = 1 + random_() % 6; i > 0; --i) {
      entries.push_back(
          {static_cast<Partition>(random_() % 6), topic(), std::string(random_() % 40, 'p')});
    }
    feed_->deliver(log_.add(entries));
  }

  void revive(Consumer& consumer) {
    FollowerOptions options{.topics = consumer.topics};
    options.records_max = 1 + random_() % 12;
    options.bytes_max = 50 + random_() % 500;
    consumer.follower = std::make_unique<Follower>(
        FollowerContext{dispatcher_, log_, Journal::events, shard_, reader_}, consumer.resume,
        std::move(options));
  }

  bool pop(Consumer& consumer) {
    if (!consumer.follower) return false;
    const auto record = consumer.follower->pop();
    if (!record) return false;
    consumer.popped[record->record->partition].push_back(record->record->offset);
    return true;
  }

  std::vector<Offset> expected(const Consumer& consumer, Partition partition, Offset below) {
    std::vector<Offset> offsets;
    for (const LogRecord& record : log_.records()) {
      if (record.partition != partition || record.offset >= below) continue;
      if (consumer.topics.empty() || std::find(consumer.topics.begin(), consumer.topics.end(),
                                               record.topic) != consumer.topics.end()) {
        offsets.push_back(record.offset);
      }
    }
    return offsets;
  }

  /// What was popped is exactly what matches below next_offsets, in order.
  void check_next(Consumer& consumer) {
    const PartitionOffsets next = consumer.follower->next_offsets();
    for (Partition partition = 0; partition < 4; ++partition) {
      ASSERT_EQ(consumer.popped[partition], expected(consumer, partition, next[partition]));
    }
    for (Partition partition = 4; partition < 6; ++partition) {
      ASSERT_EQ(next[partition], kSkipPartition);
      ASSERT_TRUE(consumer.popped[partition].empty());
    }
  }

  void check_complete(Consumer& consumer) {
    check_next(consumer);
    ASSERT_FALSE(consumer.follower->catching_up());
    const PartitionOffsets ends = log_.ends(Journal::events);
    for (Partition partition = 0; partition < 4; ++partition) {
      ASSERT_EQ(consumer.follower->next_offsets()[partition], ends[partition]);
    }
  }

  std::mt19937_64 random_;
  FakeLog log_;
  TestExecutor shard_;
  TestExecutor reader_;
  TailDispatcher dispatcher_{shard_offsets({})};
  std::shared_ptr<TailFeed> feed_;
  std::vector<Consumer> consumers_;
};

TEST(FollowerRandom, SkipsNothingAndRepeatsNothingInAnyInterleaving) {
  const char* replay = std::getenv("MILLRACE_SEED");
  const std::uint64_t first = replay == nullptr ? 1 : std::strtoull(replay, nullptr, 10);
  const std::uint64_t count = replay == nullptr ? 500 : 1;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    RandomRun(seed).run();
    if (::testing::Test::HasFailure()) FAIL() << "replay with MILLRACE_SEED=" << seed;
  }
}

/// With a real log, its writer thread and a reader thread.
TEST(FollowerOnFiles, GetsEveryEventOnceWhileTheyAreAppended) {
  FaultDisk disk;
  ManualClock clock;
  FileLogOptions options = options_on(disk, clock);
  auto opened = open_file_log(options);
  ASSERT_TRUE(opened);
  EventLog& log = **opened;
  TestExecutor shard;
  TestExecutor reading;
  std::atomic<bool> stopping{false};
  std::thread reader([&] { reading.run_until([&] { return stopping.load(); }); });
  TailDispatcher dispatcher(shard_offsets(log.ends(Journal::events)));
  auto feed = TailFeed::make(shard, dispatcher, 2000);
  log.set_tail_listener(Journal::events,
                        [feed](const RecordBatchPtr& batch) { feed->deliver(batch); });
  FollowerOptions small{.topics = {"topic"}};
  small.records_max = 10;
  Follower follower({dispatcher, log, Journal::events, shard, reading}, {}, small);
  Offset next = 0;
  Offset seen = 0;
  follower.set_ready([&] {
    while (const auto record = follower.pop()) {
      EXPECT_EQ(record->record->offset, seen);
      EXPECT_EQ(record->record->payload, std::to_string(seen));
      ++seen;
    }
  });
  constexpr Offset kEvents = 2000;
  for (; next < kEvents; ++next) {
    log.append(Journal::events, one(std::to_string(next)), shard, [](const AppendResult&) {});
    if (next % 50 == 0) shard.run_one();
  }
  EXPECT_TRUE(shard.run_until([&] { return seen == kEvents; }));
  stopping = true;
  reading.post([] {});
  reader.join();
  log.close();
}

}  // namespace
}  // namespace millrace::test
