// Where a log is copied to. Promises: nothing opens the place as a log before `complete`; what is
// there of another log is refused and left as it is; what an earlier copy of the same log left is
// gone on with, or dropped.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stores/copy_mark.hpp"

namespace millrace::stores {

/// How many offsets must stay free before the first record of a partition: rows of the state name
/// records that are no longer in the log.
using Rooms = std::map<LogStream, PartitionOffsets>;

struct CopyPlan {
  std::string from;                 ///< UUID of the log that is copied
  StreamOffsets begins;             ///< of its streams
  std::vector<std::string> topics;  ///< of the events
  Rooms rooms;                      ///< by journal, and topic of the events
};

class LogCopyTarget {
 public:
  virtual ~LogCopyTarget() = default;

  /// Errc::conflict when the place is in use.
  virtual Result<void> begin(const CopyPlan& plan) = 0;
  /// The offset of the first record of each partition.
  virtual PartitionOffsets base(const LogStream& stream) const = 0;
  /// In the log's order, with the time it was appended at; what is there already is passed over.
  virtual Result<void> write(Journal journal, const LogRecord& record) = 0;
  /// Everything written is durable when it returns.
  virtual Result<void> flush() = 0;
  virtual std::vector<LogStream> streams() const = 0;
  /// Of everything that is there.
  virtual Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream) = 0;
  /// From now on it is a log.
  virtual Result<void> complete(const CopyMark& mark) = 0;
  /// What is there is not what was written: the next copy begins anew.
  virtual Result<void> give_up(const CopyMark& mark) = 0;
};

/// What rooms say of a stream: of all its topics, where it has several.
PartitionOffsets room_of(const Rooms& rooms, const LogStream& stream);

}  // namespace millrace::stores
