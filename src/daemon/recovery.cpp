#include "daemon/recovery.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "millrace/event.hpp"
#include "millrace/state_keys.hpp"
#include "state/blocking_commit.hpp"
#include "state/installation.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;
constexpr std::size_t kOwnerRowsPerRead = 10'000;

std::string partition_text(Partition partition) {
  return fmt::format("{:02x}", partition);
}

/// Of "<owner>\0<two hex digits>".
Partition partition_in(const std::string& key) {
  const std::size_t split = key.find('\0');
  const char* digits = split == key.npos ? "0" : key.c_str() + split + 1;
  return static_cast<Partition>(std::strtoul(digits, nullptr, 16) % kPartitionCount);
}

}  // namespace

Result<PartitionOffsets> offsets_at(EventLog& log, const LogStream& stream, WallTime time) {
  PartitionOffsets open = log.ends(stream);
  PartitionOffsets from = log.begins(stream);
  for (const EventLog::SealedPart& part : log.sealed_parts(stream)) {
    if (part.last_at >= time) break;
    for (Partition p = 0; p < kPartitionCount; ++p) from[p] = std::max(from[p], part.ends[p]);
  }
  MILLRACE_TRY(reader, log.open_reader(stream, from));
  std::array<bool, kPartitionCount> done{};
  for (;;) {
    MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
    if (batch->records.empty() || std::ranges::count(done, true) == kPartitionCount) return open;
    for (const LogRecord& record : batch->records) {
      if (done[record.partition] || record.appended_at < time) continue;
      done[record.partition] = true;
      open[record.partition] = record.offset;
    }
  }
}

Result<PartitionOffsets> named_position(EventLog& log, const LogStream& stream,
                                        const std::string& text, const PartitionOffsets& others) {
  if (text == "end") return log.ends(stream);
  if (text == "beginning") return log.begins(stream);
  const std::size_t colon = text.find(':');
  if (colon != text.npos && text.find_first_not_of("0123456789:") == text.npos) {
    const auto partition = std::strtoull(text.c_str(), nullptr, 10);
    const auto offset = std::strtoull(text.c_str() + colon + 1, nullptr, 10);
    if (partition >= kPartitionCount || offset < log.begins(stream)[partition] ||
        offset > log.ends(stream)[partition]) {
      return fail(Errc::invalid_argument, fmt::format("the log has no position {}", text));
    }
    PartitionOffsets all = others;
    all[partition] = offset;
    return all;
  }
  const auto time = parse_rfc3339(text);
  if (!time) {
    return fail(Errc::invalid_argument,
                fmt::format("`{}` is no position: beginning, end, a time such as "
                            "2026-01-31T00:00:00Z, or PARTITION:OFFSET as `dead list` shows it",
                            text));
  }
  return offsets_at(log, stream, *time);
}

namespace {

Result<PartitionOffsets> read_tail(StateStore& state, const EventLog& log,
                                   const LogStream& stream) {
  PartitionOffsets tail{};
  MILLRACE_TRY(rows, state.scan(Table::cursors, cursor_owner(kTailOwner, stream) + '\0', "",
                                kPartitionCount));
  for (const Row& row : rows) {
    MILLRACE_TRY(progress, route::Progress::decode(row.value, log.id_of(stream)));
    tail[partition_in(row.key)] = progress.cursor();
  }
  return tail;
}

}  // namespace

Result<std::map<Partition, route::Progress>> read_cursors(StateStore& state, const EventLog& log,
                                                          const std::string& owner,
                                                          const LogStream& stream) {
  std::map<Partition, route::Progress> cursors;
  MILLRACE_TRY(rows, state.scan(Table::cursors, owner + '\0', "", kPartitionCount));
  for (const Row& row : rows) {
    const std::string_view text = std::string_view(row.key).substr(owner.size() + 1);
    Partition partition = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), partition, 16);
    if (parsed.ec != std::errc{} || partition >= kPartitionCount) {
      return fail(Errc::corrupt, fmt::format("a cursor of {} has the key '{}'", owner, text));
    }
    MILLRACE_TRY(progress, route::Progress::decode(row.value, log.id_of(stream)));
    cursors.emplace(partition, std::move(progress));
  }
  const auto on_tail = [](const auto& entry) {
    return entry.second.row() == route::Progress::Row::on_tail;
  };
  if (std::ranges::none_of(cursors, on_tail)) return cursors;
  MILLRACE_TRY(tail, read_tail(state, log, stream));
  for (auto& entry : cursors) {
    if (on_tail(entry)) entry.second.lift(tail[entry.first]);
  }
  return cursors;
}

namespace {

/// A cursor says which stream it lies in behind the log's UUID (EventLog::id_of).
Result<LogStream> stream_of_row(std::string_view row, Journal journal) {
  MILLRACE_TRY(json, parse_json(row));
  const std::string_view id = string_or(json, "log", "");
  const std::size_t slash = id.find('/');
  return LogStream(journal, slash == id.npos ? std::string() : std::string(id.substr(slash + 1)));
}

/// The tails' rows, each read once.
struct Tails {
  std::map<LogStream, PartitionOffsets> known;

  Result<PartitionOffsets> of(StateStore& state, const EventLog& log, const LogStream& stream) {
    if (const auto found = known.find(stream); found != known.end()) return found->second;
    MILLRACE_TRY(tail, read_tail(state, log, stream));
    known.emplace(stream, tail);
    return tail;
  }
};

}  // namespace

Result<std::vector<watch::OwnerOffsets>> read_owners(StateStore& state, EventLog& log) {
  std::map<std::string, watch::OwnerOffsets, std::less<>> owners;
  // Before its first row the inbox has read nothing; other owners begin where their rows say.
  owners["inbox"] = {"inbox", Journal::inbox, log.begins(Journal::inbox)};
  Tails tails;
  for (std::string after;;) {
    MILLRACE_TRY(rows, state.scan(Table::cursors, "", after, kOwnerRowsPerRead));
    if (rows.empty()) break;
    after = rows.back().key;
    for (const Row& row : rows) {
      const std::size_t split = row.key.find('\0');
      if (split == row.key.npos) continue;
      const std::string name = row.key.substr(0, split);
      if (name == kTailOwner || name.starts_with(kTailOwner + std::string("/"))) continue;
      MILLRACE_TRY(stream,
                   stream_of_row(row.value, name == "inbox" ? Journal::inbox : Journal::events));
      auto [at, added] = owners.try_emplace(name, watch::OwnerOffsets{name, stream, {}});
      if (added) at->second.next = log.ends(stream);
      const Partition partition = partition_in(row.key);
      MILLRACE_TRY(progress, route::Progress::decode(row.value, log.id_of(stream)));
      if (progress.row() == route::Progress::Row::on_tail) {
        MILLRACE_TRY(tail, tails.of(state, log, stream));
        progress.lift(tail[partition]);
      }
      at->second.next[partition] = progress.cursor();
    }
  }
  std::vector<watch::OwnerOffsets> found;
  for (auto& [name, owner] : owners) found.push_back(std::move(owner));
  return found;
}

Result<PartitionOffsets> inbox_start(StateStore& state, EventLog& log, PartitionSet partitions) {
  MILLRACE_TRY(cursors, read_cursors(state, log, "inbox", Journal::inbox));
  PartitionOffsets from = log.begins(Journal::inbox);
  const PartitionOffsets ends = log.ends(Journal::inbox);
  for (const auto& [partition, progress] : cursors) {
    if (partitions.contains(partition) && progress.cursor() > ends[partition]) {
      return fail(Errc::corrupt,
                  fmt::format("the inbox cursor of partition {} is at {}, but the log ends at {}: "
                              "acknowledged messages are gone. Restore the log, or start anew with "
                              "`millrace state adopt --routes-from POSITION --reason TEXT`",
                              partition, progress.cursor(), ends[partition]));
    }
    from[partition] = std::max(from[partition], progress.cursor());
  }
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (!partitions.contains(p)) from[p] = kSkipPartition;
  }
  return from;
}

Result<std::map<Partition, route::Progress>> route_start(StateStore& state, EventLog& log,
                                                         const config::Route& route,
                                                         PartitionSet partitions) {
  const std::string owner = "route/" + route.id();
  const LogStream stream = log.stream_of(Journal::events, route.entity);
  MILLRACE_TRY(cursors, read_cursors(state, log, owner, stream));
  if (cursors.size() < kPartitionCount) MILLRACE_CHECK_OK(log.look(stream));
  const PartitionOffsets ends = log.ends(stream);
  for (const auto& [partition, progress] : cursors) {
    if (!partitions.contains(partition) || progress.cursor() <= ends[partition]) continue;
    return fail(Errc::corrupt,
                fmt::format("route {} is at {} in partition {}, but the log ends at {}: events "
                            "are gone. Restore the log, or start anew with `millrace state adopt "
                            "--routes-from POSITION --reason TEXT`",
                            route.name, progress.cursor(), partition, ends[partition]));
  }
  if (cursors.size() == kPartitionCount) return cursors;
  config::RouteStart start = route.start;
  MILLRACE_TRY(adoption, read_adoption(state));
  if (adoption) {
    start.kind = adoption->routes_from == "end"         ? config::RouteStart::Kind::now
                 : adoption->routes_from == "beginning" ? config::RouteStart::Kind::beginning
                                                        : config::RouteStart::Kind::time;
    if (start.kind == config::RouteStart::Kind::time) {
      MILLRACE_TRY(time, parse_rfc3339(adoption->routes_from));
      start.time = time;
    }
  }
  PartitionOffsets from = ends;
  if (start.kind == config::RouteStart::Kind::beginning) from = log.begins(stream);
  if (start.kind == config::RouteStart::Kind::time) {
    MILLRACE_TRY(found, offsets_at(log, stream, start.time));
    from = found;
  }
  Batch batch;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const auto [at, added] = cursors.try_emplace(p, route::Progress(from[p]));
    if (!added) continue;
    // Another instance may begin the route, too.
    batch.require.push_back({Table::cursors, row_key(owner, partition_text(p)), std::nullopt});
    batch.put(Table::cursors, row_key(owner, partition_text(p)),
              at->second.encode(log.id_of(stream)));
  }
  const auto begun = commit_blocking(state, std::move(batch));
  if (!begun && begun.error().code == Errc::precondition_failed) {
    return read_cursors(state, log, owner, stream);
  }
  MILLRACE_CHECK_OK(begun);
  spdlog::info("route begins route={} from={}", route.name,
               start.kind == config::RouteStart::Kind::now ? "now" : "earlier events");
  return cursors;
}

}  // namespace millrace::daemon
