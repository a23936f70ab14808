// What a copy of a log says of itself beside its records: which log it was made of, and where that
// began and ended. On files copying.json, then copied.json; on Kafka records of <prefix>.log.
#pragma once

#include <map>
#include <string>

#include "millrace/event_log.hpp"
#include "millrace/json.hpp"
#include "stores/holes.hpp"

namespace millrace::stores {

/// By the name of the stream, as to_string has it.
using StreamOffsets = std::map<std::string, PartitionOffsets>;

struct CopyMark {
  /// "writing"; "complete"; "differs": what was written is not what was read.
  std::string stage;
  std::string from;  ///< UUID of the log it was made of
  StreamOffsets begins;
  StreamOffsets ends;  ///< when complete, as are the holes
  Holes holes;
};

std::string encode(const CopyMark& mark);
Result<CopyMark> decode_copy_mark(const Json& json);

/// Where the streams of a log begin and end.
StreamOffsets begins_of(const EventLog& log);
StreamOffsets ends_of(const EventLog& log);

}  // namespace millrace::stores
