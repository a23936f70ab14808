#include "stores/positions.hpp"

#include <gtest/gtest.h>

#include <random>

#include "counted_log.hpp"

namespace millrace::stores {
namespace {

using test::CountedLog;
using Counts = CountedLog::Counts;

constexpr Partition kPartitions = 3;

struct Known {
  std::string topic;
  Partition partition = 0;
  Offset here = 0;
  Offset there = 0;
};

/// One content in two logs, the first of which has lost its oldest records.
class TwoLogs {
 public:
  TwoLogs(std::mt19937& random, Counts here, Counts there)
      : from("from", here), to("to", there), random_(random) {
    for (int i = 0; i < 400; ++i) {
      Known record{topics[below(topics.size())], static_cast<Partition>(below(kPartitions))};
      const LogStream stream = from.stream_of(Journal::events, record.topic);
      // Where a stream is a topic, as on Kafka, a record may be there twice.
      if (!stream.topic.empty() && below(5) == 0) {
        holes.note(stream, record.partition, from.skip(stream, record.partition));
      }
      record.here = from.add(Journal::events, record.topic, record.partition, "");
      records.push_back(record);
    }
    trim();
    for (Known& record : records) {
      record.there = to.add(Journal::events, record.topic, record.partition, "");
    }
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }
  LogStream here(const Known& record) const {
    return from.stream_of(Journal::events, record.topic);
  }

  const std::vector<std::string> topics{"order", "parcel", "dead"};
  CountedLog from;
  CountedLog to;
  Holes holes;
  std::vector<Known> records;
  std::vector<Known> gone;

 private:
  /// What is gone is named by rows all the same, so the other log begins behind as many offsets.
  void trim() {
    std::map<LogStream, PartitionOffsets> begins;
    for (const std::string& topic : topics) {
      for (Partition p = 0; p < kPartitions; ++p) {
        const LogStream stream = from.stream_of(Journal::events, topic);
        begins[stream][p] = below(from.ends(stream)[p] / 2 + 1);
        from.trim_to(stream, p, begins[stream][p]);
        to.begin_at(to.stream_of(Journal::events, topic), p, 200 + below(1000));
      }
    }
    std::erase_if(records, [&](const Known& record) {
      if (record.here >= begins[here(record)][record.partition]) return false;
      gone.push_back(record);
      return true;
    });
  }

  std::mt19937& random_;
};

void ask(TwoLogs& logs, Positions& positions) {
  for (const auto* list : {&logs.records, &logs.gone}) {
    for (const Known& record : *list) {
      positions.record(Journal::events, record.topic, record.partition, record.here);
      positions.boundary(record.topic, record.partition, record.here + 1);
    }
  }
}

void expect_found(TwoLogs& logs, Positions& positions) {
  for (const Known& record : logs.records) {
    EXPECT_EQ(record.there,
              positions.record(Journal::events, record.topic, record.partition, record.here));
  }
}

/// What comes at or behind a place here comes at or behind it there.
void expect_same_side(TwoLogs& logs, Positions& positions) {
  for (const Known& at : logs.records) {
    const Offset place = positions.boundary(at.topic, at.partition, at.here + 1);
    for (const Known& other : logs.records) {
      if (other.topic != at.topic || other.partition != at.partition) continue;
      ASSERT_EQ(other.here > at.here, other.there >= place) << at.topic << at.here;
    }
  }
}

/// Those that are gone keep their order, and meet nobody.
void expect_gone_before(TwoLogs& logs, Positions& positions) {
  std::map<std::pair<std::string, Partition>, Offset> last;
  for (const Known& record : logs.gone) {
    const Offset there =
        positions.record(Journal::events, record.topic, record.partition, record.here);
    EXPECT_LT(there,
              logs.to.begins(logs.to.stream_of(Journal::events, record.topic))[record.partition]);
    const auto [at, first] = last.try_emplace({record.topic, record.partition}, there);
    if (!first) EXPECT_LT(std::exchange(at->second, there), there);
  }
}

TEST(Positions, SayWhereEachRecordLiesInTheOtherLog) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    for (const auto& [here, there] : {std::pair(Counts::together, Counts::by_topic),
                                      std::pair(Counts::by_topic, Counts::together),
                                      std::pair(Counts::together, Counts::together),
                                      std::pair(Counts::by_topic, Counts::by_topic)}) {
      TwoLogs logs(random, here, there);
      Positions positions(logs.from, logs.holes);
      ask(logs, positions);
      ASSERT_TRUE(positions.resolve(logs.to));
      expect_found(logs, positions);
      expect_same_side(logs, positions);
      expect_gone_before(logs, positions);
    }
  }
}

TEST(Positions, AreRefusedWhereThereIsNoRoomForWhatIsGone) {
  CountedLog from("from", Counts::together);
  CountedLog to("to", Counts::by_topic);
  for (int i = 0; i < 5; ++i) from.add(Journal::inbox, "shop", 1, "");
  from.trim_to(Journal::inbox, 1, 3);
  for (const Offset begin : {1, 2}) {
    Positions positions(from);
    positions.record(Journal::inbox, "", 1, 0);
    positions.record(Journal::inbox, "", 1, 2);
    EXPECT_EQ(2, positions.rooms().at(LogStream(Journal::inbox))[1]);
    to.begin_at(Journal::inbox, 1, begin);
    const auto resolved = positions.resolve(to);
    EXPECT_EQ(begin == 2, resolved.has_value());
    if (!resolved) EXPECT_EQ(Errc::conflict, resolved.error().code);
  }
}

TEST(Positions, OfTheInboxMoveByAShift) {
  CountedLog from("from", Counts::together);
  CountedLog to("to", Counts::by_topic);
  for (int i = 0; i < 5; ++i) from.add(Journal::inbox, "shop", 1, "");
  from.trim_to(Journal::inbox, 1, 2);
  to.begin_at(Journal::inbox, 1, 40);
  for (int i = 0; i < 3; ++i) to.add(Journal::inbox, "shop", 1, "");
  Positions positions(from);
  ASSERT_TRUE(positions.resolve(to));
  EXPECT_EQ(41, positions.inbox_boundary(1, 3));
  EXPECT_EQ(43, positions.inbox_boundary(1, 5));
  EXPECT_EQ(40, positions.inbox_boundary(1, 0)) << "before the begin nothing is left to do";
  EXPECT_EQ(42, positions.cause(1, 4));
  EXPECT_EQ(std::nullopt, positions.cause(1, 1)) << "it is no longer in the log";
}

TEST(Positions, OfTheInboxPassOverHoles) {
  CountedLog from("from", Counts::by_topic);
  CountedLog to("to", Counts::together);
  Holes holes;
  from.add(Journal::inbox, "shop", 1, "");
  holes.note(Journal::inbox, 1, from.skip(Journal::inbox, 1));
  from.add(Journal::inbox, "shop", 1, "");
  for (int i = 0; i < 2; ++i) to.add(Journal::inbox, "shop", 1, "");
  CopyMark mark{"complete", "from", {}, {}, holes};
  const auto read = decode_copy_mark(*parse_json(encode(mark)));
  ASSERT_TRUE(read);
  Positions positions(from, read->holes);
  ASSERT_TRUE(positions.resolve(to));
  EXPECT_EQ(0, positions.inbox_boundary(1, 0));
  EXPECT_EQ(1, positions.inbox_boundary(1, 1));
  EXPECT_EQ(1, positions.inbox_boundary(1, 2));
  EXPECT_EQ(2, positions.inbox_boundary(1, 3));
  EXPECT_EQ(1, positions.cause(1, 2));
}

}  // namespace
}  // namespace millrace::stores
