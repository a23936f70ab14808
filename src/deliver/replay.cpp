#include "deliver/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>

#include "millrace/json.hpp"
#include "route/selection.hpp"

namespace millrace::deliver {
namespace {

constexpr std::size_t kRecordsPerRead = 1024;  // the thread serves others in between
constexpr std::size_t kBytesPerRead = std::size_t{1} << 20;

struct CountName {
  std::string_view name;
  std::uint64_t ReplayCounts::* count;
};
constexpr std::array kCounts{CountName{"sent", &ReplayCounts::sent},
                             CountName{"parked", &ReplayCounts::parked},
                             CountName{"superseded", &ReplayCounts::superseded},
                             CountName{"held", &ReplayCounts::held},
                             CountName{"decided", &ReplayCounts::decided},
                             CountName{"overtaken", &ReplayCounts::overtaken}};

}  // namespace

ReplayCounts& ReplayCounts::operator+=(const ReplayCounts& other) {
  for (const auto& [name, count] : kCounts) this->*count += other.*count;
  return *this;
}

std::string encode(ReplayPartition& partition, std::string_view log_uuid) {
  std::string text = partition.progress.encode(log_uuid);
  text.pop_back();
  for (const auto& [name, count] : kCounts) {
    fmt::format_to(std::back_inserter(text), R"(,"{}":{})", name, partition.counts.*count);
  }
  text += '}';
  return text;
}

Result<ReplayPartition> decode_replay_partition(std::string_view text, std::string_view log_uuid) {
  ReplayPartition partition;
  MILLRACE_TRY(progress, route::Progress::decode(text, log_uuid));
  partition.progress = std::move(progress);
  MILLRACE_TRY(json, parse_json(text));
  for (const auto& [name, count] : kCounts) {
    partition.counts.*count = static_cast<std::uint64_t>(int_or(json, name, 0));
  }
  return partition;
}

std::string replay_owner(std::string_view route_id) {
  return fmt::format("replay/{}", route_id);
}

Result<void> ReplayIndex::add(const config::Config& config, const config::Route& route,
                              const ReplayOrder& order, const LogRecord& record,
                              JsonMemory memory) {
  const Offset from = order.from[record.partition];
  if (from == kSkipPartition || record.offset < from) return {};
  if (record.topic != route.entity) return {};
  const auto decoded = read_event(record.payload, std::move(memory));
  if (!decoded) return std::unexpected(decoded.error());
  if (!order.record.empty() && decoded->event.record != order.record) return {};
  if (!route::acts_on(config, route, *decoded)) return {};
  const std::uint64_t hash = hash64(decoded->event.record);
  if (record.offset >= order.until[record.partition]) {
    news(hash, record.offset);
    return {};
  }
  note(hash, record.offset, record.appended_at);
  if (entries_.size() <= kRecordsMax) return {};
  return fail(Errc::too_large,
              fmt::format("the range has events of more than {} records: replay it in parts, with "
                          "--from and --to",
                          kRecordsMax));
}

void ReplayIndex::note(std::uint64_t record, Offset offset, WallTime at) {
  Entry& entry = entries_[record];
  entry.last = offset;
  entry.last_in_range = offset;
  if (entry.events == 0) entry.first_at = at;
  entry.last_at = at;
  ++entry.events;
}

void ReplayIndex::news(std::uint64_t record, Offset offset) {
  const auto found = entries_.find(record);
  if (found != entries_.end()) found->second.last = std::max(found->second.last, offset);
}

std::optional<Offset> ReplayIndex::last(std::uint64_t record) const {
  const auto found = entries_.find(record);
  return found == entries_.end() ? std::nullopt : std::optional(found->second.last);
}

ReplayScan::ReplayScan(EventLog& log, config::ConfigPtr config, const config::Route& route,
                       ReplayOrderPtr order, const PartitionOffsets& from,
                       const PartitionOffsets& to)
    : log_(log),
      config_(std::move(config)),
      route_(route),
      order_(std::move(order)),
      from_(from),
      to_(to) {
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (from_[p] >= to_[p]) from_[p] = kSkipPartition;
  }
}

Result<bool> ReplayScan::step() {
  const auto skipped = [](Offset from) { return from == kSkipPartition; };
  if (std::ranges::all_of(from_, skipped)) return true;
  if (!reader_) {
    MILLRACE_TRY(opened, log_.open_reader(log_.stream_of(Journal::events, order_->entity), from_));
    reader_ = std::move(opened);
  }
  MILLRACE_TRY(batch, reader_->next(kRecordsPerRead, kBytesPerRead));
  for (const LogRecord& record : batch->records) {
    if (record.offset >= to_[record.partition]) continue;
    // One for each record: what it asks for beyond the buffer doubles for as long as it lives.
    boost::json::monotonic_resource memory(buffer_.data(), buffer_.size());
    MILLRACE_CHECK_OK(index_.add(*config_, route_, *order_, record, &memory));
  }
  bool through = true;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    through = through && (skipped(from_[p]) || reader_->position()[p] >= to_[p]);
  }
  return through || batch->records.empty();
}

PartitionOffsets Replay::next() const {
  PartitionOffsets from;
  from.fill(kSkipPartition);
  for (const auto& [partition, part] : partitions_) {
    const Offset seen = part.progress.seen();
    if (seen < order_->until[partition]) from[partition] = seen;
  }
  return from;
}

void Replay::settle(Partition partition, Offset offset) {
  partitions_.at(partition).progress.settle(offset);
  dirty_.insert(partition);
}

void Replay::see(const PartitionOffsets& next) {
  for (auto& [partition, part] : partitions_) {
    if (next[partition] == kSkipPartition) continue;
    part.progress.see(std::min(next[partition], order_->until[partition]));
    if (part.progress.cursor() == order_->until[partition] && part.progress.unsaved()) {
      dirty_.insert(partition);
    }
  }
}

bool Replay::read_through() const {
  return std::ranges::all_of(partitions_, [this](const auto& entry) {
    return entry.second.progress.seen() >= order_->until[entry.first];
  });
}

void Replay::news(std::uint64_t record, Offset offset) {
  if (index_) {
    index_->news(record, offset);
  } else {
    news_.emplace_back(record, offset);
  }
}

void Replay::set_index(ReplayIndex index) {
  index_ = std::move(index);
  for (const auto& [record, offset] : std::exchange(news_, {})) index_->news(record, offset);
}

// Without --history the last change of a record stands for those before it. With it, what the route
// took up since is never followed by anything older.
Replay::Verdict Replay::judge(std::uint64_t record, Partition partition, Offset offset) const {
  const auto last = index_->last(record);
  if (!last) return Verdict::superseded;  // `when` has changed since the range was looked through
  if (*last > offset) {
    const bool since = *last >= order_->live[partition];
    if (since) return Verdict::overtaken;
    if (!order_->history) return Verdict::superseded;
  }
  return Verdict::send;
}

ReplayStatus Replay::status() const {
  ReplayStatus status;
  status.failed = failed;
  bool through = indexed();
  for (const auto& [partition, part] : partitions_) {
    status.counts += part.counts;
    const Offset from = order_->from[partition];
    const Offset until = order_->until[partition];
    const Offset cursor = std::min(part.progress.cursor(), until);
    status.whole += until - from;
    status.passed += cursor - from;
    through = through && cursor == until;
  }
  status.done = through && items == 0 && dirty_.empty();
  return status;
}

}  // namespace millrace::deliver
