// Group: what instances that share a state store know of each other. Promise: what a session that
// was expelled commits is not applied, whenever it wakes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace {

/// One of the instances that share a state store.
struct GroupMember {
  std::string instance;     ///< its name
  std::string session;      ///< random, new at each of its starts
  std::int64_t serial = 0;  ///< of its last transaction

  bool operator==(const GroupMember&) const = default;
};

/// Thread-safe. What blocks is for reader threads, and answers Errc::state_away within the store's
/// answer_max when the store does not answer, Errc::stopping when it was closed.
class Group {
 public:
  virtual ~Group() = default;

  virtual std::string instance() const = 0;
  virtual std::string session() const = 0;  ///< ours: new at each start

  /// Those that have a session, by name; we are among them. Blocking.
  virtual Result<std::vector<GroupMember>> members() = 0;

  /// Ends that session for ever: what it has not committed yet is refused, and its store is fatal.
  /// False: it committed meanwhile, or is another session by now; it lives. Blocking.
  virtual Result<bool> expel(const GroupMember& member) = 0;

  /// Our own row goes. In order at a stop: after the last commit; later ones are refused. Blocking.
  virtual Result<void> leave() = 0;

  /// When the newest of our transactions that were committed began, by the boot clock: taken before
  /// its first statement was sent. Our session was ours then. nullopt: none was committed yet.
  virtual std::optional<BootTime> confirmed_at() const = 0;
};

}  // namespace millrace
