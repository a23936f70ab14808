// What ingress counts, for /metrics. Relaxed atomics: exact sums, no order among them.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "millrace/dropped.hpp"

namespace millrace::ingress {

struct Counters {
  using Count = std::atomic<std::uint64_t>;
  Count hooks_accepted{0};        ///< answered 200 and in the inbox
  Count hooks_duplicate{0};       ///< answered 200; their id was in the inbox already
  Count hooks_unreadable{0};      ///< in the inbox as dead letters to be
  Count hooks_model_not_read{0};  ///< answered 200 and dropped: no entity reads the model
  Count hooks_unknown{0};         ///< 404: no such connection or a wrong token
  Count hooks_unverified{0};      ///< 401: signature or age
  Count kafka_accepted{0};        ///< in the inbox
  Count kafka_duplicate{0};       ///< their id was in the inbox already
  Count kafka_unreadable{0};      ///< in the inbox as dead letters to be
  Count events_accepted{0};
  Count events_duplicate{0};
  Count events_refused{0};       ///< 400, 415, 422: not a CloudEvent we can take
  Count events_unauthorized{0};  ///< 401 and 403
  Count too_large{0};            ///< 413 by a connection's own limit
  Count overloaded{0};           ///< 503: a bound, a stalled disk, or stopping
  Count disk_full{0};            ///< 503: below min_free, or the append found no space
  Count late{0};                 ///< 503 after 500 ms; the message may still be delivered
  DroppedMessages dropped;       ///< by connection; what follows the inbox counts here, too
};

/// Prometheus text: `millrace_ingress_..._total` lines with their HELP and TYPE.
void append_metrics(std::string& out, const Counters& counters);

}  // namespace millrace::ingress
