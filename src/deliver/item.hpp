// One event on its way through a lane.
#pragma once

#include <optional>

#include "deliver/lane.hpp"

namespace millrace::deliver {

struct Lane::Item {
  config::ConfigPtr config;  ///< keeps `route` and `request` alive; an event keeps its texts
  const config::Route* route = nullptr;
  const config::RouteRequest* request = nullptr;
  DecodedEventPtr event;
  Partition partition = 0;
  Offset offset = 0;
  WallTime appended_at;
  BootTime taken_at{};       ///< when this process took it up
  std::uint64_t record = 0;  ///< hash
  int send = 0;
  std::shared_ptr<Replay> replay;  ///< it came from there, and is not of the log's tail
  std::uint64_t new_key = 0;       ///< of the replay whose keys are its own; 0: the usual key
  std::size_t cost = 0;            ///< bytes it takes, about

  bool rendered = false;
  HttpRequest bytes;  ///< of the first attempt; retries send the same
  config::FetchedReferences references;
  std::optional<std::uint64_t> exclusive;  ///< hash of what it must not run beside; 0: nothing
  bool has_exclusive = false;              ///< no other item of the lane has it meanwhile
  bool unanswered = false;  ///< it may have been applied: the target is asked before it is sent
  bool may_repeat = false;  ///< it may have been sent before the start, and cannot be asked for
  int attempts = 0;
  BootTime first_attempt{};
  BootTime retry_at{};       ///< while it waits in memory, or its row does
  std::string retry_reason;  ///< while it waits: why the last attempt has to be made again
  BootTime ask_at{};         ///< while it waits: then its target is asked whether it answers others
  milliseconds spent{0};     ///< of `give_up_after`
  std::optional<microseconds> odometer;  ///< of its target, when that was said
  int answer_status = 0;
  std::string answer_body;

  std::optional<ParkedRow> row;  ///< this is a retry of a parked row
  bool row_is_final = false;     ///< the row is deleted with the outcome
};

}  // namespace millrace::deliver
