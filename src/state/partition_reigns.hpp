// Rows that say whose events count in each partition of the log (millrace/reigns.hpp): one row a
// partition, which only its owner writes.
#pragma once

#include <string>
#include <string_view>

#include "millrace/event_log.hpp"
#include "millrace/group.hpp"
#include "millrace/partition_set.hpp"
#include "millrace/state_store.hpp"

namespace millrace {

/// The first part of their keys in Table::meta.
inline constexpr std::string_view kReignKind = "reign";

/// What an instance is called in what it appends as an owner; empty for one that is alone.
std::string owner_word(const Group* group);

/// Those of this log. Blocking.
Result<TopicReigns> read_reigns(StateStore& state, const EventLog& log);

/// Who owns these partitions from now on begins its reign at the present ends of the log, and the
/// log is told of all partitions' reigns. Durable on return, so in order before anything of the
/// owner; it may be said again. Blocking.
Result<void> begin_reigns(StateStore& state, EventLog& log, PartitionSet partitions,
                          const std::string& owner);

}  // namespace millrace
