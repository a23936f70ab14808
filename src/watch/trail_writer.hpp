// Writes the trail behind: hops are collected on their shard and appended together, so that a hop
// costs a line of text and no wait.
#pragma once

#include <functional>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "millrace/trail.hpp"

namespace millrace::watch {

class TrailWriter final : public Trail {
 public:
  /// `later` runs a task on the shard after the given time; at most one is outstanding.
  using Later = std::function<void(milliseconds, Task)>;

  TrailWriter(EventLog& log, Executor& shard, Partition partition, Clock& clock, Later later);

  void note(const Hop& hop) override;
  /// Appends what is collected; the rest is the log's.
  void flush();

 private:
  EventLog& log_;
  Executor& shard_;
  const Partition partition_;
  Clock& clock_;
  Later later_;
  std::string lines_;  ///< one JSON object a line
  bool scheduled_ = false;
};

}  // namespace millrace::watch
