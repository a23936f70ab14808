#include "stores/positions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace millrace::stores {
namespace {

constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;

LogStream stream_of(const EventLog& log, Journal journal, const std::string& topic) {
  return journal == Journal::events ? log.stream_of(journal, topic) : LogStream(journal);
}

}  // namespace

EventRanks::EventRanks(EventLog& log, Holes holes)
    : log_(log),
      holes_(std::move(holes)),
      by_topic_(!log.stream_of(Journal::events, "topic").topic.empty()) {}

void EventRanks::want_rank(const std::string& topic, Partition partition, Offset offset) {
  if (!by_topic_) asked_.ranks[{topic, partition}].emplace(offset, 0);
}

void EventRanks::want_offset(const std::string& topic, Partition partition, Offset rank) {
  if (!by_topic_) asked_.offsets[{topic, partition}].emplace(rank, 0);
}

/// Where the reading stands in one topic and partition.
struct EventRanks::Walk {
  Offset records = 0;
  Answers* ranks = nullptr;
  Answers* offsets = nullptr;
  Answers::iterator next_rank;
  Answers::iterator next_offset;

  void pass(Offset offset) {
    for (; ranks != nullptr && next_rank != ranks->end() && next_rank->first <= offset; ++next_rank)
      next_rank->second = records;
    if (offsets != nullptr && next_offset != offsets->end() && next_offset->first == records)
      (next_offset++)->second = offset;
    ++records;
  }
  void end(Offset end) {
    for (; ranks != nullptr && next_rank != ranks->end(); ++next_rank) next_rank->second = records;
    for (; offsets != nullptr && next_offset != offsets->end(); ++next_offset)
      next_offset->second = end;
  }
};

Result<void> EventRanks::read() {
  if (by_topic_ || (asked_.ranks.empty() && asked_.offsets.empty())) return {};
  std::map<Place, Walk> walks;
  for (auto& [place, answers] : asked_.ranks) {
    walks[place].ranks = &answers;
    walks[place].next_rank = answers.begin();
  }
  for (auto& [place, answers] : asked_.offsets) {
    walks[place].offsets = &answers;
    walks[place].next_offset = answers.begin();
  }
  MILLRACE_TRY(reader, log_.open_reader(Journal::events, log_.begins(Journal::events)));
  for (;;) {
    MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
    if (batch->records.empty()) break;
    for (const LogRecord& record : batch->records) {
      const auto walk = walks.find({std::string(record.topic), record.partition});
      if (walk != walks.end()) walk->second.pass(record.offset);
    }
  }
  const PartitionOffsets ends = log_.ends(Journal::events);
  for (auto& [place, walk] : walks) walk.end(ends[place.second]);
  return {};
}

Offset EventRanks::rank(const std::string& topic, Partition partition, Offset offset) const {
  if (!by_topic_) return asked_.ranks.at({topic, partition}).at(offset);
  const LogStream stream(Journal::events, topic);
  const Offset begin = log_.begins(stream)[partition];
  const Offset place = std::clamp(offset, begin, log_.ends(stream)[partition]);
  return holes_.records(stream, partition, begin, place);
}

Offset EventRanks::offset(const std::string& topic, Partition partition, Offset rank) const {
  if (!by_topic_) return asked_.offsets.at({topic, partition}).at(rank);
  return log_.begins(LogStream(Journal::events, topic))[partition] + rank;
}

Positions::Positions(EventLog& from, Holes holes)
    : from_(from), holes_(std::move(holes)), from_ranks_(from, holes_) {}

Offset Positions::from_begin(Journal journal, const std::string& topic, Partition partition) const {
  return from_.begins(stream_of(from_, journal, topic))[partition];
}

Offset Positions::to_begin(Journal journal, const std::string& topic, Partition partition) const {
  return to_->begins(stream_of(*to_, journal, topic))[partition];
}

Offset Positions::inbox_boundary(Partition partition, Offset offset) {
  if (to_ == nullptr) return offset;
  return inbox_.boundary(partition, std::min(offset, from_.ends(Journal::inbox)[partition]));
}

Offset Positions::boundary(const std::string& topic, Partition partition, Offset offset) {
  if (to_ != nullptr) {
    const Offset rank = from_ranks_.rank(topic, partition, offset);
    return to_ranks_->offset(topic, partition, rank);
  }
  from_ranks_.want_rank(topic, partition, offset);
  wanted_[{topic, partition}].insert(offset);
  return offset;
}

Offset Positions::record(Journal journal, const std::string& topic, Partition partition,
                         Offset offset) {
  if (offset >= from_begin(journal, topic, partition)) {
    return journal == Journal::events ? boundary(topic, partition, offset)
                                      : inbox_boundary(partition, offset);
  }
  auto& gone = gone_[LogStream(journal, topic)][partition];
  if (to_ == nullptr) {
    gone.insert(offset);
    return offset;
  }
  const auto behind = static_cast<Offset>(std::distance(gone.find(offset), gone.end()));
  return to_begin(journal, topic, partition) - behind;
}

std::optional<Offset> Positions::cause(Partition partition, Offset offset) const {
  if (to_ == nullptr) return offset;
  return inbox_.record(partition, offset);
}

Rooms Positions::rooms() const {
  Rooms rooms;
  for (const auto& [of, partitions] : gone_) {
    for (Partition p = 0; p < kPartitionCount; ++p) rooms[of][p] = partitions[p].size();
  }
  return rooms;
}

Result<void> Positions::resolve(EventLog& to) {
  for (const auto& [of, room] : rooms()) {
    const PartitionOffsets begins = to.begins(stream_of(to, of.journal, of.topic));
    if (std::ranges::equal(begins, room, std::ranges::greater_equal{})) continue;
    return fail(Errc::conflict,
                "since the log was copied, records that rows of the state name were "
                "dropped from it: say `millrace log copy` once more");
  }
  MILLRACE_CHECK_OK(from_ranks_.read());
  to_ranks_.emplace(to, Holes());
  for (const auto& [place, offsets] : wanted_) {
    for (const Offset offset : offsets) {
      to_ranks_->want_offset(place.first, place.second,
                             from_ranks_.rank(place.first, place.second, offset));
    }
  }
  MILLRACE_CHECK_OK(to_ranks_->read());
  inbox_ = {from_.begins(Journal::inbox), to.begins(Journal::inbox), holes_};
  to_ = &to;
  return {};
}

Offset InboxShift::boundary(Partition partition, Offset offset) const {
  const Offset begin = from.at(partition);
  return to.at(partition) +
         holes.records(Journal::inbox, partition, begin, std::max(offset, begin));
}

std::optional<Offset> InboxShift::record(Partition partition, Offset offset) const {
  if (offset < from.at(partition)) return std::nullopt;
  return boundary(partition, offset);
}

}  // namespace millrace::stores
