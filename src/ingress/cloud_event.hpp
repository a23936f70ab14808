// Reads CloudEvents 1.0 sent to /events (HTTP binding 1.0: structured and binary mode), or lying in
// a Kafka topic (Kafka binding 1.0.2: both modes), into an Event. What only the broker may say
// (record, rev, types, cause, ...) is refused, not ignored: a sender who believes it matters must
// learn that it does not.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/event.hpp"
#include "millrace/http.hpp"

namespace millrace::ingress {

/// Why a message is refused; becomes problem+json.
struct EventRefusal {
  int status = 400;
  std::string detail;   ///< never repeats what was sent
  std::string pointer;  ///< JSON pointer of what does not fit; may be empty
  std::optional<std::size_t> index = std::nullopt;  ///< of the event in its batch
};

/// Says which event of a batch is meant; what would be a 400 alone makes a batch a 422.
EventRefusal in_batch(EventRefusal refusal, std::size_t index);

/// The events of a request: one, or a batch (application/cloudevents-batch+json).
struct SentEvents {
  std::vector<Event> events;
  bool batch = false;
};

/// `body` as sent. Each event has id, type, entity, source, subject, time (`now` when not given),
/// record ("events:<source>/<subject>"), types, correlation_id, traceparent and data; no rev.
/// A batch is taken whole or refused with 422 for the first event that does not fit.
std::expected<SentEvents, EventRefusal> read_cloud_events(const HttpHeaders& headers,
                                                          std::string_view body, WallTime now);

/// The event of a Kafka record, whose headers and value these are; `now` stands in for its time. A
/// binary one may be without a content-type: its value is JSON.
std::expected<Event, EventRefusal> read_kafka_event(const HttpHeaders& headers,
                                                    std::string_view value, WallTime now);

}  // namespace millrace::ingress
