// One record as a follower hands it out.
#pragma once

#include <memory>
#include <span>

#include "millrace/event_log.hpp"

namespace millrace {

/// A place for what a consumer derived from a record, say the decoded event. All followers of one
/// shard that got the record from the tail share it, so the work is done once. One thread only.
struct SharedSlot {
  std::shared_ptr<const void> value;
};

struct FollowedRecord {
  RecordBatchPtr batch;  ///< keeps what `record` points at
  const LogRecord* record = nullptr;
  std::shared_ptr<SharedSlot> shared;
};

/// The bytes a record's text takes.
inline std::size_t text_bytes(const LogRecord& record) {
  return record.topic.size() + record.payload.size();
}

/// A batch of its own for some records of another.
RecordBatchPtr copy_records(std::span<const LogRecord* const> chosen);

}  // namespace millrace
