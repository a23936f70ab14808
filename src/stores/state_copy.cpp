#include "stores/state_copy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "millrace/offsets.hpp"
#include "state/blocking_commit.hpp"
#include "state/moved.hpp"
#include "state/partition_leases.hpp"
#include "state/restored.hpp"
#include "storage/posix_disk.hpp"
#include "stores/find_copy.hpp"
#include "stores/log_copy_source.hpp"
#include "stores/site.hpp"
#include "stores/state_rows.hpp"

namespace millrace::stores {
namespace {

constexpr std::size_t kRowsPerScan = 1000;
constexpr std::size_t kRowsPerCommit = 2000;
constexpr std::size_t kBytesPerCommit = std::size_t{8} << 20;
constexpr std::string_view kInstallation = "installation";
constexpr std::string_view kJournalEnds = "journal_ends";

/// Rows of meta that are of the store itself.
bool is_own(std::string_view key) {
  return key == kInstallation || key == kJournalEnds || key == kRestoredKey || key == kMovedKey ||
         key == kCopyingKey || is_of_group(key);
}

/// Collects rows and commits them by the thousand.
class RowWriter {
 public:
  explicit RowWriter(StateStore& store) : store_(store) {}

  Result<void> put(Table table, Row row) {
    bytes_ += row.key.size() + row.value.size();
    batch_.put(table, std::move(row.key), std::move(row.value));
    return commit_if_full();
  }
  Result<void> erase(Table table, std::string key) {
    batch_.erase(table, std::move(key));
    return commit_if_full();
  }
  Result<void> commit() {
    if (batch_.writes.empty()) return {};
    bytes_ = 0;
    return commit_blocking(store_, std::exchange(batch_, {}));
  }

 private:
  Result<void> commit_if_full() {
    if (batch_.writes.size() < kRowsPerCommit && bytes_ < kBytesPerCommit) return {};
    return commit();
  }

  StateStore& store_;
  Batch batch_;
  std::size_t bytes_ = 0;
};

class StateCopy {
 public:
  StateCopy(Site& site, StateStore& to, EventLog& log, std::set<std::string> topics, Holes holes,
            const ProgressListener& listener)
      : from_(*site.state),
        to_(to),
        log_(log),
        positions_(*site.log, std::move(holes)),
        rows_(positions_, *site.log, std::move(topics)),
        listener_(listener) {}

  /// Up to the last step.
  Result<std::uint64_t> run();

 private:
  Result<void> each(StateReader& store, Table table,
                    const std::function<Result<void>(const Row&)>& visit);
  Result<void> ask();
  Result<void> empty();
  Result<void> copy_table(Table table);
  Result<void> tell() {
    if (++done_ % kRowsPerScan == 0) listener_({"copied", done_, total_});
    return {};
  }

  StateStore& from_;
  StateStore& to_;
  EventLog& log_;
  Positions positions_;
  StateRows rows_;
  const ProgressListener& listener_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

Result<void> StateCopy::each(StateReader& store, Table table,
                             const std::function<Result<void>(const Row&)>& visit) {
  for (std::string after;;) {
    MILLRACE_TRY(rows, store.scan(table, "", after, kRowsPerScan));
    for (const Row& row : rows) MILLRACE_CHECK_OK(visit(row));
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

Result<std::uint64_t> StateCopy::run() {
  MILLRACE_CHECK_OK(rows_.read_routes(from_));
  MILLRACE_CHECK_OK(ask());
  MILLRACE_CHECK_OK(positions_.resolve(log_));
  rows_.set_target(log_);
  MILLRACE_CHECK_OK(empty());
  for (std::size_t i = 0; i < kTableCount; ++i) {
    MILLRACE_TRY(rows, from_.count(static_cast<Table>(i), ""));
    total_ += rows;
  }
  for (std::size_t i = 0; i < kTableCount; ++i) {
    MILLRACE_CHECK_OK(copy_table(static_cast<Table>(i)));
  }
  listener_({"copied", done_, done_});
  return done_;
}

Result<void> StateCopy::ask() {
  for (const Table table : kTablesWithPositions) {
    MILLRACE_CHECK_OK(each(from_, table, [&](const Row& row) -> Result<void> {
      const auto asked = rows_.move(table, row);
      return asked ? Result<void>() : std::unexpected(asked.error());
    }));
  }
  const auto asked = rows_.move_cursors(from_);
  return asked ? Result<void>() : std::unexpected(asked.error());
}

/// What an earlier copy left may be of a state that went on since then.
Result<void> StateCopy::empty() {
  Batch begin;
  begin.put(Table::meta, std::string(kCopyingKey), "{}");
  MILLRACE_CHECK_OK(commit_blocking(to_, std::move(begin)));
  RowWriter writer(to_);
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    MILLRACE_CHECK_OK(each(to_, table, [&](const Row& row) -> Result<void> {
      if (table == Table::meta && row.key == kCopyingKey) return {};
      return writer.erase(table, row.key);
    }));
  }
  return writer.commit();
}

Result<void> StateCopy::copy_table(Table table) {
  RowWriter writer(to_);
  if (table == Table::cursors) {
    MILLRACE_TRY(cursors, rows_.move_cursors(from_));
    for (Row& row : cursors) {
      MILLRACE_CHECK_OK(writer.put(table, std::move(row)));
      MILLRACE_CHECK_OK(tell());
    }
    return writer.commit();
  }
  MILLRACE_CHECK_OK(each(from_, table, [&](const Row& row) -> Result<void> {
    if (table == Table::meta && is_own(row.key)) return {};
    MILLRACE_TRY(moved, rows_.move(table, row));
    MILLRACE_CHECK_OK(writer.put(table, std::move(moved)));
    return tell();
  }));
  return writer.commit();
}

Result<void> check_mark(const CopyMark& mark, const EventLog& log) {
  if (mark.from == log.uuid() && mark.begins == begins_of(log) && mark.ends == ends_of(log))
    return {};
  return fail(Errc::conflict,
              "the log went on since it was copied, or another one was copied "
              "there: say `millrace log copy` once more");
}

/// From here on the old one is left, whatever happens; then the new one is an installation.
Result<void> hand_over(Site& site, StateStore& to, const EventLog& log,
                       const config::Config& config) {
  MILLRACE_TRY(stored, site.state->get(Table::meta, kInstallation));
  MILLRACE_TRY(installation, parse_json(stored.value_or("")));
  const WallTime now = system_clock().wall_now();
  const std::string place = fmt::format("{} with its log in {}", state_place(config.installation),
                                        log_place(config.installation));
  Batch left;
  left.put(Table::meta, std::string(kMovedKey), encode(Moved{place, log.uuid(), now}));
  MILLRACE_CHECK_OK(commit_blocking(*site.state, std::move(left)));
  installation.as_object()["log_uuid"] = log.uuid();
  Batch last;
  last.put(Table::meta, std::string(kInstallation), write_json(installation));
  last.put(Table::meta, std::string(kJournalEnds), log.durable_ends());
  last.erase(Table::meta, std::string(kCopyingKey));
  last.put(Table::audit, fmt::format("{:020}", now.time_since_epoch().count()),
           write_json(Json(JsonObject{{"at", to_rfc3339(now)},
                                      {"what", "state copy"},
                                      {"object", "from log " + site.log->uuid()},
                                      {"reason", "moved to " + place}})));
  return commit_blocking(to, std::move(last));
}

}  // namespace

Result<CopyReport> copy_state(const config::Config& from, const config::Config& to,
                              const ProgressListener& listener) {
  MILLRACE_CHECK_OK(check_same(from.installation, to.installation));
  MILLRACE_TRY(site, open_site(from, true));
  MILLRACE_TRY(state, open_new_state(to));
  PosixDisk disk;
  MILLRACE_TRY(mark, find_copy(disk, to.installation));
  MILLRACE_CHECK_OK(check_mark(mark, *site.log));
  MILLRACE_TRY(topics, topics_in(*site.log));
  topics.insert(site.topics.begin(), site.topics.end());
  for (const auto& [name, entity] : to.entities) topics.insert(name);
  MILLRACE_TRY(log, open_log(disk, to, topics));
  MILLRACE_TRY(moved, read_moved(*site.state));
  if (moved && moved->log_uuid != log->uuid()) {
    return fail(Errc::conflict, fmt::format("this installation was moved to {} before: copy from "
                                            "there",
                                            moved->to));
  }
  MILLRACE_TRY(rows, StateCopy(site, *state, *log, topics, mark.holes, listener).run());
  MILLRACE_CHECK_OK(hand_over(site, *state, *log, to));
  state->close();
  log->close();
  return CopyReport{rows, state_place(from.installation), state_place(to.installation)};
}

}  // namespace millrace::stores
