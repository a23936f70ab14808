// What an operator does to a route beyond pausing it: end it, move it, let go of undelivered
// events. Nothing else lets go of what was acknowledged, so each says first what it would do and to
// how many events, acts only when told so with a reason, and leaves it in the audit and in the
// trail.
#pragma once

#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/broker.hpp"

namespace millrace::daemon {

/// Blocking: on the control thread.
class RouteSteer {
 public:
  struct Request {
    std::string route;   ///< name or id
    std::string to;      ///< beginning, end, a time (RFC 3339) or PARTITION:OFFSET
    std::string record;  ///< skip: this record only
    std::string reason;
    bool yes = false;
  };

  RouteSteer(Broker& broker, Request request) : broker_(broker), request_(std::move(request)) {}

  /// Takes up nothing that is not in the log now, delivers what it has.
  Result<Json> drain();
  /// Ends a drain that a person began.
  Result<Json> go_on();
  /// Moves the route: over events that are let go, or back to events that are sent again.
  Result<Json> seek();
  /// Lets go of undelivered events: up to a position, or of one record.
  Result<Json> skip();
  /// Ends a removed route that still drains, and lets go of what it has.
  Result<Json> drop();

 private:
  struct Moves {
    std::map<Partition, route::Progress> progress;  ///< as it shall be
    std::uint64_t let_go = 0;
    std::uint64_t gone = 0;  ///< let go, too: the log had dropped them
    std::uint64_t again = 0;
    std::uint64_t rows = 0;
    std::string unreadable;  ///< why not everything that is let go could be counted
    Batch writes;
    std::vector<std::pair<std::string, std::string>> hops;  ///< record, event id
  };

  Result<const RunningRoute*> find();
  Result<void> need_reason() const;
  Result<void> no_replay(const RunningRoute& running) const;
  Result<Json> set_drain(RouteLife life, std::string_view state);
  Result<Json> answer(const Moves& moves, std::string what, std::string command);
  /// Of the log, that the route's events lie in.
  LogStream stream() const { return broker_.stream_of(broker_.lives_.at(id_)); }
  Result<PartitionOffsets> position(const std::map<Partition, route::Progress>& now);
  Result<Moves> move_to(const PartitionOffsets& to);
  Result<Moves> skip_record();
  /// Calls `each` for every record of the events journal within [from, to) of each partition.
  Result<void> each_record(PartitionOffsets from, const PartitionOffsets& to,
                           const std::function<Result<void>(const LogRecord&)>& each) const;
  Result<DecodedEventPtr> acted_on(const LogRecord& record) const;
  Result<void> let_go(Moves& moves, PartitionOffsets from, const PartitionOffsets& to);
  Result<void> count_again(Moves& moves, const PartitionOffsets& from, const PartitionOffsets& to);
  using Offsets = std::map<Partition, std::unordered_set<Offset>>;
  Result<Offsets> parked_offsets() const;
  Result<void> discard_rows(Moves& moves);
  Result<std::uint64_t> count_rows();
  Result<void> quiesce();
  void wake();
  Result<void> carry_out(Moves& moves, std::string_view what);
  void note(const Moves& moves, std::string_view what);

  Broker& broker_;
  const Request request_;
  std::shared_ptr<const RunningRoutes> running_;
  std::string id_;
};

}  // namespace millrace::daemon
