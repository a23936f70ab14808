// One record whose doorbell rang and what is still to be read of it, and the rule that says when it
// is settled (semantics 2).
#pragma once

#include <array>
#include <optional>
#include <string>

#include "canon/inbox_pump.hpp"
#include "millrace/clock.hpp"

namespace millrace::canon {

/// Readings after a doorbell, before the last one at `longest_transaction`.
inline constexpr std::array kLadderSteps{milliseconds(200), milliseconds(1000), milliseconds(5000),
                                         milliseconds(30'000)};

/// Origin of the doorbells of a walk after a change of the configuration.
inline constexpr std::string_view kReread = "reread";

struct Ladder {
  milliseconds settle{1000};
  milliseconds longest_transaction{150'000};
};

struct DoorbellRow {
  std::string record;
  std::int64_t id = 0;
  Partition partition = 0;  ///< of the newest doorbell, as are offset and origin
  Offset offset = 0;
  std::string origin;
  std::string write_date;  ///< the newest any doorbell carried, whole seconds; or empty
  bool committed = true;   ///< only sweeps, checks and people rang: what they saw is committed
  bool baseline = false;   ///< the full read met it and could not read it
  bool reread = false;     ///< nobody rang but a walk after a change of the configuration
  std::string backfill;    ///< entity whose history is being sent; empty: none
  WallTime since;          ///< the first doorbell
  WallTime rung_at;        ///< the newest doorbell that may be ahead of its commit

  // Not stored: where its ladder stands.
  BootTime rung;
  BootTime due;
  bool reading = false;
  bool dirty = false;                  ///< rang during the reading
  bool suspect = false;                ///< refused last time: read apart from the others
  std::optional<BootTime> changed_at;  ///< projected a change not older than the doorbell
  BootTime changed_issued;             ///< when its reading was issued
};

/// A reading of the record and what came of it.
struct RowReading {
  BootTime issued;
  BootTime done;
  bool changed = false;    ///< under some entity
  std::string write_date;  ///< as read, whole seconds
};

/// A change may be behind its doorbell only if it was announced after its commit.
bool is_committed_origin(std::string_view origin);
/// "backfill/sales_order": whose backfill rang; empty otherwise.
std::string_view backfilled_entity(std::string_view origin);

DoorbellRow make_row(const Doorbell& doorbell, const Clock& clock);
/// Another doorbell of the record; sets `due`.
void ring_again(DoorbellRow& row, const Doorbell& doorbell, const Clock& clock);

/// A reading issued at `issued` is the last one: nothing it does not show can still come.
bool is_last_reading(const DoorbellRow& row, BootTime issued, const Ladder& ladder);
/// Counts the reading; true when the row is settled, otherwise `due` is its next one.
bool settle(DoorbellRow& row, const RowReading& reading, const Ladder& ladder);

std::string encode(const DoorbellRow& row);
/// `key` is "<connection>\0<model>\0<id>". Errc::corrupt.
Result<DoorbellRow> decode_doorbell_row(std::string_view key, std::string_view value,
                                        const Clock& clock);

}  // namespace millrace::canon
