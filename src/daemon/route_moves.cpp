// What a seek or a skip would do to a route's cursors and to how many events.
#include <fmt/format.h>

#include <algorithm>

#include "config/host.hpp"
#include "daemon/recovery.hpp"
#include "daemon/route_steer.hpp"
#include "route/selection.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kHopsMax = 100'000;
constexpr std::size_t kSettledMax = 4096;  // single offsets that a cursor row may name
constexpr std::size_t kRowsPerScan = 1000;
constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;

// Calls `each` for every record of the events journal within [from, to) of each partition.
Result<void> for_each_record(EventLog& log, PartitionOffsets from, const PartitionOffsets& to,
                             const std::function<Result<void>(const LogRecord&)>& each) {
  bool anything = false;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (from[p] >= to[p]) from[p] = kSkipPartition;
    anything = anything || from[p] != kSkipPartition;
  }
  if (!anything) return {};
  MILLRACE_TRY(reader, log.open_reader(Journal::events, from));
  for (;;) {
    MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
    if (batch->records.empty()) return {};
    for (const LogRecord& record : batch->records) {
      if (record.offset < to[record.partition]) MILLRACE_CHECK_OK(each(record));
    }
    bool done = true;
    for (Partition p = 0; p < kPartitionCount; ++p) {
      done = done && (from[p] == kSkipPartition || reader->position()[p] >= to[p]);
    }
    if (done) return {};
  }
}

}  // namespace

Result<PartitionOffsets> RouteSteer::position(const std::map<Partition, route::Progress>& now) {
  EventLog& log = *broker_.log_;
  const std::string& to = request_.to;
  if (to == "end") return log.ends(Journal::events);
  if (to == "beginning") return log.begins(Journal::events);
  const std::size_t colon = to.find(':');
  if (colon != to.npos && to.find_first_not_of("0123456789:") == to.npos) {
    const auto partition = std::strtoull(to.c_str(), nullptr, 10);
    const auto offset = std::strtoull(to.c_str() + colon + 1, nullptr, 10);
    if (partition >= kPartitionCount || offset < log.begins(Journal::events)[partition] ||
        offset > log.ends(Journal::events)[partition]) {
      return fail(Errc::invalid_argument, fmt::format("the log has no position {}", to));
    }
    PartitionOffsets all = log.ends(Journal::events);
    for (const auto& [other, progress] : now) all[other] = progress.cursor();
    all[partition] = offset;
    return all;
  }
  const auto time = parse_rfc3339(to);
  if (!time) {
    return fail(Errc::invalid_argument,
                fmt::format("`{}` is no position: beginning, end, a time such as "
                            "2026-01-31T00:00:00Z, or PARTITION:OFFSET as `dead list` shows it",
                            to));
  }
  return offsets_at(log, *time);
}

Result<RouteSteer::Moves> RouteSteer::move_to(const PartitionOffsets& to) {
  Moves moves;
  MILLRACE_TRY(now, read_cursors(*broker_.state_, "route/" + id_, broker_.log_->uuid()));
  PartitionOffsets cursors = to;
  for (const auto& [partition, progress] : now) cursors[partition] = progress.cursor();
  moves.progress = now;
  MILLRACE_CHECK_OK(let_go(moves, cursors, to));
  for (auto& [partition, progress] : moves.progress) {
    std::vector<Offset> settled;
    if (to[partition] < cursors[partition]) {
      MILLRACE_CHECK_OK(keep_decided(partition, to[partition], settled));
    }
    progress.move_to(to[partition], settled);
  }
  MILLRACE_CHECK_OK(count_again(moves, to, cursors));
  return moves;
}

// The event, when the route as it is would send a request for it, or fail to say.
Result<DecodedEventPtr> RouteSteer::acted_on(const LogRecord& record) const {
  const deliver::RouteText& text = running_->routes.at(id_).text;
  if (record.topic != text.route->entity) return DecodedEventPtr();
  MILLRACE_TRY(decoded, route::decode(record.payload));
  const Event& event = decoded->event;
  if (!text.route->only_event.empty() && event.name() != text.route->only_event) {
    return DecodedEventPtr();
  }
  const config::ConfigHost host(*text.config, nullptr);
  const auto selection = route::select(*text.route, host, *decoded);
  const bool acts = !selection || selection->verdict == route::Verdict::act;
  return acts ? decoded : DecodedEventPtr();
}

Result<void> RouteSteer::let_go(Moves& moves, const PartitionOffsets& from,
                                const PartitionOffsets& to) {
  return for_each_record(*broker_.log_, from, to, [&](const LogRecord& record) -> Result<void> {
    if (moves.progress.at(record.partition).was_settled(record.offset)) return {};
    MILLRACE_TRY(decoded, acted_on(record));
    if (!decoded) return {};
    ++moves.let_go;
    if (!request_.yes || moves.hops.size() >= kHopsMax) return {};
    moves.hops.emplace_back(decoded->event.record, decoded->event.id);
    return {};
  });
}

Result<void> RouteSteer::count_again(Moves& moves, const PartitionOffsets& from,
                                     const PartitionOffsets& to) {
  return for_each_record(*broker_.log_, from, to, [&](const LogRecord& record) -> Result<void> {
    if (moves.progress.at(record.partition).was_settled(record.offset)) return {};
    MILLRACE_TRY(decoded, acted_on(record));
    if (decoded) ++moves.again;
    return {};
  });
}

// What was parked has its own row, or a person decided it: it is not taken up once more. A
// resubmission had another key, so sending the first again could repeat its effect.
Result<void> RouteSteer::keep_decided(Partition partition, Offset from,
                                      std::vector<Offset>& settled) {
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, broker_.state_->scan(Table::parked, parked_prefix(id_, partition), after,
                                            kRowsPerScan));
    for (const Row& stored : rows) {
      MILLRACE_TRY(row, decode_parked_row(stored.value));
      if (row.offset >= from && (settled.empty() || settled.back() != row.offset)) {
        settled.push_back(row.offset);
      }
    }
    if (settled.size() > kSettledMax) {
      return fail(Errc::conflict,
                  fmt::format("more than {} deliveries of partition {} are parked behind that "
                              "position: decide them first",
                              kSettledMax, partition));
    }
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

Result<RouteSteer::Moves> RouteSteer::skip_record() {
  Moves moves;
  const Partition partition = partition_of(request_.record);
  MILLRACE_TRY(now, read_cursors(*broker_.state_, "route/" + id_, broker_.log_->uuid()));
  PartitionOffsets to{};
  PartitionOffsets from{};
  route::Progress& progress = now.at(partition);
  from[partition] = progress.cursor();
  to[partition] = broker_.log_->ends(Journal::events)[partition];
  std::vector<Offset> settled;
  const auto each = [&](const LogRecord& record) -> Result<void> {
    if (progress.was_settled(record.offset)) return {};
    MILLRACE_TRY(decoded, acted_on(record));
    if (!decoded || decoded->event.record != request_.record) return {};
    settled.push_back(record.offset);
    moves.hops.emplace_back(request_.record, decoded->event.id);
    if (settled.size() <= kSettledMax) return {};
    return fail(Errc::conflict, fmt::format("the record has more than {} undelivered events: use "
                                            "--to, or remedy what holds it up",
                                            kSettledMax));
  };
  MILLRACE_CHECK_OK(for_each_record(*broker_.log_, from, to, each));
  moves.let_go = settled.size();
  progress.move_to(progress.cursor(), settled);
  // All rows: while no lane holds the tail, none may say that the tail's row stands for it.
  moves.progress = std::move(now);
  MILLRACE_CHECK_OK(discard_rows(moves));
  return moves;
}

Result<void> RouteSteer::discard_rows(Moves& moves) {
  const std::string prefix = parked_prefix(id_, partition_of(request_.record));
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, broker_.state_->scan(Table::parked, prefix, after, kRowsPerScan));
    for (const Row& stored : rows) {
      MILLRACE_TRY(row, decode_parked_row(stored.value));
      const bool decided =
          row.state == ParkedState::resubmitted || row.state == ParkedState::discarded;
      if (row.record != request_.record || decided) continue;
      ++moves.rows;
      row.state = ParkedState::discarded;
      row.reason = "skipped: " + request_.reason;
      moves.writes.put(Table::parked, stored.key, encode(row));
    }
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

}  // namespace millrace::daemon
