#include "log/spool_forwarder.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "net/callback.hpp"

namespace millrace::log {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRecordsPerRead = 512;
constexpr std::size_t kBytesPerRead = std::size_t{1} << 20;
/// A partition whose leader does not answer holds nobody else up for longer.
constexpr milliseconds kStuckAfter = 1s;
constexpr milliseconds kWaitForRoom = 100ms;
constexpr milliseconds kReadAgainAfter = 1s;

SpoolLane::Time steady_now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

SpoolForwarder::SpoolForwarder(Shard& shard, Spool& spool, EventLog& log,
                               milliseconds refused_again_after)
    : shard_(shard),
      spool_(spool),
      log_(log),
      refused_again_after_(refused_again_after),
      lanes_(std::move(spool.found().lanes)),
      progress_(shard.context()) {
  for (const Journal journal : kSpooledJournals) {
    for (const LogStream& stream : log_.streams(journal)) streams_.insert(stream);
  }
  counts_.records = spool.found().records;
  counts_.bytes = spool.found().bytes;
  if (counts_.records > 0) {
    spdlog::info("messages wait in the spool directory={} messages={}", spool.directory().string(),
                 counts_.records);
  }
  note_oldest();
}

void SpoolForwarder::start() {
  marked_ = marks();
  // Even if nothing was forwarded before the end: it says which log this is for.
  spool_.mark(marked_, shard_);
  shard_.spawn("spool forward", run());
}

void SpoolForwarder::kept(Journal journal, const LogEntry& entry, Offset offset, bool handed) {
  const SpoolLane::Entry kept{offset, system_clock().wall_now(), entry.payload.size()};
  lane(journal, entry.partition).written(kept, handed, steady_now());
  if (!handed) progress_.notify();
  const std::lock_guard lock(mutex_);
  ++counts_.records;
  ++counts_.spooled_total;
  counts_.bytes += entry.payload.size();
  if (!counts_.oldest_at) counts_.oldest_at = kept.at;
}

void SpoolForwarder::acknowledged(Journal journal, Partition partition, Offset offset) {
  const std::size_t bytes = lane(journal, partition).acknowledged(offset);
  progress_.notify();
  const std::lock_guard lock(mutex_);
  counts_.bytes -= bytes;
  --counts_.records;
  ++counts_.forwarded_total;
  if (counts_.records > 0) return;
  counts_.oldest_at.reset();
  refusal_.clear();
}

void SpoolForwarder::refused(Journal journal, Partition partition, Offset offset,
                             const Error& why) {
  lane(journal, partition).refused(offset, steady_now() + refused_again_after_);
  if (why.code == Errc::stopping) return;
  const std::lock_guard lock(mutex_);
  if (refusal_ != why.message) {
    spdlog::error("the log refuses what waits in the spool partition={} error={}", partition,
                  why.message);
  }
  refusal_ = why.message;
}

void SpoolForwarder::heard() {
  heard_ = steady_now();
  if (!std::exchange(away_, false)) return;
  spdlog::info("Kafka acknowledges again; what waits in the spool is forwarded messages={}",
               status().records);
}

void SpoolForwarder::late(SpoolLane::Time since) {
  if (heard_ > since || std::exchange(away_, true)) return;
  spdlog::warn("Kafka does not acknowledge; messages are kept in the spool directory={}",
               spool_.directory().string());
}

void SpoolForwarder::look_around() {
  note_oldest();
  const SpoolMarks now = marks();
  if (now != std::exchange(marked_, now)) spool_.mark(now, shard_);
  progress_.notify();
}

SpoolMarks SpoolForwarder::marks() const {
  SpoolMarks all{};
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    std::ranges::transform(lanes_[i], all[i].begin(), &SpoolLane::begin);
  }
  return all;
}

Awaitable<void> SpoolForwarder::trim() {
  const SpoolMarks now = marks();
  if (now == std::exchange(trimmed_, now)) co_return;
  auto work = [this, now] { return spool_.trim(now); };
  const auto trimmed = co_await offload(reader_.next(), shard_, std::move(work));
  if (!trimmed) {
    spdlog::warn("files of the spool cannot be dropped error={}", trimmed.error().message);
  }
}

Awaitable<double> SpoolForwarder::measure() {
  auto work = [this] { return spool_.disk_free_fraction(); };
  const double free = co_await offload(reader_.next(), shard_, std::move(work));
  co_return free;
}

Awaitable<void> SpoolForwarder::run() {
  for (;;) {
    bool worked = false;
    for (const Journal journal : kSpooledJournals) {
      if (std::ranges::all_of(wanted(journal), [](Offset at) { return at == kSkipPartition; })) {
        continue;
      }
      worked = true;
      co_await pass(journal);
    }
    if (!worked) co_await progress_.wait();
  }
}

/// Where each lane that can go on begins.
PartitionOffsets SpoolForwarder::wanted(Journal journal) {
  PartitionOffsets from;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const SpoolLane& own = lane(journal, p);
    from[p] = own.waits() && own.has_room(steady_now()) ? own.next() : kSkipPartition;
  }
  return from;
}

// Reads on from the first entry that waits. A lane that is stuck is left out from there on, and has
// its own place in a later pass.
Awaitable<void> SpoolForwarder::pass(Journal journal) {
  PartitionOffsets left = wanted(journal);
  auto open = [this, journal, left] { return spool_.open_reader(journal, left); };
  auto reader = co_await offload(reader_.next(), shard_, std::move(open));
  while (reader) {
    auto read = [&reader = **reader] { return reader.next(kRecordsPerRead, kBytesPerRead); };
    const auto batch = co_await offload(reader_.next(), shard_, std::move(read));
    if (!batch) {
      reader = std::unexpected(batch.error());
      break;
    }
    if ((*batch)->records.empty()) co_return;
    for (const LogRecord& record : (*batch)->records) {
      SpoolLane& own = lane(journal, record.partition);
      if (left[record.partition] == kSkipPartition) continue;
      if (record.offset < own.next() || own.is_handed(record.offset)) continue;
      const bool room = co_await make_room(&own);
      // What was refused meanwhile comes before it, in a later pass.
      if (!room || record.offset != own.next()) {
        left[record.partition] = kSkipPartition;
        continue;
      }
      forward(journal, record);
    }
    if (std::ranges::all_of(left, [](Offset at) { return at == kSkipPartition; })) co_return;
  }
  spdlog::error("the spool cannot be read error={}", reader.error().message);
  co_await sleep_for(kReadAgainAfter);
}

Awaitable<bool> SpoolForwarder::make_room(SpoolLane* lane) {
  while (!lane->has_room(steady_now())) {
    if (lane->is_stuck(steady_now(), kStuckAfter)) co_return false;
    co_await progress_.wait_for(kWaitForRoom);
  }
  co_return true;
}

void SpoolForwarder::forward(Journal journal, const LogRecord& record) {
  const Partition partition = record.partition;
  const Offset offset = record.offset;
  auto entry = Spool::entry_of(record);
  const std::size_t bytes = entry ? entry->payload.size() : 0;
  lane(journal, partition).hand_over({offset, record.appended_at, bytes}, steady_now());
  if (!entry) return refused(journal, partition, offset, entry.error());
  if (!streams_.contains(log_.stream_of(journal, entry->topic))) {
    const std::string why =
        fmt::format("there is no entity {} any more; configure it again", entry->topic);
    return refused(journal, partition, offset, Error(Errc::not_found, why));
  }
  std::vector<LogEntry> group;
  group.push_back(*std::move(entry));
  auto done = [this, journal, partition, offset](const Result<std::vector<Offset>>& result) {
    if (!result) return refused(journal, partition, offset, result.error());
    heard();
    acknowledged(journal, partition, offset);
  };
  log_.append(journal, std::move(group), shard_, std::move(done));
}

void SpoolForwarder::note_oldest() {
  std::optional<WallTime> oldest;
  for (const auto& lanes : lanes_) {
    for (const SpoolLane& lane : lanes) {
      if (!lane.empty()) oldest = std::min(oldest.value_or(lane.oldest()), lane.oldest());
    }
  }
  const std::lock_guard lock(mutex_);
  counts_.oldest_at = oldest;
}

EventLog::Spooled SpoolForwarder::status() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::string SpoolForwarder::refusal() const {
  const std::lock_guard lock(mutex_);
  return refusal_;
}

}  // namespace millrace::log
