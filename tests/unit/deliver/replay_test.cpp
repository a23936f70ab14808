#include "deliver/replay.hpp"

#include <gtest/gtest.h>

namespace millrace::deliver {
namespace {

constexpr Partition kPartition = 7;
constexpr std::uint64_t kRecord = 1;

Replay replay(bool history) {
  ReplayOrder order;
  order.from.fill(kSkipPartition);
  order.from[kPartition] = 10;
  order.until[kPartition] = 20;
  order.live[kPartition] = 30;
  order.history = history;
  ReplayPartitions partitions;
  partitions[kPartition].progress = route::Progress(10);
  return Replay({std::make_shared<const ReplayOrder>(order), partitions});
}

ReplayIndex index_with(Offset last) {
  ReplayIndex index;
  index.note(kRecord, last, WallTime{});
  return index;
}

TEST(Replay, SendsTheLastChangeOfARecordAlone) {
  Replay one = replay(false);
  one.set_index(index_with(15));
  EXPECT_EQ(one.judge(kRecord, kPartition, 12), Replay::Verdict::superseded);
  EXPECT_EQ(one.judge(kRecord, kPartition, 15), Replay::Verdict::send);
}

TEST(Replay, SendsHistoryAlthoughALaterChangeWasDelivered) {
  Replay one = replay(true);
  one.set_index(index_with(25));
  EXPECT_EQ(one.judge(kRecord, kPartition, 12), Replay::Verdict::send);
}

TEST(Replay, NothingFollowsWhatWasTakenUpSinceItBegan) {
  for (const bool history : {false, true}) {
    Replay one = replay(history);
    one.news(kRecord, 31);  // while the index is made
    one.set_index(index_with(15));
    EXPECT_EQ(one.judge(kRecord, kPartition, 15), Replay::Verdict::overtaken);
    Replay other = replay(history);
    other.set_index(index_with(15));
    EXPECT_EQ(other.judge(kRecord, kPartition, 15), Replay::Verdict::send);
    other.news(kRecord, 31);
    EXPECT_EQ(other.judge(kRecord, kPartition, 15), Replay::Verdict::overtaken);
  }
}

TEST(Replay, IsDoneWhenEverythingIsSettledAndSaved) {
  Replay one = replay(false);
  one.set_index(index_with(15));
  one.partitions().at(kPartition).progress.take(15);
  PartitionOffsets next;
  next.fill(kSkipPartition);
  next[kPartition] = 40;
  one.see(next);
  EXPECT_TRUE(one.read_through());
  EXPECT_FALSE(one.status().done);
  EXPECT_EQ(one.status().passed, 5u);
  one.settle(kPartition, 15);
  EXPECT_FALSE(one.status().done);
  EXPECT_EQ(one.take_dirty(), std::set<Partition>{kPartition});
  EXPECT_TRUE(one.status().done);
  EXPECT_EQ(one.status().passed, one.status().whole);
}

TEST(Replay, ProgressAndCountsAreOneRow) {
  ReplayPartition part;
  part.progress = route::Progress(10);
  part.progress.take(12);
  part.progress.take(14);
  part.progress.settle(14);
  part.counts.sent = 3;
  part.counts.overtaken = 2;
  const std::string row = encode(part, "log");
  const auto read = decode_replay_partition(row, "log");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->progress.cursor(), 12u);
  EXPECT_TRUE(read->progress.was_settled(14));
  EXPECT_EQ(read->counts.sent, 3u);
  EXPECT_EQ(read->counts.overtaken, 2u);
  EXPECT_FALSE(decode_replay_partition(row, "another log"));
}

}  // namespace
}  // namespace millrace::deliver
