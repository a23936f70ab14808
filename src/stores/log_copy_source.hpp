// A log that is copied, read in an order in which files can take it: within a journal, times never
// go down.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "config/model.hpp"
#include "millrace/event_log.hpp"

namespace millrace::stores {

class LogCopySource {
 public:
  using Visit = std::function<Result<void>(Journal, const LogRecord&)>;

  virtual ~LogCopySource() = default;
  /// Every record that is retained: the inbox, the events, the trail.
  virtual Result<void> read(const Visit& visit) = 0;
};

/// `log` outlives the source.
std::unique_ptr<LogCopySource> files_copy_source(EventLog& log);
/// Of several topics in the order of their times, without events that do not count by `reigns`.
Result<std::unique_ptr<LogCopySource>> kafka_copy_source(EventLog& log,
                                                         const config::Installation& from,
                                                         TopicReigns reigns);

/// How many records are retained.
std::uint64_t records_in(const EventLog& log);

/// What the events of a log are about: on files every record is looked at.
Result<std::set<std::string>> topics_in(EventLog& log);

}  // namespace millrace::stores
