// Parked rows: work that left the happy path, one row each, dead letters among them (semantics 5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/clock.hpp"
#include "millrace/http.hpp"
#include "millrace/ids.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"
#include "millrace/state_store.hpp"

namespace millrace {

enum class ParkedState : std::uint8_t {
  retrying,           ///< tried again by itself at `next_at`
  behind,             ///< waits for an earlier row of its record
  held,               ///< waits for a dead one under `after_dead_letter: hold`
  waiting_reference,  ///< waits for an identity, a table row or a company
  needs_decision,     ///< a person must say what happened
  unknown,            ///< sent and unanswered, and the route says `ask`
  dead,               ///< given up: a dead letter
  resubmitted,        ///< a person sent it again; the new row goes on
  discarded           ///< a person gave it up
};
std::string_view to_string(ParkedState state);
Result<ParkedState> parse_parked_state(std::string_view text);

struct ParkedRow {
  std::string stage;  ///< "collect", "project" or "deliver"
  std::string owner;  ///< entity, route id, or connection for messages that could not be read
  std::string record;
  Partition partition = 0;
  Offset offset = 0;         ///< in the journal of its stage: inbox, or events for deliver
  int send = 0;              ///< raised by a resubmission after "not applied"
  std::uint64_t replay = 0;  ///< the replay that parked it; 0: none
  bool new_key = false;      ///< that replay sends with keys of its own
  ParkedState state = ParkedState::retrying;
  std::string type;  ///< event type, or empty
  std::string subject;
  std::string reason;       ///< for the operator
  std::string cause;        ///< class of reason, for grouping: "rejected 422", "missing_reference"
  std::string waits_for;    ///< key of Table::xref a waiting_reference row needs; may be empty
  bool unanswered = false;  ///< sent, and nobody knows whether it was applied: probed first
  int attempts = 0;
  milliseconds spent{0};  ///< time in which the target answered
  WallTime since;
  WallTime next_at;
  Json payload;  ///< deliver: the event as structured JSON; project: the source message
  bool rendered = false;
  HttpRequest request;  ///< without authentication; when `rendered`
  std::string request_name;
  int answer_status = 0;
  std::string answer_body;  ///< at most 64 KB

  /// "order-to-mes:12:345", for deliver; "project.sales_order:12:345" otherwise. Names the row to
  /// people and, through parse_parked_id, gives its key.
  std::string id() const;
  /// Key in Table::parked: rows of one owner and partition sort by offset.
  std::string key() const;
};

inline constexpr std::size_t kParkedAnswerBytesMax = 64 * 1024;

/// The part of the key that names the owner: "order-to-mes" or "project.sales_order".
std::string parked_owner(std::string_view stage, std::string_view owner);
/// Key prefix of all rows of an owner in one partition.
std::string parked_prefix(std::string_view parked_owner, Partition partition);
/// Errc::invalid_argument when it has not the form owner:partition:offset[:send].
Result<std::string> parse_parked_id(std::string_view id);

/// The parts of a key.
Partition parked_partition(std::string_view key);
Offset parked_offset(std::string_view key);
int parked_send(std::string_view key);

/// `rev` of an event or a projection row, decimal text in both; 0 when there is none.
std::uint64_t revision_of(const Json& object);

/// When the event in its payload was appended; `since` where it does not say.
WallTime appended_at_of(const ParkedRow& row);

std::string encode(const ParkedRow& row);
/// With this JSON text as its payload; `row.payload` is not looked at.
std::string encode(const ParkedRow& row, std::string_view payload);
Result<ParkedRow> decode_parked_row(std::string_view text);

}  // namespace millrace
