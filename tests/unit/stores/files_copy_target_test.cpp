#include "stores/files_copy_target.hpp"

#include <gtest/gtest.h>

#include "log/file_log.hpp"
#include "storage/fault_disk.hpp"

namespace millrace::stores {
namespace {

constexpr WallTime kMorning{std::chrono::hours(500'000)};

class FilesCopyTargetTest : public testing::Test {
 protected:
  FilesCopyTargetTest() { to_.log_directory = "/log"; }

  std::unique_ptr<LogCopyTarget> target(const CopyPlan& plan) {
    auto opened = open_files_copy_target(disk_, to_);
    EXPECT_TRUE(opened);
    begun_ = (*opened)->begin(plan);
    return *std::move(opened);
  }
  void write(LogCopyTarget& target, WallTime at, const std::string& payload) {
    ASSERT_TRUE(target.write(Journal::events, {1, 0, at, "order", payload, {}}));
  }
  Result<std::unique_ptr<EventLog>> open() {
    return open_file_log({.directory = "/log", .disk = disk_, .clock = system_clock()});
  }

  FaultDisk disk_;
  config::Installation to_;
  Result<void> begun_;
};

CopyPlan plan_with_room() {
  CopyPlan plan{.from = "old", .begins = {}, .topics = {"order"}, .rooms = {}};
  plan.rooms[LogStream(Journal::events, "order")][1] = 3;
  plan.rooms[LogStream(Journal::events, "parcel")][1] = 2;
  return plan;
}

TEST_F(FilesCopyTargetTest, IsALogOnlyWhenItIsComplete) {
  auto copy = target(plan_with_room());
  ASSERT_TRUE(begun_);
  write(*copy, kMorning, "a");
  write(*copy, kMorning, "b");
  write(*copy, kMorning + seconds(60), "c");
  ASSERT_TRUE(copy->flush());
  copy.reset();
  const auto early = open();
  ASSERT_FALSE(early);
  EXPECT_EQ(Errc::conflict, early.error().code);

  copy = target(plan_with_room());  // begins anew
  ASSERT_TRUE(begun_);
  write(*copy, kMorning, "a");
  write(*copy, kMorning + seconds(60), "b");
  ASSERT_TRUE(copy->flush());
  ASSERT_TRUE(copy->complete({"complete", "old", {}, {}, {}}));
  copy.reset();
  const auto log = open();
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(3, (*log)->begins(Journal::events)[1]) << "room for what rows name";
  auto reader = (*log)->open_reader(Journal::events, (*log)->begins(Journal::events));
  ASSERT_TRUE(reader);
  const auto batch = (*reader)->next(10, 1000);
  ASSERT_TRUE(batch);
  ASSERT_EQ(2, (*batch)->records.size());
  EXPECT_EQ(3, (*batch)->records[0].offset);
  EXPECT_EQ(kMorning, (*batch)->records[0].appended_at);
  EXPECT_EQ(kMorning + seconds(60), (*batch)->records[1].appended_at);
  EXPECT_EQ("b", (*batch)->records[1].payload);
}

TEST_F(FilesCopyTargetTest, LeavesOtherLogsAlone) {
  ASSERT_TRUE(open());
  target(plan_with_room());
  ASSERT_FALSE(begun_);
  EXPECT_EQ(Errc::conflict, begun_.error().code);
  EXPECT_TRUE(open());
}

TEST_F(FilesCopyTargetTest, LeavesCopiesOfOtherLogsAlone) {
  target(plan_with_room());
  CopyPlan other = plan_with_room();
  other.from = "another";
  target(other);
  ASSERT_FALSE(begun_);
  EXPECT_EQ(Errc::conflict, begun_.error().code);
}

}  // namespace
}  // namespace millrace::stores
