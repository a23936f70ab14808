// A log that may be away for a while (Kafka), with a spool on this instance's disk beside it. What
// senders wait for (`accept`) is answered once the log has it, or, when that takes too long, once
// the spool has it; from there it comes into the log by itself, in order. Everything else goes to
// the log alone and waits for it.
//
// Per partition nothing overtakes: while entries of a partition wait in the spool, later ones go
// there too. An entry that is late stays with the log, which has it in its queue; the spool's copy
// is sent only after a crash, and readers know it by its id (kafka_repeats.hpp).
#pragma once

#include <functional>
#include <memory>

#include "log/spool.hpp"
#include "millrace/event_log.hpp"

namespace millrace {

enum class AckMode : std::uint8_t {
  automatic,  ///< the log's, within `ack_within`; else the spool's
  log,        ///< the log's alone; what waits in the spool from before is brought into the log
  local       ///< the spool's
};

struct SpoolingLogOptions {
  AckMode mode = AckMode::automatic;
  milliseconds ack_within{300};
  /// Below this free part of the spool's file system nothing is spooled; from any thread.
  std::function<double()> min_free = [] { return 0.0; };
  milliseconds refused_again_after{5'000};  ///< what the log refused is handed over again
};

/// Errors: those of Spool::belong_to.
Result<std::unique_ptr<EventLog>> open_spooling_log(SpoolingLogOptions options,
                                                    std::unique_ptr<log::Spool> spool,
                                                    std::unique_ptr<EventLog> log);

}  // namespace millrace
