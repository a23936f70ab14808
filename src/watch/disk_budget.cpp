#include "watch/disk_budget.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace millrace::watch {
namespace {

constexpr std::array kJournals{Journal::inbox, Journal::events, Journal::trail};
constexpr std::array kAlarms{90, 75, 50};

bool covers(const PartitionOffsets& ends, const PartitionOffsets& next) {
  return std::ranges::equal(ends, next, std::less_equal<>());
}

PartitionOffsets keep_from(const EventLog& log, const LogStream& stream,
                           const std::vector<OwnerOffsets>& owners) {
  PartitionOffsets keep = log.ends(stream);
  for (const OwnerOffsets& owner : owners) {
    if (owner.stream != stream) continue;
    for (Partition p = 0; p < kPartitionCount; ++p) keep[p] = std::min(keep[p], owner.next[p]);
  }
  return keep;
}

std::uint64_t budget_of(const EventLog::Usage& usage, double size_fraction) {
  const auto allowed =
      static_cast<std::uint64_t>(static_cast<double>(usage.disk_size) * size_fraction);
  const std::uint64_t in_use = usage.disk_size - std::min(usage.disk_free, usage.disk_size);
  const std::uint64_t others = in_use - std::min(usage.bytes, in_use);
  // Where others fill the disk the log still may have half of what they leave.
  const std::uint64_t at_least = (usage.bytes + usage.disk_free) / 2;
  return std::max(allowed - std::min(others, allowed), at_least);
}

std::optional<DiskHolder> holding(const EventLog& log, const OwnerOffsets& owner) {
  DiskHolder holder{.owner = owner.owner, .stream = owner.stream, .bytes = 0, .since = {}};
  for (const EventLog::SealedPart& part : log.sealed_parts(owner.stream)) {
    if (covers(part.ends, owner.next)) continue;
    if (holder.bytes == 0) holder.since = part.last_at;
    holder.bytes += part.bytes;
  }
  return holder.bytes == 0 ? std::nullopt : std::optional(holder);
}

std::vector<LogStream> all_streams(const EventLog& log) {
  std::vector<LogStream> all;
  for (const Journal journal : kJournals)
    std::ranges::move(log.streams(journal), back_inserter(all));
  return all;
}

/// Of the streams whose oldest sealed part nobody needs, the one where it is the oldest.
std::optional<std::pair<LogStream, WallTime>> oldest_free(const EventLog& log,
                                                          const std::vector<OwnerOffsets>& owners) {
  std::optional<std::pair<LogStream, WallTime>> oldest;
  for (const LogStream& stream : all_streams(log)) {
    const auto parts = log.sealed_parts(stream);
    if (parts.empty() || !covers(parts.front().ends, keep_from(log, stream, owners))) continue;
    const WallTime at = parts.front().last_at;
    if (!oldest || at < oldest->second) oldest = {stream, at};
  }
  return oldest;
}

}  // namespace

DiskReport measure_disk(const EventLog& log, double size_fraction,
                        const std::vector<OwnerOffsets>& owners) {
  DiskReport report{.usage = log.usage(), .holder = {}};
  report.budget_bytes = budget_of(report.usage, size_fraction);
  report.used = static_cast<double>(report.usage.bytes) /
                static_cast<double>(std::max<std::uint64_t>(report.budget_bytes, 1));
  if (report.usage.disk_size == 0) report.used = 0;  // nobody knows
  for (const int alarm : kAlarms) {
    if (report.alarm == 0 && report.used * 100 >= alarm) report.alarm = alarm;
  }
  for (const OwnerOffsets& owner : owners) {
    const auto holder = holding(log, owner);
    if (holder && (!report.holder || holder->bytes > report.holder->bytes)) report.holder = holder;
  }
  return report;
}

Result<void> trim_log(EventLog& log, const config::Retention& retention,
                      const std::vector<OwnerOffsets>& owners, const ClockWatch& clock) {
  const WallTime now = clock.wall_now();
  const std::array ages{retention.inbox, retention.events, retention.trail};
  for (const LogStream& stream : all_streams(log)) {
    const auto age = ages.at(std::to_underlying(stream.journal));
    MILLRACE_CHECK_OK(log.trim(stream, now - age, keep_from(log, stream, owners)));
  }
  for (;;) {
    const EventLog::Usage usage = log.usage();
    if (usage.disk_size == 0 || usage.bytes <= budget_of(usage, retention.size_fraction)) return {};
    const auto oldest = oldest_free(log, owners);
    if (!oldest) return {};
    const auto& [stream, at] = *oldest;
    const std::size_t before = log.sealed_parts(stream).size();
    MILLRACE_CHECK_OK(log.trim(stream, at + microseconds(1), keep_from(log, stream, owners)));
    // Its side file is not made yet: next time.
    if (log.sealed_parts(stream).size() == before) return {};
    spdlog::info("the log is beyond its share of the disk, the oldest was dropped stream={}",
                 to_string(stream));
  }
}

}  // namespace millrace::watch
