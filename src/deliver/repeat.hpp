// What may be done with a request that may have been applied already.
#pragma once

#include <string>

#include "config/model.hpp"
#include "millrace/clock.hpp"

namespace millrace::deliver {

enum class Repeat : std::uint8_t {
  send,   ///< again: it is harmless there, or the route says so
  probe,  ///< the target is asked first
  ask     ///< a person looks there
};

/// `keys_honoured`: the target would know the request by the Idempotency-Key it comes with.
Repeat repeat_of(const config::RouteRequest& request, bool keys_honoured);

/// For the operator of an installation that came out of a backup.
std::string reason_to_ask(WallTime backup_at);

}  // namespace millrace::deliver
