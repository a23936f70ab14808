// Where the positions that a state store holds lie in the log that its log was copied to. Rows name
// offsets of records and places between them; in the other log both are counted differently: on
// files all topics of the events together, on Kafka each by itself.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "millrace/event_log.hpp"
#include "stores/log_copy_target.hpp"

namespace millrace::stores {

/// The n-th record of a topic in a partition lies at which offset, and the other way. Where topics
/// are counted together the log is read, once, for what was asked for before. Holes are of a log
/// that counts by topic.
class EventRanks {
 public:
  EventRanks(EventLog& log, Holes holes);

  void want_rank(const std::string& topic, Partition partition, Offset offset);
  void want_offset(const std::string& topic, Partition partition, Offset rank);
  Result<void> read();
  /// How many records of the topic lie before the offset.
  Offset rank(const std::string& topic, Partition partition, Offset offset) const;
  /// Of the record of that rank; the end of the partition where there is none.
  Offset offset(const std::string& topic, Partition partition, Offset rank) const;

 private:
  using Place = std::pair<std::string, Partition>;
  using Answers = std::map<Offset, Offset>;  ///< by what was asked
  struct Asked {
    std::map<Place, Answers> ranks;
    std::map<Place, Answers> offsets;
  };
  struct Walk;

  EventLog& log_;
  Holes holes_;
  bool by_topic_;  ///< each topic is a stream of its own
  Asked asked_;
};

/// How the inbox moves, partition by partition: from where it begins to where its copy begins.
struct InboxShift {
  PartitionOffsets from{};
  PartitionOffsets to{};
  Holes holes{};

  Offset boundary(Partition partition, Offset offset) const;
  /// nullopt: before the begin.
  std::optional<Offset> record(Partition partition, Offset offset) const;
};

/// First every position is asked for, and the answers are of no use; then `resolve`; then all are
/// asked for again.
class Positions {
 public:
  explicit Positions(EventLog& from, Holes holes = {});

  /// A place between records of the inbox: everything before it is done.
  Offset inbox_boundary(Partition partition, Offset offset);
  /// The same of a topic's events.
  Offset boundary(const std::string& topic, Partition partition, Offset offset);
  /// A record, which may be no longer in the log. `topic`: of the events, else empty.
  Offset record(Journal journal, const std::string& topic, Partition partition, Offset offset);
  /// The message behind an event: nullopt when it is no longer in the log.
  std::optional<Offset> cause(Partition partition, Offset offset) const;

  /// How many records are named that are no longer in the log.
  Rooms rooms() const;
  /// Errc::conflict when the other log has no room for them.
  Result<void> resolve(EventLog& to);

 private:
  Offset from_begin(Journal journal, const std::string& topic, Partition partition) const;
  Offset to_begin(Journal journal, const std::string& topic, Partition partition) const;

  EventLog& from_;
  Holes holes_;
  EventLog* to_ = nullptr;
  InboxShift inbox_;
  EventRanks from_ranks_;
  std::optional<EventRanks> to_ranks_;
  std::map<std::pair<std::string, Partition>, std::set<Offset>> wanted_;
  std::map<LogStream, std::array<std::set<Offset>, kPartitionCount>> gone_;  ///< before the log
};

}  // namespace millrace::stores
