// The ids that senders gave what lies in a log on Kafka, told to whoever keeps them (IdMemory).
#pragma once

#include <array>

#include "millrace/event_log.hpp"

namespace millrace::log {

/// Thread-safe, as the memories are; they outlive it.
class KafkaIds {
 public:
  /// nullptr: nobody keeps those of that journal.
  explicit KafkaIds(const std::array<IdMemory*, kJournalCount>& memories) : memories_(memories) {}

  bool keeps(Journal journal) const { return memory(journal) != nullptr; }
  void remember(const LogStream& stream, const RecordBatch& batch) const;
  /// Those of the records from there to the present end, but at most of the 16,384 newest of each
  /// partition: what lies further back is known by its effects. Blocking.
  Result<void> read(EventLog& log, const LogStream& stream, PartitionOffsets from) const;

 private:
  IdMemory* memory(Journal journal) const {
    return memories_.at(static_cast<std::size_t>(journal));
  }
  std::array<IdMemory*, kJournalCount> memories_;
};

}  // namespace millrace::log
