#include "log/follower.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "fake_log.hpp"
#include "log/tail_feed.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

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

class FollowersOfOneBudget : public FollowerTest {
 protected:
  static constexpr std::size_t kBudget = std::size_t{1} << 20;
  static constexpr std::size_t kFollowers = 40;
  static constexpr int kRecords = 500;
  static constexpr std::size_t kRecordBytes = 8 << 10;

  std::unique_ptr<Follower> follow_within() {
    FollowerContext there{within_, log_, Journal::events, shard_, reader_};
    return std::make_unique<Follower>(there, PartitionOffsets{}, FollowerOptions{});
  }
  void append_much() {
    for (int i = 0; i < kRecords; ++i) {
      within_.dispatch(log_.add({{0, "t", std::string(kRecordBytes, 'x')}}));
    }
  }
  /// Offsets that come out until there is no more; `work` lets reads come back.
  std::vector<Offset> all_of(Follower& follower) {
    std::vector<Offset> offsets;
    for (bool more = true; more;) {
      settle();
      more = false;
      while (auto record = follower.pop()) {
        offsets.push_back(record->record->offset);
        more = true;
      }
    }
    return offsets;
  }
  static std::vector<Offset> every_offset() {
    std::vector<Offset> offsets(kRecords);
    std::iota(offsets.begin(), offsets.end(), Offset{0});
    return offsets;
  }

  std::shared_ptr<BatchBudget> budget_ = std::make_shared<BatchBudget>(kBudget);
  TailDispatcher within_{shard_offsets({}), budget_};
};

TEST_F(FollowersOfOneBudget, ThatLagHoldNoMoreTogetherAndEachGoesOn) {
  append_much();
  std::vector<std::unique_ptr<Follower>> followers;
  for (std::size_t i = 0; i < kFollowers; ++i) followers.push_back(follow_within());
  settle();
  // A read that was under way when it was spent, and a small one each.
  EXPECT_LE(budget_->held(), 2 * kBudget + kFollowers * (kLeanReadBytes + kRecordBytes));
  EXPECT_GE(budget_->held(), kBudget);
  EXPECT_EQ(all_of(*followers.back()), every_offset());
  EXPECT_EQ(all_of(*followers.front()), every_offset());
  followers.clear();
  EXPECT_EQ(budget_->held(), 0U);
}

TEST_F(FollowersOfOneBudget, AtTheTailACommonBatchCountsOnceAndWhoTakesItOutGoesOn) {
  std::vector<std::unique_ptr<Follower>> followers;
  for (std::size_t i = 0; i < kFollowers; ++i) followers.push_back(follow_within());
  append_much();
  EXPECT_LE(budget_->held(), kBudget + 16 * kRecordBytes);
  EXPECT_EQ(all_of(*followers.back()), every_offset());
  EXPECT_LE(budget_->held(), 2 * kBudget);
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

TEST_F(FollowerTest, AfterAFailureItReadsOnWhenToldTo) {
  tail({{0, "t", "a"}});
  log_.fail_reads(Errc::disk_failed);
  auto follower = follow();
  int failures = 0;
  follower->set_failed([&](const Error&) { ++failures; });
  settle();
  ASSERT_TRUE(follower->failure());
  EXPECT_EQ(follower->failure()->error.code, Errc::disk_failed);
  const WallTime since = follower->failure()->since;
  follower->retry();
  settle();
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(follower->failure()->since, since);
  log_.fail_reads(std::nullopt);
  follower->retry();
  settle();
  EXPECT_FALSE(follower->failure());
  EXPECT_EQ(drain(*follower), "a ");
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
  log.set_tail_listener(Journal::events, [feed](const LogStream&, const RecordBatchPtr& batch) {
    feed->deliver(batch);
  });
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
