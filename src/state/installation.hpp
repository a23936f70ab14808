// What ties a state store to its log and its environment, and the guards that refuse a pair that
// does not belong together (semantics 3): a lost state must lose no acknowledged event, a copied
// one must write to nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"

namespace millrace {

/// Meta row "installation", written once, before the first append to the log.
struct Installation {
  std::string uuid;               ///< of this state store; part of every idempotency key
  std::string log_uuid;           ///< the log whose cursors it holds
  std::string environment;        ///< "production", "staging", as configured when it was created
  std::uint64_t incarnation = 1;  ///< revs start at incarnation * 2^32 (31 bits)
};

/// What an adopted store tells the daemon: where its routes begin (meta row "adopted").
struct Adoption {
  std::string routes_from;  ///< "end", "beginning", or an RFC 3339 time
  std::string reason;
  std::string at;  ///< RFC 3339; set by adopt()
};

/// Whether the store has ever been started: meta row "installation" exists.
Result<bool> has_installation(StateStore& store);
/// The row, or nullopt for a new store. Errc::corrupt when it cannot be read.
Result<std::optional<Installation>> read_installation(StateStore& store);
Result<std::optional<Adoption>> read_adoption(StateStore& store);

/// The durable ends of the log as of the last commit, in the log's own words; nullopt when new.
Result<std::optional<std::string>> read_journal_ends(StateStore& store);

/// The guards, in this order. A new store beside an empty log is given its row, durably; of several
/// instances that start at once on it one gives it, and all return that one's. Refused
/// with Errc::wrong_environment: a new store beside a log with records (the message names
/// `millrace state adopt`), the store of another log, the store of another environment; with
/// Errc::corrupt: a log that ends before what was acknowledged; with Errc::conflict: a store that
/// was moved elsewhere, or a copy of one that is not complete (state/moved.hpp).
Result<Installation> open_installation(StateStore& store, EventLog& log,
                                       std::string_view environment,
                                       const Clock& clock = system_clock());

/// The guards for a store that is not new: its log, its environment, the log's ends.
Result<void> check_belongs(StateStore& store, const EventLog& log, const Installation& found,
                           std::string_view environment);

/// Makes a new store the owner of a log that has records, with an incarnation above every rev in
/// the log. Errc::conflict when the store is not new; Errc::invalid_argument for a bad position or
/// an empty reason. Reads the newest events of every partition: seconds, not a scan of the log.
Result<Installation> adopt(StateStore& store, EventLog& log, std::string_view environment,
                           Adoption adoption, const Clock& clock = system_clock());

}  // namespace millrace
