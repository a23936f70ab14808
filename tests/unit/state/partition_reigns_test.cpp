#include "state/partition_reigns.hpp"

#include <gtest/gtest.h>

#include "memory_log.hpp"
#include "state/partition_leases.hpp"
#include "state/sqlite_state.hpp"
#include "temporary_directory.hpp"

namespace millrace {
namespace {

class PartitionReigns : public testing::Test {
 protected:
  PartitionReigns() {
    SqliteStateOptions options;
    options.path = directory_.file("state.db");
    auto store = open_sqlite_state(std::move(options));
    EXPECT_TRUE(store);
    store_ = *std::move(store);
    both_.insert(1);
    both_.insert(2);
  }
  void begin(PartitionSet partitions, const std::string& owner) {
    const auto begun = begin_reigns(*store_, log_, partitions, owner);
    EXPECT_TRUE(begun) << begun.error().message;
  }
  Reigns of(Partition partition) {
    const auto all = read_reigns(*store_, log_);
    EXPECT_TRUE(all) << all.error().message;
    const auto found = all->find("");
    return found == all->end() ? Reigns() : found->second.at(partition);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<StateStore> store_;
  MemoryLog log_{"log-1"};
  PartitionSet both_;
};

TEST_F(PartitionReigns, AreKeptForEachPartitionThatIsTaken) {
  log_.add(Journal::events, 1, "a's");
  begin(both_, "a");
  EXPECT_EQ((Reigns{{1, "a"}}), of(1));
  EXPECT_EQ((Reigns{{0, "a"}}), of(2));
  EXPECT_EQ(Reigns(), of(3));
  log_.add(Journal::events, 1, "a's");
  PartitionSet first;
  first.insert(1);
  begin(first, "b");
  begin(first, "b");  // as after a commit that nobody heard of
  EXPECT_EQ((Reigns{{1, "a"}, {2, "b"}}), of(1));
  EXPECT_EQ((Reigns{{0, "a"}}), of(2));
}

TEST_F(PartitionReigns, WhoIsAloneWritesNothingUntilOthersWere) {
  begin(PartitionSet::all(), "");
  EXPECT_EQ(0u, store_->count(Table::meta, "").value_or(99));
  log_.add(Journal::events, 1, "a's");
  begin(both_, "a");
  log_.add(Journal::events, 1, "a's");
  begin(PartitionSet::all(), "");
  EXPECT_EQ((Reigns{{1, "a"}, {2, ""}}), of(1));
}

TEST_F(PartitionReigns, OfAnotherLogSayNothing) {
  begin(both_, "a");
  MemoryLog other("log-2");
  const auto all = read_reigns(*store_, other);
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->empty());
}

TEST_F(PartitionReigns, StayBehindWhenAStateIsCopied) {
  begin(both_, "a");
  const auto rows = store_->scan(Table::meta, "", "", 10);
  ASSERT_TRUE(rows);
  ASSERT_EQ(2u, rows->size());
  for (const Row& row : *rows) EXPECT_TRUE(is_of_group(row.key));
}

}  // namespace
}  // namespace millrace
