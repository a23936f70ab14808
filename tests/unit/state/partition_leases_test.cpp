#include "state/partition_leases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace millrace {
namespace {

GroupView group_of(const std::vector<std::string>& instances) {
  GroupView view;
  for (const std::string& name : instances) {
    view.members.push_back({name, "session of " + name, 1});
    view.notes[name].session = "session of " + name;
  }
  return view;
}

void lease(GroupView& view, Partition partition, const std::string& instance) {
  view.leases.at(partition) = PartitionLease{instance, "session of " + instance};
}

LeaseMoves moves_of(const GroupView& view, const std::string& instance) {
  return lease_moves(view, instance, "session of " + instance);
}

TEST(PartitionLeases, OneInstanceTakesEverything) {
  const GroupView view = group_of({"a"});
  EXPECT_EQ(moves_of(view, "a").take, PartitionSet::all());
  EXPECT_TRUE(moves_of(view, "a").give.empty());
}

TEST(PartitionLeases, EachPartitionIsWantedByOneInstance) {
  const GroupView view = group_of({"a", "b", "c"});
  const PartitionSet a = moves_of(view, "a").take;
  const PartitionSet b = moves_of(view, "b").take;
  const PartitionSet c = moves_of(view, "c").take;
  EXPECT_EQ(a | b | c, PartitionSet::all());
  EXPECT_EQ(a.size() + b.size() + c.size(), kPartitionCount);
  for (const PartitionSet set : {a, b, c}) EXPECT_GE(set.size(), 12u);
}

TEST(PartitionLeases, WhoJoinsTakesFromAllAndNothingElseMoves) {
  GroupView view = group_of({"a", "b"});
  std::map<Partition, std::string> before;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    before[p] = wanted_owner(p, view.working());
    lease(view, p, before[p]);
  }
  GroupView grown = group_of({"a", "b", "c"});
  grown.leases = view.leases;
  EXPECT_TRUE(moves_of(grown, "c").take.empty()) << "nothing is free before it is given";
  std::size_t given = 0;
  for (const std::string name : {"a", "b"}) {
    const LeaseMoves moves = moves_of(grown, name);
    EXPECT_TRUE(moves.take.empty());
    EXPECT_FALSE(moves.give.empty());
    given += moves.give.size();
    for (Partition p = 0; p < kPartitionCount; ++p) {
      if (moves.give.contains(p)) EXPECT_EQ(wanted_owner(p, grown.working()), "c");
    }
  }
  EXPECT_LE(given, kPartitionCount / 2);
}

TEST(PartitionLeases, WhatASessionHadIsFreeOnceItEnded) {
  GroupView view = group_of({"a", "b"});
  for (Partition p = 0; p < kPartitionCount; ++p) lease(view, p, "b");
  EXPECT_TRUE(moves_of(view, "a").take.empty());
  std::erase_if(view.members, [](const GroupMember& member) { return member.instance == "b"; });
  EXPECT_EQ(moves_of(view, "a").take, PartitionSet::all());
}

TEST(PartitionLeases, ALeaseOfAnEarlierSessionOfTheSameInstanceIsFree) {
  GroupView view = group_of({"a"});
  view.leases[7] = PartitionLease{"a", "an earlier session"};
  EXPECT_EQ(view.held(7), nullptr);
  EXPECT_TRUE(moves_of(view, "a").take.contains(7));
}

TEST(PartitionLeases, WhoDoesNotWorkYetIsGivenNothing) {
  GroupView view = group_of({"a", "b"});
  view.notes.erase("b");
  for (Partition p = 0; p < kPartitionCount; ++p) lease(view, p, "a");
  EXPECT_TRUE(moves_of(view, "a").give.empty());
  EXPECT_TRUE(moves_of(view, "b").take.empty());
}

TEST(PartitionLeases, WhatIsTakenRequiresWhatWasSeen) {
  GroupView view = group_of({"a", "b"});
  lease(view, 3, "b");
  PartitionSet both;
  both.insert(3);
  both.insert(4);
  const Batch batch = take_leases(view, both, {"a", "session of a"});
  ASSERT_EQ(batch.require.size(), 2u);
  EXPECT_TRUE(batch.require[0].expected.has_value());
  EXPECT_FALSE(batch.require[1].expected.has_value());
  ASSERT_EQ(batch.writes.size(), 2u);
}

TEST(PartitionLeases, RowsOfTheGroupAreKnownFromOthers) {
  const Batch batch = take_leases({}, PartitionSet::of_bits(1), {"a", "session"});
  EXPECT_TRUE(is_of_group(batch.writes.at(0).key));
  EXPECT_TRUE(is_of_group(no_note_row("a").key));
  EXPECT_FALSE(is_of_group("installation"));
  EXPECT_FALSE(is_of_group("instance"));
}

}  // namespace
}  // namespace millrace
