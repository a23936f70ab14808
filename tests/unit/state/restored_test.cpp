// A state that came out of a backup.
#include "state/restored.hpp"

#include <gtest/gtest.h>

#include "memory_log.hpp"
#include "state/blocking_commit.hpp"
#include "state/sqlite_state.hpp"
#include "temporary_directory.hpp"

namespace millrace {
namespace {

class RestoredState : public testing::Test {
 protected:
  std::unique_ptr<StateStore> open(const std::string& name) {
    SqliteStateOptions options;
    options.path = directory_.file(name);
    auto store = open_sqlite_state(options);
    EXPECT_TRUE(store);
    return *std::move(store);
  }

  const WallTime backup_at_ = *parse_rfc3339("2026-11-24T10:00:00Z");
  TemporaryDirectory directory_;
  MemoryLog log_{random_uuid()};
};

TEST_F(RestoredState, ACopyHoldsWhatWasCommittedWhileTheWriterGoesOn) {
  auto store = open("state.db");
  Batch batch;
  batch.put(Table::names, "a", "{}");
  ASSERT_TRUE(commit_blocking(*store, std::move(batch)));
  ASSERT_TRUE(copy_sqlite_state(directory_.file("state.db"), directory_.file("copy.db")));
  Batch later;
  later.put(Table::names, "b", "{}");
  ASSERT_TRUE(commit_blocking(*store, std::move(later)));
  auto copy = open("copy.db");
  EXPECT_TRUE(copy->get(Table::names, "a").value());
  EXPECT_FALSE(copy->get(Table::names, "b").value());
  EXPECT_FALSE(copy_sqlite_state(directory_.file("state.db"), directory_.file("copy.db")))
      << "nothing is overwritten";
}

TEST_F(RestoredState, RevsOfTheLostInstanceAreNotGivenAgain) {
  auto store = open("state.db");
  const auto before = open_installation(*store, log_, "test");
  ASSERT_TRUE(before);
  const auto restored = mark_restored(*store, backup_at_, backup_at_);
  ASSERT_TRUE(restored);
  EXPECT_GT(restored->incarnation, before->incarnation);
  EXPECT_EQ(restored->uuid, before->uuid) << "the same Idempotency-Keys";
  EXPECT_EQ(open_installation(*store, log_, "test")->incarnation, restored->incarnation);
}

// The same backup, restored twice: the state that is marked is the same, the time is not.
TEST_F(RestoredState, TwoRestoresOfOneBackupDiffer) {
  auto first = open("first.db");
  auto second = open("second.db");
  ASSERT_TRUE(open_installation(*first, log_, "test"));
  ASSERT_TRUE(open_installation(*second, log_, "test"));
  const auto one = mark_restored(*first, backup_at_, backup_at_ + std::chrono::minutes(30));
  const auto two = mark_restored(*second, backup_at_, backup_at_ + std::chrono::minutes(31));
  ASSERT_TRUE(one && two);
  EXPECT_LT(one->incarnation, two->incarnation);
}

TEST_F(RestoredState, KnowsWhereTheBackupEnds) {
  auto store = open("state.db");
  EXPECT_FALSE(read_restored(*store).value());
  Restored restored{backup_at_, backup_at_ + std::chrono::hours(2), Restored::Began{}};
  restored.began->at = backup_at_ + std::chrono::hours(3);
  restored.began->events_below[7] = 12;
  restored.began->inbox_below[8] = 13;
  restored.began->routes = {"order-to-mes"};
  restored.began->judged = true;
  Batch batch;
  batch.put(Table::meta, std::string(kRestoredKey), encode(restored));
  ASSERT_TRUE(commit_blocking(*store, std::move(batch)));
  const auto read = read_restored(*store).value();
  ASSERT_TRUE(read && read->began);
  EXPECT_EQ(read->restored_at, restored.restored_at);
  EXPECT_EQ(read->began->events_below, restored.began->events_below);
  EXPECT_EQ(read->began->inbox_below, restored.began->inbox_below);
  EXPECT_EQ(read->began->routes, restored.began->routes);
  EXPECT_TRUE(read->began->judged);
}

}  // namespace
}  // namespace millrace
