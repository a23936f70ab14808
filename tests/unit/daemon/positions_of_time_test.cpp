// Positions that are a time: the first record of each partition that was appended then or later.
#include <gtest/gtest.h>

#include "../log/log_test_support.hpp"
#include "daemon/recovery.hpp"

namespace millrace::daemon {
namespace {

using test::append_and_wait;

constexpr int kRecords = 90;
constexpr std::size_t kRecordBytes = 1000;  // about fifteen to a segment
constexpr Partition kPartitionsUsed = 3;
constexpr int kAtOnce = 4;  // so that some of one time lie on both sides of a segment's border

class PositionsOfTime : public ::testing::Test {
 protected:
  PositionsOfTime() {
    auto opened = open_file_log(test::options_on(disk_, clock_));
    EXPECT_TRUE(opened);
    log_ = *std::move(opened);
    for (int i = 0; i < kRecords; ++i) {
      if (i % kAtOnce == 0) clock_.advance(seconds(2));
      const auto partition = static_cast<Partition>(i % kPartitionsUsed);
      EXPECT_TRUE(append_and_wait(*log_, Journal::events,
                                  test::one(std::string(kRecordBytes, 'p'), partition)));
      appended_.emplace_back(partition, clock_.wall_now());
    }
  }
  /// How many of each partition were appended before: the offset of the first one after them.
  PartitionOffsets before(WallTime time) const {
    PartitionOffsets counted{};
    for (const auto& [partition, at] : appended_) counted[partition] += at < time ? 1 : 0;
    return counted;
  }

  FaultDisk disk_;
  test::ManualClock clock_;
  std::unique_ptr<EventLog> log_;
  std::vector<std::pair<Partition, WallTime>> appended_;
};

TEST_F(PositionsOfTime, AreFoundInEachSegmentAndAtItsBorders) {
  const auto parts = log_->sealed_parts(Journal::events);
  ASSERT_GE(parts.size(), 4u);
  int across = 0;
  for (const auto& part : parts) across += before(part.last_at + microseconds(1)) != part.ends;
  EXPECT_GT(across, 0) << "of one time on both sides";
  for (const auto& [partition, at] : appended_) {
    for (const WallTime time : {at - seconds(1), at, at + microseconds(1)}) {
      const auto found = offsets_at(*log_, Journal::events, time);
      ASSERT_TRUE(found) << found.error().message;
      ASSERT_EQ(*found, before(time)) << to_rfc3339(time);
      ASSERT_EQ(*named_position(*log_, Journal::events, to_rfc3339(time), {}), *found);
    }
  }
}

TEST_F(PositionsOfTime, AreTheEndsOfTheLogOutsideOfIt) {
  const WallTime last = clock_.wall_now();
  EXPECT_EQ(*offsets_at(*log_, Journal::events, last + seconds(1)), log_->ends(Journal::events));
  PartitionOffsets keep;
  keep.fill(kSkipPartition);
  ASSERT_TRUE(log_->trim(Journal::events, last - seconds(20), keep));
  const PartitionOffsets begins = log_->begins(Journal::events);
  ASSERT_GT(begins[0], 0u);
  EXPECT_EQ(*offsets_at(*log_, Journal::events, WallTime()), begins) << "no more is left";
}

}  // namespace
}  // namespace millrace::daemon
