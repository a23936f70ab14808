// What a seek or a skip would do to a route's cursors and to how many events.
#include <fmt/format.h>

#include <algorithm>

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

}  // namespace

Result<void> RouteSteer::each_record(
    PartitionOffsets from, const PartitionOffsets& to,
    const std::function<Result<void>(const LogRecord&)>& each) const {
  bool anything = false;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (from[p] >= to[p]) from[p] = kSkipPartition;
    anything = anything || from[p] != kSkipPartition;
  }
  if (!anything) return {};
  MILLRACE_TRY(reader, broker_.log_->open_reader(stream(), from));
  for (;;) {
    MILLRACE_CHECK_OK(broker_.not_stopping());
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

Result<PartitionOffsets> RouteSteer::position(const std::map<Partition, route::Progress>& now) {
  MILLRACE_CHECK_OK(broker_.log_->look(stream()));
  PartitionOffsets others = broker_.log_->ends(stream());
  for (const auto& [partition, progress] : now) others[partition] = progress.cursor();
  return named_position(*broker_.log_, stream(), request_.to, others);
}

Result<RouteSteer::Moves> RouteSteer::move_to(const PartitionOffsets& to) {
  Moves moves;
  MILLRACE_TRY(now, broker_.cursors_of(broker_.lives_.at(id_)));
  PartitionOffsets cursors = to;
  for (const auto& [partition, progress] : now) cursors[partition] = progress.cursor();
  moves.progress = now;
  MILLRACE_CHECK_OK(let_go(moves, cursors, to));
  for (auto& [partition, progress] : moves.progress) {
    progress.move_to(to[partition], {});
  }
  MILLRACE_CHECK_OK(count_again(moves, to, cursors));
  return moves;
}

Result<DecodedEventPtr> RouteSteer::acted_on(const LogRecord& record) const {
  const deliver::RouteText& text = running_->routes.at(id_).text;
  return route::acted_on(*text.config, *text.route, record);
}

Result<void> RouteSteer::let_go(Moves& moves, PartitionOffsets from, const PartitionOffsets& to) {
  // A topic of Kafka may have dropped records that the route never read: they are let go, too.
  const PartitionOffsets begins = broker_.log_->begins(stream());
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const Offset there = std::min(begins[p], to[p]);
    if (from[p] >= there) continue;
    moves.gone += there - from[p];
    from[p] = there;
  }
  const auto each = [&](const LogRecord& record) -> Result<void> {
    if (moves.progress.at(record.partition).was_settled(record.offset)) return {};
    MILLRACE_TRY(decoded, acted_on(record));
    if (!decoded) return {};
    ++moves.let_go;
    if (!request_.yes || moves.hops.size() >= kHopsMax) return {};
    moves.hops.emplace_back(decoded->event.record, decoded->event.id);
    return {};
  };
  auto counted = each_record(from, to, each);
  if (counted) return {};
  // Damage is what a person lets go of here: nothing else would let the route go on.
  const Errc code = counted.error().code;
  if (code != Errc::corrupt && code != Errc::disk_failed) return counted;
  moves.unreadable = std::move(counted).error().message;
  return {};
}

Result<void> RouteSteer::count_again(Moves& moves, const PartitionOffsets& from,
                                     const PartitionOffsets& to) {
  MILLRACE_TRY(parked, parked_offsets());
  return each_record(from, to, [&](const LogRecord& record) -> Result<void> {
    if (moves.progress.at(record.partition).was_settled(record.offset)) return {};
    if (parked[record.partition].contains(record.offset)) return {};
    MILLRACE_TRY(decoded, acted_on(record));
    if (decoded) ++moves.again;
    return {};
  });
}

// What was parked has its own row, or a person decided it: no lane takes it up once more. A
// resubmission had another key, so sending the first again could repeat its effect.
Result<RouteSteer::Offsets> RouteSteer::parked_offsets() const {
  Offsets found;
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, broker_.state_->scan(Table::parked, id_ + '\0', after, kRowsPerScan));
    for (const Row& row : rows) {
      found[parked_partition(row.key)].insert(parked_offset(row.key));
    }
    if (rows.size() < kRowsPerScan) return found;
    after = rows.back().key;
  }
}

Result<RouteSteer::Moves> RouteSteer::skip_record() {
  Moves moves;
  const Partition partition = partition_of(request_.record);
  MILLRACE_TRY(now, broker_.cursors_of(broker_.lives_.at(id_)));
  PartitionOffsets to{};
  PartitionOffsets from{};
  route::Progress& progress = now.at(partition);
  from[partition] = progress.cursor();
  to[partition] = broker_.log_->ends(stream())[partition];
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
  MILLRACE_CHECK_OK(each_record(from, to, each));
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
