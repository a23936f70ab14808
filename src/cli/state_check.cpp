#include "cli/state_check.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "canon/doorbell_row.hpp"
#include "log/inspect.hpp"
#include "log/manifest.hpp"
#include "millrace/json.hpp"
#include "millrace/parking.hpp"
#include "route/progress.hpp"
#include "state/open_state.hpp"
#include "storage/posix_disk.hpp"

namespace millrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFindingsMax = 100;
constexpr std::size_t kRowsPerScan = 1000;
constexpr std::uint64_t kIndexBytes = std::uint64_t{4} << 20;
constexpr int kIncarnationShift = 32;

std::string shown(std::string_view key) {
  std::string text(key);
  std::ranges::replace(text, '\0', '/');
  return text;
}

struct JournalEnds {
  PartitionOffsets begins{};
  PartitionOffsets ends{};
  std::uint64_t data_end = 0;
};

Result<JournalEnds> ends_of(const fs::path& log, Journal journal, const std::string& uuid) {
  PosixDisk disk;
  MILLRACE_TRY(segments,
               log::inspect_segments(disk, log / std::string(to_string(journal)), journal, uuid));
  JournalEnds ends;
  if (segments.empty()) return ends;
  ends.begins = segments.front()->header.base_offsets;
  MILLRACE_TRY(scan, log::scan_segment(disk, *segments.back(), kIndexBytes));
  ends.ends = scan.ends;
  ends.data_end = scan.data_end;
  return ends;
}

struct ParkedPlace {
  std::string id;
  bool delivers = false;
  Partition partition = 0;
  Offset offset = 0;
};

class Check {
 public:
  Check(StateReader& state, const fs::path& log) : state_(state), log_(log) {}

  Result<std::vector<std::string>> run() {
    MILLRACE_TRY(row, state_.get(Table::meta, "installation"));
    if (!row) {
      find("the state was never started");
      return std::move(findings_);
    }
    MILLRACE_TRY(installation, parse_json(*row));
    uuid_ = string_or(installation, "log_uuid", "");
    incarnation_ = static_cast<std::uint64_t>(int_or(installation, "incarnation", 0));
    MILLRACE_TRY(known_ends, state_.get(Table::meta, "journal_ends"));
    // What the log has is read after all rows: a running daemon moves both on.
    std::vector<Row> cursors;
    MILLRACE_CHECK_OK(each(Table::cursors, [&](const Row& one) { cursors.push_back(one); }));
    MILLRACE_CHECK_OK(each(Table::parked, [this](const Row& one) { check_parked(one); }));
    MILLRACE_CHECK_OK(read_log());
    if (!fits_) return std::move(findings_);
    check_ends(known_ends.value_or("{}"));
    for (const Row& cursor : cursors) check_cursor(cursor);
    for (const ParkedPlace& place : parked_) check_place(place);
    MILLRACE_CHECK_OK(check_identities());
    MILLRACE_CHECK_OK(each(Table::projections, [this](const Row& one) { check_projection(one); }));
    MILLRACE_CHECK_OK(each(Table::doorbells, [this](const Row& one) { check_doorbell(one); }));
    return std::move(findings_);
  }

 private:
  void find(std::string finding) {
    if (findings_.size() < kFindingsMax) findings_.push_back(std::move(finding));
  }

  Result<void> each(Table table, const std::function<void(const Row&)>& visit) {
    std::string after;
    for (;;) {
      MILLRACE_TRY(rows, state_.scan(table, "", after, kRowsPerScan));
      for (const Row& row : rows) visit(row);
      if (rows.size() < kRowsPerScan) return {};
      after = rows.back().key;
    }
  }

  Result<void> read_log() {
    PosixDisk disk;
    MILLRACE_TRY(manifest, log::read_manifest(disk, log_));
    if (!manifest || manifest->uuid != uuid_) {
      find(fmt::format("the state belongs to log {}, but {} is {}", uuid_, log_.string(),
                       manifest ? "log " + manifest->uuid : "no log"));
      fits_ = false;
      return {};
    }
    MILLRACE_TRY(inbox, ends_of(log_, Journal::inbox, uuid_));
    MILLRACE_TRY(events, ends_of(log_, Journal::events, uuid_));
    inbox_ = inbox;
    events_ = events;
    return {};
  }

  void check_ends(const std::string& known) {
    const auto json = parse_json(known);
    for (const auto& [name, ends] : {std::pair("inbox", &inbox_), {"events", &events_}}) {
      const std::int64_t durable = json ? int_or(*json, name, 0) : 0;
      if (static_cast<std::uint64_t>(durable) <= ends->data_end) continue;
      find(
          fmt::format("journal {} ends at byte {}, the state knows it durable up to {}: "
                      "acknowledged records are gone",
                      name, ends->data_end, durable));
    }
  }

  void check_cursor(const Row& row) {
    const auto progress = route::Progress::decode(row.value, uuid_);
    const std::size_t split = row.key.find('\0');
    Partition partition = kPartitionCount;
    if (split != row.key.npos) {
      std::from_chars(row.key.data() + split + 1, row.key.data() + row.key.size(), partition, 16);
    }
    if (!progress || partition >= kPartitionCount) {
      find(fmt::format("cursor {}: {}", shown(row.key),
                       progress ? "no partition" : progress.error().message));
      return;
    }
    const JournalEnds& journal = row.key.starts_with("inbox") ? inbox_ : events_;
    if (progress->cursor() > journal.ends[partition]) {
      find(fmt::format("cursor {} is at {}, beyond the end of its journal, {}", shown(row.key),
                       progress->cursor(), journal.ends[partition]));
    }
    // A row on the tail stands where the tail's row does.
    if (row.key.starts_with("route/") && progress->row() != route::Progress::Row::on_tail &&
        progress->cursor() < journal.begins[partition]) {
      find(
          fmt::format("cursor {} is at {}, but the log begins at {}: events were dropped before "
                      "they were delivered",
                      shown(row.key), progress->cursor(), journal.begins[partition]));
    }
  }

  void check_parked(const Row& row) {
    const auto parked = decode_parked_row(row.value);
    if (!parked) {
      find(fmt::format("parked {}: {}", shown(row.key), parked.error().message));
      return;
    }
    if (parked->key() != row.key) {
      find(fmt::format("parked {} says that it is {}", shown(row.key), parked->id()));
      return;
    }
    const bool delivers = parked->stage == "deliver";
    const bool decided =
        parked->state == ParkedState::resubmitted || parked->state == ParkedState::discarded;
    if (delivers && !decided && !parked->payload.is_object()) {
      find(fmt::format("parked {} has no event: it can neither be sent nor looked at",
                       parked->id()));
    }
    parked_.push_back({parked->id(), delivers, parked->partition, parked->offset});
  }

  void check_place(const ParkedPlace& place) {
    const JournalEnds& journal = place.delivers ? events_ : inbox_;
    if (place.offset >= journal.ends.at(place.partition % kPartitionCount)) {
      find(fmt::format("parked {} is of an offset beyond the end of its journal", place.id));
    }
  }

  /// Both directions of the identity map. A record may have had another id before.
  Result<void> check_identities() {
    std::vector<Row> ids;
    const auto keep = [&ids](const Row& row) { ids.push_back(row); };
    MILLRACE_CHECK_OK(each(Table::xref, keep));
    for (const Row& row : ids) {
      const std::size_t record = row.key.rfind('\0');
      const std::string reverse = record == row.key.npos ? row.key
                                                         : row.key.substr(0, record + 1) +
                                                               row.value + row.key.substr(record);
      MILLRACE_TRY(there, state_.get(Table::xref_by_id, reverse));
      if (there) continue;
      find(fmt::format("xref {} is {}, but xref_by_id does not lead back", shown(row.key),
                       row.value));
    }
    ids.clear();
    MILLRACE_CHECK_OK(each(Table::xref_by_id, keep));
    for (const Row& row : ids) {
      const std::size_t record = row.key.rfind('\0');
      const std::size_t id =
          record == row.key.npos ? row.key.npos : row.key.rfind('\0', record - 1);
      std::optional<std::string> there;
      if (id != row.key.npos) {
        MILLRACE_TRY(found,
                     state_.get(Table::xref, row.key.substr(0, id) + row.key.substr(record)));
        there = std::move(found);
      }
      if (there) continue;
      find(fmt::format("xref_by_id {} names a record that xref does not know", shown(row.key)));
    }
    return {};
  }

  void check_projection(const Row& row) {
    const auto json = parse_json(row.value);
    if (!json) return;  // told with the file
    if (revision_of(*json) >> kIncarnationShift > incarnation_) {
      find(
          fmt::format("projection {} has a rev of a later incarnation than {}: the state is "
                      "older than what it holds",
                      shown(row.key), incarnation_));
    }
  }

  void check_doorbell(const Row& row) {
    const auto doorbell = canon::decode_doorbell_row(row.key, row.value, system_clock());
    if (!doorbell) {
      find(fmt::format("doorbell {}: {}", shown(row.key), doorbell.error().message));
    }
  }

  StateReader& state_;
  fs::path log_;
  std::string uuid_;
  std::uint64_t incarnation_ = 0;
  bool fits_ = true;  ///< the log is the state's
  std::vector<ParkedPlace> parked_;
  JournalEnds inbox_;
  JournalEnds events_;
  std::vector<std::string> findings_;
};

}  // namespace

Result<std::vector<std::string>> check_state_against_log(const config::Installation& installation,
                                                         const StateChoice& choice) {
  MILLRACE_TRY(state, open_state_reader(choice));
  return Check(*state, installation.log_directory).run();
}

}  // namespace millrace::cli
