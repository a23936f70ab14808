// Projections catch up with the log: rows plus the fold of the events behind them (semantics 1).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>

#include "canon/projector.hpp"
#include "daemon/recovery.hpp"
#include "millrace/event.hpp"
#include "millrace/state_keys.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsPerCommit = 2000;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;
constexpr milliseconds kAppendWithin{30'000};

class InPlaceExecutor final : public Executor {
 public:
  void post(Task task) override { task(); }
};

Result<void> append_blocking(EventLog& log, std::vector<LogEntry> group) {
  static InPlaceExecutor home;
  auto outcome = std::make_shared<std::promise<Result<void>>>();
  auto appended = outcome->get_future();
  log.append(
      Journal::events, std::move(group), home, [outcome](Result<std::vector<Offset>> offsets) {
        outcome->set_value(offsets ? Result<void>() : std::unexpected(std::move(offsets).error()));
      });
  if (appended.wait_for(kAppendWithin) == std::future_status::ready) return appended.get();
  return fail(Errc::unanswered, "the log does not take the events of a change in time");
}

/// One stream of the events, from where its projections are to its end.
class StreamFold {
 public:
  StreamFold(StateStore& state, EventLog& log, LogStream stream, PartitionSet partitions)
      : state_(state), log_(log), stream_(std::move(stream)), partitions_(partitions) {}

  Result<std::uint64_t> run();

 private:
  /// The last event of a change in a partition.
  struct Last {
    Offset offset = 0;
    Event event;
  };

  Result<bool> find_start();
  Result<void> fold(const LogRecord& record, Batch& batch);
  void put_cursors(const PartitionOffsets& position, Batch& batch) const;
  Result<void> say_the_rest();

  StateStore& state_;
  EventLog& log_;
  const LogStream stream_;
  const PartitionSet partitions_;
  PartitionOffsets from_{};
  std::map<Partition, Last> last_;
  std::uint64_t folded_ = 0;
};

Result<bool> StreamFold::find_start() {
  MILLRACE_TRY(cursors, read_cursors(state_, log_, cursor_owner("projected", stream_), stream_));
  from_ = log_.begins(stream_);
  for (const auto& [partition, progress] : cursors) {
    from_[partition] = std::max(from_[partition], progress.cursor());
  }
  const PartitionOffsets ends = log_.ends(stream_);
  bool anything = false;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (!partitions_.contains(p) || from_[p] >= ends[p]) from_[p] = kSkipPartition;
    anything = anything || from_[p] != kSkipPartition;
  }
  return anything;
}

Result<std::uint64_t> StreamFold::run() {
  MILLRACE_TRY(anything, find_start());
  if (!anything) return folded_;
  MILLRACE_TRY(reader, log_.open_reader(stream_, from_));
  for (;;) {
    MILLRACE_TRY(records, reader->next(kRowsPerCommit, kBytesPerRead));
    if (records->records.empty()) break;
    Batch batch;
    for (const LogRecord& record : records->records) {
      MILLRACE_CHECK_OK(fold(record, batch));
    }
    put_cursors(reader->position(), batch);
    MILLRACE_CHECK_OK(commit_blocking(state_, std::move(batch)));
  }
  MILLRACE_CHECK_OK(say_the_rest());
  return folded_;
}

Result<void> StreamFold::fold(const LogRecord& record, Batch& batch) {
  if (record.topic == "dead") return {};
  MILLRACE_TRY(event, decode_event(record.payload));
  if (event.rev == 0) return {};  // sent to /events: nobody's projection
  batch.writes.push_back(canon::Projector::fold(event));
  if (!event.subject.empty()) {
    batch.put(Table::names, row_key(indexed_name(event.subject), event.entity, event.record),
              fmt::format(R"({{"since":"{}"}})", to_rfc3339(event.time)));
  }
  ++folded_;
  last_[record.partition] = {record.offset, std::move(event)};
  return {};
}

// A change whose events are not all there is looked at again, until they are.
void StreamFold::put_cursors(const PartitionOffsets& position, Batch& batch) const {
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (from_[p] == kSkipPartition) continue;
    const auto last = last_.find(p);
    const bool half_said =
        last != last_.end() && !canon::Projector::unsaid(last->second.event).empty();
    batch.put(
        Table::cursors, row_key(cursor_owner("projected", stream_), fmt::format("{:02x}", p)),
        route::Progress(half_said ? last->second.offset : position[p]).encode(log_.id_of(stream_)));
  }
}

// The events of a change may be split on Kafka, and who appended them be gone between the two.
// Nobody would say the others: the projection is that of the change.
Result<void> StreamFold::say_the_rest() {
  for (const auto& [partition, last] : last_) {
    std::vector<LogEntry> group;
    for (const Event& event : canon::Projector::unsaid(last.event)) {
      group.push_back({.partition = partition,
                       .topic = event.entity,
                       .payload = encode(event),
                       .of_owner = true});
    }
    if (group.empty()) continue;
    spdlog::info("the events of a change that was said by half are appended topic={} events={}",
                 stream_.topic, group.size());
    MILLRACE_CHECK_OK(append_blocking(log_, std::move(group)));
  }
  return {};
}

}  // namespace

Result<std::uint64_t> fold_projections(StateStore& state, EventLog& log, PartitionSet partitions) {
  std::uint64_t folded = 0;
  for (const LogStream& stream : log.streams(Journal::events)) {
    MILLRACE_TRY(of_stream, StreamFold(state, log, stream, partitions).run());
    folded += of_stream;
  }
  return folded;
}

}  // namespace millrace::daemon
