#include "canon/doorbell_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "canon/collect_plan.hpp"
#include "canon/source_time.hpp"

namespace millrace::canon {
namespace {

// When it rang on the clock that never jumps; a wall clock that stepped back counts as now.
BootTime rung_on_boot_clock(WallTime received_at, const Clock& clock) {
  const auto age = std::max(clock.wall_now() - received_at, microseconds(0));
  return clock.boot_now() - age;
}

BootTime first_due(const DoorbellRow& row, const Clock& clock) {
  if (row.committed) return clock.boot_now();
  return std::max(clock.boot_now(), row.rung + kLadderSteps.front());
}

std::optional<WallTime> time_of(const Json& json, std::string_view key) {
  const auto parsed = parse_rfc3339(string_or(json, key, ""));
  return parsed ? std::optional(*parsed) : std::nullopt;
}

}  // namespace

bool is_committed_origin(std::string_view origin) {
  return origin != "hook";
}

std::string_view backfilled_entity(std::string_view origin) {
  constexpr std::string_view kPrefix = "backfill/";
  return origin.starts_with(kPrefix) ? origin.substr(kPrefix.size()) : std::string_view();
}

DoorbellRow make_row(const Doorbell& doorbell, const Clock& clock) {
  DoorbellRow row;
  row.record = record_name(doorbell.connection, doorbell.model, doorbell.id);
  row.id = doorbell.id;
  row.partition = doorbell.partition;
  row.offset = doorbell.offset;
  row.origin = doorbell.origin;
  row.write_date = whole_seconds(doorbell.write_date);
  row.committed = is_committed_origin(doorbell.origin);
  row.baseline = doorbell.origin == "baseline";
  row.reread = doorbell.origin == kReread;
  row.backfill = backfilled_entity(doorbell.origin);
  row.since = row.rung_at = doorbell.received_at;
  row.rung = rung_on_boot_clock(doorbell.received_at, clock);
  row.due = first_due(row, clock);
  return row;
}

void ring_again(DoorbellRow& row, const Doorbell& doorbell, const Clock& clock) {
  row.dirty = row.reading;
  row.partition = doorbell.partition;
  row.offset = doorbell.offset;
  row.origin = doorbell.origin;
  row.baseline = row.baseline || doorbell.origin == "baseline";
  row.reread = row.reread && doorbell.origin == kReread;
  if (const auto entity = backfilled_entity(doorbell.origin); !entity.empty()) {
    row.backfill = entity;
  }
  row.write_date = std::max(row.write_date, whole_seconds(doorbell.write_date));
  if (is_committed_origin(doorbell.origin)) {
    // A sweep must not stretch the ladder of a doorbell that may be ahead of its commit.
    if (row.committed) {
      row.rung_at = doorbell.received_at;
      row.rung = rung_on_boot_clock(doorbell.received_at, clock);
    }
    row.due = std::min(row.due, clock.boot_now());
    return;
  }
  row.committed = false;
  row.rung_at = doorbell.received_at;
  row.rung = rung_on_boot_clock(doorbell.received_at, clock);
  if (row.changed_at && row.changed_issued <= row.rung) row.changed_at.reset();
  row.due = std::min(row.due, first_due(row, clock));
}

bool is_last_reading(const DoorbellRow& row, BootTime issued, const Ladder& ladder) {
  return !row.dirty && issued >= row.rung &&
         (row.committed || issued >= row.rung + ladder.longest_transaction);
}

bool settle(DoorbellRow& row, const RowReading& reading, const Ladder& ladder) {
  // A reading that showed less than the doorbell told of is not the change it announced.
  const bool old = !row.write_date.empty() && reading.write_date < row.write_date;
  if (reading.changed && reading.issued >= row.rung && !old) {
    row.changed_at = reading.done;
    row.changed_issued = reading.issued;
  }
  if (is_last_reading(row, reading.issued, ladder)) return true;
  const bool dirty = std::exchange(row.dirty, false);
  if (!dirty && row.changed_at && reading.issued >= *row.changed_at + ladder.settle) return true;
  if (row.changed_at) {
    row.due = *row.changed_at + ladder.settle;
    return false;
  }
  row.due = row.rung + ladder.longest_transaction;
  for (const milliseconds step : kLadderSteps) {
    if (row.rung + step > reading.issued) row.due = std::min(row.due, row.rung + step);
  }
  if (dirty && is_committed_origin(row.origin)) row.due = std::min(row.due, reading.done);
  return false;
}

std::string encode(const DoorbellRow& row) {
  return write_json(Json(JsonObject{{"since", to_rfc3339(row.since)},
                                    {"rung_at", to_rfc3339(row.rung_at)},
                                    {"write_date", row.write_date},
                                    {"origin", row.origin},
                                    {"committed", row.committed},
                                    {"baseline", row.baseline},
                                    {"reread", row.reread},
                                    {"backfill", row.backfill},
                                    {"partition", row.partition},
                                    {"offset", static_cast<std::int64_t>(row.offset)}}));
}

Result<DoorbellRow> decode_doorbell_row(std::string_view key, std::string_view value,
                                        const Clock& clock) {
  const std::size_t first = key.find('\0');
  const std::size_t last = key.rfind('\0');
  DoorbellRow row;
  if (first == key.npos || last <= first ||
      std::from_chars(key.data() + last + 1, key.data() + key.size(), row.id).ec != std::errc{}) {
    return fail(Errc::corrupt, "a doorbell row's key is not connection, model, id");
  }
  MILLRACE_TRY(json, parse_json(value));
  const auto since = time_of(json, "since");
  const auto rung_at = time_of(json, "rung_at");
  if (!since || !rung_at) return fail(Errc::corrupt, "a doorbell row does not say when it rang");
  row.record = record_name(key.substr(0, first), key.substr(first + 1, last - first - 1), row.id);
  row.since = *since;
  row.rung_at = *rung_at;
  row.write_date = string_or(json, "write_date", "");
  row.origin = string_or(json, "origin", "hook");
  row.committed = bool_or(json, "committed", false);
  row.baseline = bool_or(json, "baseline", false);
  row.reread = bool_or(json, "reread", false);
  row.backfill = string_or(json, "backfill", "");
  row.partition = static_cast<Partition>(int_or(json, "partition", 0));
  row.offset = static_cast<Offset>(int_or(json, "offset", 0));
  row.rung = rung_on_boot_clock(row.rung_at, clock);
  row.due = first_due(row, clock);
  return row;
}

}  // namespace millrace::canon
