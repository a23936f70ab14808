// A reload is a protocol: read, lint, compile, plan, swap, acknowledge. Whole or not at all; a bad
// file leaves everything running and says what is wrong. Only what changed is replaced, between
// events; untouched routes keep their sockets, cursors and timers.
#pragma once

#include <string>
#include <vector>

#include "daemon/broker.hpp"

namespace millrace::daemon {

/// One object that differs between two configurations.
struct Change {
  std::string object;  ///< its name
  std::string kind;    ///< "route", "connection", "entity", "table", "installation"
  std::string change;  ///< "added", "changed", "removed...", "renamed...", "needs a restart"
};

/// What a reload would replace, by name and kind.
std::vector<Change> plan(const config::Config& running, const config::Config& wanted);

class Reload {
 public:
  explicit Reload(Broker& broker) : broker_(broker) {}

  /// Blocking: never on a shard. `apply` false: only the plan. The answer is
  /// {generation, applied, changes, problems}; findings are not an Error.
  Result<Json> run(const std::string& author, bool apply);

 private:
  /// Fields that a source does not have are errors; a source that does not answer is a warning.
  void check_sources(const config::ConfigPtr& wanted, JsonArray& problems);
  Result<void> apply(const config::ConfigPtr& wanted);
  void add_unfit(const std::string& connection, const canon::CollectPlanPtr& wanted,
                 JsonArray& problems);
  Result<std::map<std::string, ConnectionUnit>> make_connections(const config::Config& wanted);
  Result<void> record(const config::Config& wanted, const std::vector<Change>& changes,
                      const std::string& author);

  Broker& broker_;
};

}  // namespace millrace::daemon
