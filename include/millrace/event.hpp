// The two things that travel: RawMessage (bytes as received) and Event (an immutable canonical
// fact).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/ids.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace {

/// What the inbox journal keeps: a message as it came in, and the record it names.
struct RawMessage {
  enum class Kind : std::uint8_t {
    payload = 1,    ///< the body is the record (`type: hook`)
    doorbell = 2,   ///< the body only names a record to read (Odoo)
    unreadable = 3  ///< record or body could not be read: becomes a dead letter of the connection
  };
  Kind kind = Kind::payload;
  std::string connection;
  std::string record;  ///< "connection/value" or "connection/model/id"; empty when unreadable
  std::string id;      ///< the sender's id for dedupe; empty when it gives none
  std::string origin;  ///< "hook", "kafka", "sweep", "check", "fetch", "baseline"
  WallTime received_at;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case, no secrets
  std::string body;                                          ///< raw bytes
};

/// Makes it unreadable, for this reason; the record it may have named is forgotten.
void make_unreadable(RawMessage& message, std::string reason);
/// Why it is unreadable: what make_unreadable() was told and is forgotten now, or what is usual.
std::string take_reason(RawMessage& message);

/// The inbox payload (docs/reference/formats.md, "inbox payload"). Versioned; older binaries
/// refuse.
std::string encode(const RawMessage& message);
Result<RawMessage> decode_raw_message(std::string_view bytes);

/// A canonical fact: CloudEvents 1.0 with Millrace's extensions (semantics 1). Equal ids are the
/// same event. `data` is exactly what the entity's `map` returned.
struct Event {
  std::string id;
  std::string type;       ///< "<entity>.<event>"
  std::string entity;     ///< the part of `type` before the dot; also the topic
  std::string source;     ///< "/<installation>/<connection>"
  std::string subject;    ///< the entity's `key`: a name for people; may be empty
  WallTime time;          ///< when projected, UTC
  std::string record;     ///< whose news it is: ordering, locks and the identity map hang on it
  std::uint64_t rev = 0;  ///< 0 for events sent to /events
  std::uint32_t entity_version = 1;
  std::vector<std::string> types;  ///< all types its change emitted, in the entity's order
  std::string cause;               ///< "partition:offset" of the inbox message
  std::string origin;              ///< the system whose write this is the echo of; else empty
  std::string correlation_id;
  std::string traceparent;
  std::string program;  ///< hash of the program that projected it; empty for /events
  std::string request;  ///< of /events: the Idempotency-Key it came under, hashed; may be empty
  std::string version;  ///< the source's version of the record, as text; may be empty
  Json data;

  /// The short name after the dot: "confirmed".
  std::string_view name() const;
};

/// The events payload: CloudEvents structured JSON, one object a line.
std::string encode(const Event& event);
Result<Event> decode_event(std::string_view bytes);
/// The same two where the data, or all of it, is a tree already; `event.data` is not looked at.
std::string encode(const Event& event, const Json& data);
/// Where the data is JSON text already.
std::string encode_with(const Event& event, std::string_view data);
Result<Event> event_of(Json json);
/// The value `.` sees in routes: the event with `rev` a number and `types` an array.
/// Takes the event's data with it.
Json to_expression_input(Event& event);

/// An event with the value expressions see, made once and shared by all that read it. `event.data`
/// is empty: it lies in `input`.
struct DecodedEvent {
  Event event;
  Json input;  ///< `.` in routes: the event, `.data` included
};
using DecodedEventPtr = std::shared_ptr<const DecodedEvent>;

/// From an event's payload; `input` lies in `memory`.
Result<DecodedEvent> read_event(std::string_view bytes, JsonMemory memory = {});
/// What reading the event's payload would give.
DecodedEventPtr make_decoded(Event event);

}  // namespace millrace
