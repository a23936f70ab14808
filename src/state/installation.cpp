#include "state/installation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "millrace/event.hpp"
#include "millrace/json.hpp"
#include "state/blocking_commit.hpp"
#include "state/moved.hpp"

namespace millrace {

namespace {

constexpr std::string_view kInstallationKey = "installation";
constexpr std::string_view kAdoptedKey = "adopted";
constexpr std::string_view kJournalEndsKey = "journal_ends";
constexpr std::uint64_t kIncarnationMax = 0x7fffffff;
constexpr int kRevIncarnationShift = 32;

// How adopt() looks for the newest rev: this many offsets back from the end of each partition, and
// eight times as far again wherever there were only events without a rev (those sent to /events).
constexpr Offset kTailOffsets = 512;
constexpr Offset kTailGrowth = 8;
constexpr std::size_t kReadRecordsMax = 1024;
constexpr std::size_t kReadBytesMax = 8u << 20;

constexpr const char* kAdoptCommand = "millrace state adopt --routes-from POSITION --reason TEXT";

std::string to_text(const Installation& installation, const std::string& created_at) {
  JsonObject row;
  row["uuid"] = installation.uuid;
  row["log_uuid"] = installation.log_uuid;
  row["environment"] = installation.environment;
  row["incarnation"] = installation.incarnation;
  row["created_at"] = created_at;
  return write_json(row);
}

Error unreadable(std::string_view key) {
  return {Errc::corrupt,
          fmt::format("meta row {} of the state store cannot be read; restore the store from a "
                      "backup, or move it away and run `{}`",
                      key, kAdoptCommand)};
}

Result<std::optional<Json>> read_meta(StateStore& store, std::string_view key) {
  MILLRACE_TRY(text, store.get(Table::meta, key));
  if (!text) return std::optional<Json>();
  auto json = parse_json(*text);
  if (!json || !json->is_object()) return std::unexpected(unreadable(key));
  return std::optional<Json>(*std::move(json));
}

Result<void> check_environment_name(std::string_view environment) {
  if (!environment.empty()) return {};
  return fail(Errc::config, "`environment` is empty: name it, for example production or staging");
}

Result<Installation> write_first(StateStore& store, const EventLog& log,
                                 std::string_view environment, std::uint64_t incarnation,
                                 const std::optional<Adoption>& adoption, const Clock& clock) {
  Installation installation{random_uuid(), log.uuid(), std::string(environment), incarnation};
  const auto now = to_rfc3339(clock.wall_now());
  Batch batch;
  batch.require.push_back({Table::meta, std::string(kInstallationKey), std::nullopt});
  batch.put(Table::meta, std::string(kInstallationKey), to_text(installation, now));
  if (adoption) {
    JsonObject row;
    row["routes_from"] = adoption->routes_from;
    row["reason"] = adoption->reason;
    row["at"] = now;
    batch.put(Table::meta, std::string(kAdoptedKey), write_json(row));
  }
  MILLRACE_CHECK_OK(commit_blocking(store, std::move(batch)));
  return installation;
}

Result<void> check_adoption(StateStore& store, const Adoption& adoption) {
  MILLRACE_TRY(exists, has_installation(store));
  if (exists)
    return fail(Errc::conflict,
                "the state store already belongs to a log: adopt is for a new, empty store. Move "
                "the file away first if it is to be replaced");
  if (adoption.reason.empty())
    return fail(Errc::invalid_argument, "adopt needs a reason: --reason TEXT");
  if (adoption.routes_from != "end" && adoption.routes_from != "beginning" &&
      !parse_rfc3339(adoption.routes_from))
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is no position: --routes-from takes end, beginning, or a time "
                            "such as 2026-11-21T22:00:00Z",
                            adoption.routes_from));
  return {};
}

/// Per partition, the highest incarnation among the records read so far; 0 for none.
using Incarnations = std::array<std::uint64_t, kPartitionCount>;

bool reached(const PartitionOffsets& position, const PartitionOffsets& from,
             const PartitionOffsets& ends) {
  for (std::size_t p = 0; p < kPartitionCount; ++p)
    if (from[p] != kSkipPartition && position[p] < ends[p]) return false;
  return true;
}

Result<void> read_incarnations(EventLog& log, const LogStream& stream, const PartitionOffsets& from,
                               const PartitionOffsets& ends, Incarnations& highest) {
  MILLRACE_TRY(reader, log.open_reader(stream, from));
  while (!reached(reader->position(), from, ends)) {
    MILLRACE_TRY(batch, reader->next(kReadRecordsMax, kReadBytesMax));
    if (batch->records.empty()) return {};
    for (const auto& record : batch->records) {
      const auto event = decode_event(record.payload);
      if (!event)
        return fail(event.error().code,
                    fmt::format("event {}:{} cannot be read: {}", record.partition, record.offset,
                                event.error().message));
      auto& seen = highest.at(record.partition);
      seen = std::max(seen, event->rev >> kRevIncarnationShift);
    }
  }
  return {};
}

/// Revs never go down within a partition, so the newest event that has one tells its highest.
Result<std::uint64_t> newest_incarnation(EventLog& log, const LogStream& stream) {
  const auto begins = log.begins(stream);
  const auto ends = log.ends(stream);
  Incarnations highest{};
  for (Offset tail = kTailOffsets;; tail *= kTailGrowth) {
    PartitionOffsets from;
    bool whole = true;
    for (std::size_t p = 0; p < kPartitionCount; ++p) {
      const bool done = highest[p] > 0 || begins[p] >= ends[p];
      from[p] = done ? kSkipPartition : std::max(begins[p], ends[p] > tail ? ends[p] - tail : 0);
      if (!done && from[p] > begins[p]) whole = false;
    }
    const bool nothing_left =
        std::all_of(from.begin(), from.end(), [](Offset at) { return at == kSkipPartition; });
    if (!nothing_left) MILLRACE_CHECK_OK(read_incarnations(log, stream, from, ends, highest));
    if (whole) break;
  }
  return *std::max_element(highest.begin(), highest.end());
}

}  // namespace

Result<void> check_belongs(StateStore& store, const EventLog& log, const Installation& found,
                           std::string_view environment) {
  if (found.log_uuid != log.uuid())
    return fail(Errc::wrong_environment,
                fmt::format("the state store belongs to log {}, but the configured log is {}: put "
                            "the log's directory back, or start a new state store with an empty "
                            "log, or move the store away and run `{}`",
                            found.log_uuid, log.uuid(), kAdoptCommand));
  if (found.environment != environment)
    return fail(Errc::wrong_environment,
                fmt::format("the state store was made for environment \"{}\", the configuration "
                            "says \"{}\": a copied store must not write to the systems of the "
                            "original. Start \"{}\" with its own state and log",
                            found.environment, environment, environment));
  MILLRACE_TRY(ends, store.get(Table::meta, kJournalEndsKey));
  return ends ? log.verify_ends(*ends) : Result<void>();
}

Result<bool> has_installation(StateStore& store) {
  MILLRACE_TRY(row, store.get(Table::meta, kInstallationKey));
  return row.has_value();
}

Result<std::optional<Installation>> read_installation(StateStore& store) {
  MILLRACE_TRY(row, read_meta(store, kInstallationKey));
  if (!row) return std::optional<Installation>();
  Installation found;
  found.uuid = string_or(*row, "uuid", "");
  found.log_uuid = string_or(*row, "log_uuid", "");
  found.environment = string_or(*row, "environment", "");
  const auto incarnation = int_or(*row, "incarnation", 0);
  if (found.uuid.empty() || found.log_uuid.empty() || found.environment.empty() ||
      incarnation < 1 || static_cast<std::uint64_t>(incarnation) > kIncarnationMax)
    return std::unexpected(unreadable(kInstallationKey));
  found.incarnation = static_cast<std::uint64_t>(incarnation);
  return std::optional<Installation>(std::move(found));
}

Result<std::optional<Adoption>> read_adoption(StateStore& store) {
  MILLRACE_TRY(row, read_meta(store, kAdoptedKey));
  if (!row) return std::optional<Adoption>();
  Adoption found;
  found.routes_from = string_or(*row, "routes_from", "");
  found.reason = string_or(*row, "reason", "");
  found.at = string_or(*row, "at", "");
  if (found.routes_from.empty()) return std::unexpected(unreadable(kAdoptedKey));
  return std::optional<Adoption>(std::move(found));
}

Result<std::optional<std::string>> read_journal_ends(StateStore& store) {
  return store.get(Table::meta, kJournalEndsKey);
}

Result<Installation> open_installation(StateStore& store, EventLog& log,
                                       std::string_view environment, const Clock& clock) {
  MILLRACE_CHECK_OK(check_environment_name(environment));
  MILLRACE_CHECK_OK(refuse_moved(store));
  // Asked before the row is: whoever appends has written it.
  const bool is_new = log.empty();
  MILLRACE_TRY(found, read_installation(store));
  if (!found && !is_new)
    return fail(Errc::wrong_environment,
                fmt::format("log {} holds records, but the state store is new: was it lost or "
                            "moved? Put it back, or accept a new one with `{}` (POSITION: end, "
                            "beginning, or a time); until then nothing is read or sent",
                            log.uuid(), kAdoptCommand));
  if (!found) {
    auto made = write_first(store, log, environment, 1, std::nullopt, clock);
    if (made || made.error().code != Errc::precondition_failed) return made;
    // Another instance starts at the same time, and was first.
    MILLRACE_TRY(theirs, read_installation(store));
    if (!theirs) return made;
    found = std::move(theirs);
  }
  MILLRACE_CHECK_OK(check_belongs(store, log, *found, environment));
  return *std::move(found);
}

Result<Installation> adopt(StateStore& store, EventLog& log, std::string_view environment,
                           Adoption adoption, const Clock& clock) {
  MILLRACE_CHECK_OK(check_environment_name(environment));
  MILLRACE_CHECK_OK(refuse_moved(store));
  MILLRACE_CHECK_OK(check_adoption(store, adoption));
  std::uint64_t newest = 0;
  for (const LogStream& stream : log.streams(Journal::events)) {
    MILLRACE_TRY(of_stream, newest_incarnation(log, stream));
    newest = std::max(newest, of_stream);
  }
  // There was a store before this one, so the first incarnation is taken even if no event shows it.
  const auto incarnation = std::max<std::uint64_t>(newest, 1) + 1;
  if (incarnation > kIncarnationMax)
    return fail(Errc::corrupt, fmt::format("the log's newest rev has incarnation {}", newest));
  return write_first(store, log, environment, incarnation, adoption, clock);
}

}  // namespace millrace
