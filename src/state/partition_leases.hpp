// Which instance works on which partition, when several share a log and a state (semantics 6): one
// row a partition names the instance and the session that took it. A lease is worth as much as its
// session: it ends when the session is expelled or leaves, and no row needs to be renewed.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/group.hpp"
#include "millrace/partition_set.hpp"
#include "millrace/state_store.hpp"

namespace millrace {

struct PartitionLease {
  std::string instance;
  std::string session;

  bool operator==(const PartitionLease&) const = default;
};

/// What a working instance says of itself: a row that it renews.
struct InstanceNote {
  std::string session;
  std::string admin;             ///< address of its admin plane
  std::string version;           ///< of the program
  std::uint64_t generation = 0;  ///< of its configuration
  std::string content_hash;      ///< of its configuration
  /// Messages it acknowledged and the log does not have; none: it has no spool.
  std::optional<std::uint64_t> spooled;
  WallTime at;  ///< when it said so
};

/// The group as the state store has it.
struct GroupView {
  std::vector<GroupMember> members;           ///< sessions that can commit
  std::map<std::string, InstanceNote> notes;  ///< by instance; of sessions that are gone, too
  std::array<std::optional<PartitionLease>, kPartitionCount> leases;

  /// Members that have said what they are: those that work.
  std::vector<std::string> working() const;
  /// The lease, unless its session is gone.
  const PartitionLease* held(Partition partition) const;
  PartitionSet held_by(std::string_view session) const;
};

/// Blocking.
Result<GroupView> read_group(StateStore& state, Group& group);

/// Who should work on a partition (rendezvous hashing: who joins takes from all, what who leaves
/// had goes to all, and nothing else moves). `instances` is not empty.
const std::string& wanted_owner(Partition partition, const std::vector<std::string>& instances);

struct LeaseMoves {
  PartitionSet take;  ///< ours by right, and nobody has them
  PartitionSet give;  ///< we have them, and they belong to another working instance
};
LeaseMoves lease_moves(const GroupView& view, const std::string& instance,
                       const std::string& session);

/// Rows that take or give partitions, refused whole when `view` is no longer true.
Batch take_leases(const GroupView& view, PartitionSet partitions, const PartitionLease& mine);
Batch give_leases(PartitionSet partitions, const PartitionLease& mine);
Write note_row(const std::string& instance, const InstanceNote& note);
/// The note of an instance that leaves.
Write no_note_row(const std::string& instance);

/// Whether a row of Table::meta is a lease, a note or a partition's reigns: it says nothing in
/// another store.
bool is_of_group(std::string_view key);

}  // namespace millrace
