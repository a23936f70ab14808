// `millrace replay`: says what it would send again, begins it, ends it. The lanes do the work
// (deliver/replay.hpp).
#pragma once

#include <memory>
#include <string>

#include "daemon/broker.hpp"

namespace millrace::daemon {

/// Blocking: on the control thread, in steps, so that a long look at the log holds up nobody.
class RouteReplay {
 public:
  struct Request {
    std::string route;   ///< name or id
    std::string from;    ///< beginning, a time, or PARTITION:OFFSET
    std::string to;      ///< the same, or end; empty: where the route stands
    std::string record;  ///< this record only
    std::string key;     ///< the record that has this name
    std::string reason;
    bool history = false;
    bool again = false;
    bool yes = false;
  };

  RouteReplay(Broker& broker, Request request) : broker_(broker), request_(std::move(request)) {}

  /// First: what is asked for. Nothing is begun.
  Result<void> open();
  /// Then, until it says true.
  Result<bool> step();
  /// Last: what it comes to; begins it when the request says `yes`.
  Result<Json> finish();

  /// Ends the replay of a route; what it has under way may end.
  static Result<Json> stop(Broker& broker, const std::string& route, const std::string& reason);

 private:
  struct Count {
    deliver::ReplayCounts counts;  ///< `sent` is what would be
    std::optional<WallTime> first_at;
    std::optional<WallTime> last_at;
  };

  Result<void> resolve_record();
  Result<void> set_range();
  Result<Count> count();
  JsonArray warnings(const Count& count) const;
  Result<void> begin(const Count& count);

  Broker& broker_;
  Request request_;
  std::string id_;
  deliver::RouteText text_;
  std::shared_ptr<deliver::ReplayOrder> order_;
  std::unique_ptr<deliver::ReplayScan> scan_;
};

}  // namespace millrace::daemon
