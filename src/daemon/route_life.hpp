// The life of a route beyond the files that name it: which text holds from which offset, and that
// it drains. Rows of Table::routes, one a route, beside the texts they name:
//   life\0<id>          what is below, as JSON
//   text\0<hash>        config::text_of a route
//   connection\0<name>  config::text_of a connection that routes go to
//   pause\0<id>         a person paused it
//   replays             how many replays there ever were
//   stopped             the daemon stopped in order: cursors say all that was taken up
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "deliver/replay.hpp"
#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"

namespace millrace::daemon {

struct RouteLife {
  /// Events below these offsets were taken up with `text`.
  struct Older {
    std::string text;
    PartitionOffsets below{};
  };
  /// It takes up nothing at or beyond `until`.
  struct Drain {
    PartitionOffsets until{};
    bool removed = true;  ///< it is no longer in the files; false: a person drains it
    std::string reason;
    WallTime since;
  };

  std::string id;
  std::string name;
  std::string to;            ///< its connection
  std::string entity;        ///< its offsets lie in the stream of that topic
  std::string text;          ///< hash
  std::vector<Older> older;  ///< oldest first
  std::optional<Drain> drain;
  deliver::ReplayOrderPtr replay;  ///< under way; nullptr: none
  bool dropped = false;            ///< it has ended; what is left of its rows goes
  std::optional<std::string> row;  ///< as it was read or put; nullopt: there is none yet
};
using RouteLives = std::map<std::string, RouteLife>;  ///< by id

std::string encode(const RouteLife& life);
Result<RouteLife> decode_route_life(std::string_view text);

std::string life_key(std::string_view id);
std::string text_key(std::string_view hash);
std::string connection_key(std::string_view name);
std::string pause_key(std::string_view id);
inline constexpr std::string_view kStoppedKey = "stopped";
inline constexpr std::string_view kReplaysKey = "replays";  ///< how many there ever were

Result<RouteLives> read_route_lives(StateStore& state);

/// Puts its row. The batch is refused (Errc::precondition_failed) when another instance has changed
/// the row since it was read.
void put_life(Batch& batch, RouteLife& life);

/// Commits what `change` makes of the lives as they are read, again when another instance was
/// faster; returns them.
Result<RouteLives> change_lives(StateStore& state,
                                const std::function<Result<RouteLives>(Batch&)>& change);

/// What was taken up with text `old` below these offsets keeps it, beyond them the route has text
/// `now`; a text that nothing was taken up with is forgotten. Instances say it one after the other,
/// each of its own partitions (the others' offsets are 0).
void change_text(RouteLife& life, const std::string& old, const std::string& now,
                 const PartitionOffsets& from);

/// Drops the older texts that every cursor has passed. True when there was one.
bool forget_passed(RouteLife& life, const PartitionOffsets& cursors);

/// Erases the rows of texts and connections that no life names; refused as put_life's when one of
/// them changes meanwhile.
Result<Batch> unused_texts(StateStore& state);

}  // namespace millrace::daemon
