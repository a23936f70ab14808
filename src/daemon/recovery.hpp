// What a start does before anything new is accepted: projections catch up with the log, and every
// cursor is where the state says. Blocking.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "millrace/event_log.hpp"
#include "millrace/partition_set.hpp"
#include "millrace/state_store.hpp"
#include "route/progress.hpp"
#include "watch/disk_budget.hpp"

namespace millrace::daemon {

/// The owner of the rows that stand for all routes that have nothing left before them.
inline constexpr const char* kTailOwner = "tail";

/// Reads rows "<owner>\0<partition>" of Table::cursors, and the tail's where those are on it; a
/// partition without a row is absent.
Result<std::map<Partition, route::Progress>> read_cursors(StateStore& state, const EventLog& log,
                                                          const std::string& owner,
                                                          const LogStream& stream);

/// How far everyone who has a cursor has come: what retention may not pass.
Result<std::vector<watch::OwnerOffsets>> read_owners(StateStore& state, EventLog& log);

/// Projections are their rows plus the fold of events after the rows' position: reads the
/// events of these partitions from there to their end and saves what it finds. Of a change that an
/// earlier owner said by half, the other events are appended. Returns how many events it folded.
Result<std::uint64_t> fold_projections(StateStore& state, EventLog& log, PartitionSet partitions);

/// The inbox offset each of these partitions begins at; kSkipPartition for the others.
Result<PartitionOffsets> inbox_start(StateStore& state, EventLog& log, PartitionSet partitions);

/// The first offset of each partition that was appended at or after `time`. Reads the stream.
Result<PartitionOffsets> offsets_at(EventLog& log, const LogStream& stream, WallTime time);

/// What an operator calls a position: beginning, end, a time, or PARTITION:OFFSET, where the other
/// partitions are at `others`. Errc::invalid_argument when it is none.
Result<PartitionOffsets> named_position(EventLog& log, const LogStream& stream,
                                        const std::string& text, const PartitionOffsets& others);

/// Gives a route without cursors its start: `now`, `beginning` or a time; an adopted state
/// overrides it. Durable when it returns. A route that has cursors is left alone. Of `partitions`
/// the log is known to its end.
Result<std::map<Partition, route::Progress>> route_start(StateStore& state, EventLog& log,
                                                         const config::Route& route,
                                                         PartitionSet partitions);

}  // namespace millrace::daemon
