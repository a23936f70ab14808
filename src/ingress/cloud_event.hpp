// Reads CloudEvents 1.0 sent to /events (HTTP binding 1.0: structured and binary mode) into an
// Event. What only the broker may say (record, rev, types, cause, ...) is refused, not ignored: a
// sender who believes it matters must learn that it does not.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "millrace/event.hpp"
#include "millrace/http.hpp"

namespace millrace::ingress {

/// Why a message is refused; becomes problem+json.
struct EventRefusal {
  int status = 400;
  std::string detail;   ///< never repeats what was sent
  std::string pointer;  ///< JSON pointer of what does not fit; may be empty
};

/// `body` as sent. The result has id, type, entity, source, subject, time (`now` when not given),
/// record ("events:<source>/<subject>"), types, correlation_id, traceparent and data; no rev.
std::expected<Event, EventRefusal> read_cloud_event(const HttpHeaders& headers,
                                                    std::string_view body, WallTime now);

}  // namespace millrace::ingress
