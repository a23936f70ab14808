// Follows the inbox journal of one shard's partitions: payloads are projected, doorbells become
// rows of the collector, unreadable messages become dead letters of their connection. The inbox
// cursor moves with the commit that holds what a message caused.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "canon/projector.hpp"
#include "log/follower.hpp"
#include "millrace/dropped.hpp"
#include "millrace/parking.hpp"

namespace millrace::canon {

/// A doorbell out of the inbox: which record to read, not earlier than what it says.
struct Doorbell {
  std::string connection;
  std::string model;
  std::int64_t id = 0;
  std::string write_date;  ///< "2026-11-21 22:05:48.421628" as it came, or empty
  std::string origin;      ///< "hook", "sweep", "check", "fetch", "baseline"
  Partition partition = 0;
  Offset offset = 0;  ///< in the inbox
  WallTime received_at;
};

/// Where doorbells go; implemented by the collector of the shard.
class DoorbellSink {
 public:
  virtual ~DoorbellSink() = default;
  /// Takes the doorbell up and adds the row that keeps it across a crash to `writes`. False: nobody
  /// reads the model.
  virtual bool ring(const Doorbell& doorbell, Batch& writes) = 0;
};

class InboxPump {
 public:
  InboxPump(ProjectorContext context, Projector& projector, DoorbellSink& doorbells,
            TailDispatcher& dispatcher, DroppedMessages& dropped, std::function<void()> announced);

  /// `from`: per partition of the shard the first inbox offset not yet reflected.
  Awaitable<Result<void>> start(config::ConfigPtr config, PartitionOffsets from);
  void stop();
  /// Other partitions are the shard's from resume() on: nothing more is taken, and what was taken
  /// is durable when it returns.
  Awaitable<void> hold();
  /// As start() does.
  void resume(PartitionOffsets from);
  /// New texts from now on; payloads parked at their projection are tried again.
  void replace(config::ConfigPtr config);
  /// A person gave a parked row up and erases it: what waits behind it is tried.
  void given_up(const ParkedRow& row);

  /// Now and then: after the log could not be read, it is tried again.
  void look_around();
  /// Why nothing is taken from the inbox, while that is so.
  std::optional<Follower::Failure> unreadable() const;

 private:
  struct Pass;
  void follow(const PartitionOffsets& from);
  Awaitable<void> run();
  /// False: there was nothing to take.
  Awaitable<bool> project_batch();
  void take(Pass& pass, const LogRecord& record);
  void take_payload(Pass& pass, const LogRecord& record, RawMessage message);
  void take_doorbell(Pass& pass, const LogRecord& record, const RawMessage& message);
  void note_stale(const SourceChange& change, const ProjectResult& result);
  void dead_message(Pass& pass, const LogRecord& record, const RawMessage& message,
                    std::string reason);
  Batch finish(Pass& pass, const std::vector<SourceChange>& changes,
               const std::vector<ProjectResult>& results);

  // inbox_parked.cpp
  void park(Batch& writes, const SourceChange& change, const Error& error);
  Awaitable<Result<void>> release_parked();
  Awaitable<Result<void>> release_rows(config::ConfigPtr config, std::string entity,
                                       Partition partition, std::string record);
  Awaitable<Result<void>> release_row(config::ConfigPtr config, ParkedRow row);

  ProjectorContext context_;
  Projector& projector_;
  DoorbellSink& doorbells_;
  TailDispatcher& dispatcher_;
  DroppedMessages& dropped_;
  std::function<void()> announced_;
  config::ConfigPtr config_;
  std::unique_ptr<Follower> follower_;
  Notifier ready_;
  std::unordered_map<std::string, int> blocked_;  ///< "entity\0record" -> parked rows
  bool release_ = true;                           ///< all that is parked; at the start, too
  std::set<std::pair<std::string, std::string>> release_of_;  ///< of these: entity, record
  std::set<std::string> given_up_;                            ///< keys, since a release began
  bool held_ = false;
  bool working_ = false;  ///< messages were taken and are not projected yet
  bool stopping_ = false;
};

}  // namespace millrace::canon
