// Brings what waits in the spool into the log, in order per partition, and keeps account of it.
// Lives on the spool's shard; `status` and `refusal` are for any thread.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "log/spool.hpp"
#include "net/reader_pool.hpp"
#include "net/shard.hpp"
#include "net/tasks.hpp"

namespace millrace::log {

class SpoolForwarder {
 public:
  /// All outlive it. Before the shard is started.
  SpoolForwarder(Shard& shard, Spool& spool, EventLog& log, milliseconds refused_again_after);
  void start();

  SpoolLane& lane(Journal journal, Partition partition) {
    return lanes_.at(std::to_underlying(journal)).at(partition);
  }
  /// The spool holds the entry; `handed`: the log has it, too.
  void kept(Journal journal, const LogEntry& entry, Offset offset, bool handed);
  /// What the log says of an entry that was handed over.
  void acknowledged(Journal journal, Partition partition, Offset offset);
  void refused(Journal journal, Partition partition, Offset offset, const Error& why);

  /// The log acknowledged something.
  void heard();
  /// What it got at `since` is late: it is away, unless it has acknowledged anything later.
  void late(SpoolLane::Time since);
  /// Nothing is handed to a log that is away but what the lanes take as a probe.
  bool away() const { return away_; }

  /// Now and then: notes how far the log has come, and tries again what it refused.
  void look_around();
  Awaitable<void> trim();
  Awaitable<double> measure();

  EventLog::Spooled status() const;
  /// Why the log refuses what waits; empty: it does not.
  std::string refusal() const;

 private:
  Awaitable<void> run();
  Awaitable<void> pass(Journal journal);
  Awaitable<bool> make_room(SpoolLane* lane);
  PartitionOffsets wanted(Journal journal);
  void forward(Journal journal, const LogRecord& record);
  SpoolMarks marks() const;
  void note_oldest();

  Shard& shard_;
  Spool& spool_;
  EventLog& log_;
  const milliseconds refused_again_after_;
  std::set<LogStream> streams_;  ///< of the log
  SpoolLanes lanes_;
  SpoolMarks marked_{};
  SpoolMarks trimmed_{};
  SpoolLane::Time heard_{};
  bool away_ = false;
  Notifier progress_;
  ReaderPool reader_{1, "spool-reader"};

  mutable std::mutex mutex_;  // guards what follows
  EventLog::Spooled counts_;
  std::string refusal_;
};

}  // namespace millrace::log
