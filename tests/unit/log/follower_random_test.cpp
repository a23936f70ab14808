// Followers in random interleavings of appends, late tails, reads, pops, deaths and rebirths, by
// seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "../../conformance/event_log_support.hpp"
#include "fake_log.hpp"
#include "log/follower.hpp"
#include "log/tail_feed.hpp"

namespace millrace::test {
namespace {

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
    for (int step = 0; step < 500; ++step) act();
    for (Consumer& consumer : consumers_) {
      if (!consumer.follower) revive(consumer);
    }
    while (true) {
      bool busy = deliver();
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
    switch (random_() % 10) {
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
      case 7:
      case 8:
        return void(deliver());
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
    undelivered_.push_back(log_.add(entries));
  }

  /// Records are durable, and readable, some time before the tail listener is told.
  bool deliver() {
    if (undelivered_.empty()) return false;
    feed_->deliver(undelivered_.front());
    undelivered_.pop_front();
    return true;
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
  std::deque<RecordBatchPtr> undelivered_;
  std::vector<Consumer> consumers_;
};

TEST(FollowerRandom, SkipsNothingAndRepeatsNothingInAnyInterleaving) {
  const char* replay = std::getenv("MILLRACE_SEED");
  const std::uint64_t first = replay == nullptr ? 1 : std::strtoull(replay, nullptr, 10);
  const std::uint64_t count = replay == nullptr ? 1000 : 1;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    RandomRun(seed).run();
    if (::testing::Test::HasFailure()) FAIL() << "replay with MILLRACE_SEED=" << seed;
  }
}

}  // namespace
}  // namespace millrace::test
