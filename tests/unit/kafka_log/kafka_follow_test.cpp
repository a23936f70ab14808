// Several logs on the same topics: each tells its listener every record of the partitions it
// follows once and in order, whoever appended it.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <set>
#include <stdexcept>

#include "../../conformance/event_log_support.hpp"
#include "delete_log.hpp"
#include "kafka_server.hpp"
#include "millrace/ids.hpp"

namespace millrace::test {
namespace {

using namespace std::chrono_literals;

const LogStream kOrders(Journal::events, "order");
const std::vector<LogStream> kStreams{Journal::inbox, kOrders};

template <typename F>
bool eventually(F predicate) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < until) {
    if (predicate()) return true;
    ::poll(nullptr, 0, 5);
  }
  return false;
}

/// The payload is the id.
class Ids final : public IdMemory {
 public:
  void ids_of(const LogRecord& record, std::vector<RecordId>& out) const override {
    out.push_back({0, hash64(record.payload)});
  }
  void remember(RecordId id, WallTime) override {
    const std::lock_guard lock(mutex_);
    known_.insert(id);
  }
  void begin_segment(std::uint64_t) override {}
  void archived_below(std::uint64_t) override {}
  bool knows(const std::string& payload) {
    const std::lock_guard lock(mutex_);
    return known_.contains({0, hash64(payload)});
  }

 private:
  std::mutex mutex_;
  std::set<RecordId> known_;
};

/// A log, and what its listener was told.
class Instance {
 public:
  Instance(const KafkaServer& server, const std::string& prefix) {
    auto log = open_kafka_log({.settings = server.settings(),
                               .prefix = prefix,
                               .entities = {"order"},
                               .clock = system_clock(),
                               .id_memories = {&ids, nullptr, nullptr}});
    if (!log) throw std::runtime_error(log.error().message);
    log_ = std::move(*log);
    for (const Journal journal : {Journal::inbox, Journal::events}) {
      log_->set_tail_listener(
          journal, [this](const LogStream& stream, const RecordBatchPtr& batch) {
            const std::lock_guard lock(mutex_);
            for (const LogRecord& record : batch->records)
              told_[stream][record.partition].push_back(
                  {record.offset, std::string(record.payload), record.decoded != nullptr});
          });
    }
  }

  struct Told {
    Offset offset = 0;
    std::string payload;
    bool was_decoded = false;
  };
  EventLog* operator->() const { return log_.get(); }
  void follow(const std::set<Partition>& partitions) {
    const auto done = log_->follow(partitions);
    EXPECT_TRUE(done) << done.error().message;
  }
  /// One record to the inbox and one to the orders; their offsets must come.
  void append(Partition partition, const std::string& payload) {
    for (const Journal journal : {Journal::inbox, Journal::events}) {
      const auto done = append_and_wait(*log_, journal, {{partition, "order", payload, {}}});
      EXPECT_TRUE(done) << done.error().message;
    }
  }
  std::vector<Told> told(const LogStream& stream, Partition partition) {
    const std::lock_guard lock(mutex_);
    return told_[stream][partition];
  }
  std::string offsets_told(const LogStream& stream, Partition partition) {
    std::string text;
    for (const Told& one : told(stream, partition)) text += fmt::format("{} ", one.offset);
    return text;
  }

  Ids ids;

 private:
  std::mutex mutex_;
  std::map<LogStream, std::map<Partition, std::vector<Told>>> told_;
  std::unique_ptr<EventLog> log_;
};

class KafkaFollow : public testing::Test {
 protected:
  void SetUp() override {
    if (KafkaServer::shared() == nullptr) GTEST_SKIP();
  }
  void TearDown() override {
    if (opened_) delete_log(KafkaServer::shared()->settings(), prefix_, {"order"});
  }
  std::unique_ptr<Instance> open() {
    opened_ = true;
    return std::make_unique<Instance>(*KafkaServer::shared(), prefix_);
  }
  /// Everything from `begin` on was told once, in order, without gaps, as the log has it.
  static void expect_all_told(Instance& by, const LogStream& stream, Partition partition,
                              Offset begin) {
    PartitionOffsets from;
    from.fill(kSkipPartition);
    from[partition] = begin;
    const auto written = read_all(*by.operator->(), stream, from);
    ASSERT_TRUE(written) << written.error().message;
    const auto told = by.told(stream, partition);
    ASSERT_EQ(told.size(), written->size()) << by.offsets_told(stream, partition);
    for (std::size_t i = 0; i < told.size(); ++i) {
      EXPECT_EQ(told[i].offset, begin + i);
      EXPECT_EQ(told[i].payload, written->at(i).payload);
    }
  }
  static bool is_told_to_the_end(Instance& by, const std::set<Partition>& partitions, Offset end) {
    return std::ranges::all_of(kStreams, [&](const LogStream& stream) {
      return std::ranges::all_of(partitions, [&](Partition p) {
        const auto told = by.told(stream, p);
        return !told.empty() && told.back().offset + 1 >= end;
      });
    });
  }

  std::atomic<bool> opened_ = false;  ///< on the shared server
  const std::string prefix_ = "follow-" + random_hex(4);
};

TEST_F(KafkaFollow, OfTwoThatStartAtOnceBothFindOneLog) {
  auto other = std::async(std::launch::async, [this] { return open(); });
  const auto a = open();
  const auto b = other.get();
  EXPECT_EQ((*a)->uuid(), (*b)->uuid());
  const auto late = open();
  EXPECT_EQ((*late)->uuid(), (*a)->uuid());
}

TEST_F(KafkaFollow, EachIsToldEverythingOfItsOwnPartitions) {
  const auto a = open();
  const auto b = open();
  a->follow({0, 1, 2});
  b->follow({3, 4, 5});
  constexpr int kEach = 300;
  // Many at once and from both: own and foreign records lie mixed in each partition.
  const auto load = [](Instance& by, const std::string& name) {
    TestExecutor executor;
    int left = 0;
    for (int i = 0; i < kEach; ++i) {
      for (const Journal journal : {Journal::inbox, Journal::events}) {
        std::vector<LogEntry> group;
        for (Partition p = 0; p < 6; ++p)
          group.push_back({p, "order", fmt::format("{}{}", name, i), {}});
        ++left;
        by->append(journal, std::move(group), executor, [&left](const AppendResult& done) {
          EXPECT_TRUE(done);
          --left;
        });
      }
      EXPECT_TRUE(executor.run_until([&] { return left < 20; }));
    }
    EXPECT_TRUE(executor.run_until([&] { return left == 0; }));
  };
  auto other = std::async(std::launch::async, [&] { load(*b, "b"); });
  load(*a, "a");
  other.get();
  ASSERT_TRUE(eventually([&] {
    return is_told_to_the_end(*a, {0, 1, 2}, 2 * kEach) &&
           is_told_to_the_end(*b, {3, 4, 5}, 2 * kEach);
  }));
  for (const LogStream& stream : kStreams) {
    for (Partition p = 0; p < 6; ++p) {
      Instance& follower = p < 3 ? *a : *b;
      Instance& stranger = p < 3 ? *b : *a;
      expect_all_told(follower, stream, p, 0);
      EXPECT_EQ(stranger.offsets_told(stream, p), "");
    }
  }
}

TEST_F(KafkaFollow, WhatWeAppendIsToldOnceAndBeforeItsCompletion) {
  const auto a = open();
  const auto b = open();
  a->follow({1});
  b->append(1, "foreign");
  ASSERT_TRUE(eventually([&] { return a->told(Journal::inbox, 1).size() == 1; }));
  // Its report and the consumer race: whichever comes first tells it. On a busy machine the
  // consumer wins now and then, and not always.
  constexpr std::size_t kOwnMax = 100;
  bool was_decoded = false;
  std::size_t own = 0;
  while (!was_decoded && own < kOwnMax) {
    const auto decoded = std::make_shared<const int>(7);
    ASSERT_TRUE(append_and_wait(*a->operator->(), Journal::inbox, {{1, "t", "own", decoded}}));
    const auto told = a->told(Journal::inbox, 1);
    ++own;
    ASSERT_EQ(told.size(), 1 + own);
    was_decoded = told.back().was_decoded;
  }
  EXPECT_TRUE(was_decoded) << "as it was appended, not read back";
  ASSERT_TRUE(append_and_wait(*a->operator->(), Journal::inbox, {{2, "t", "not ours", {}}}));
  EXPECT_EQ(a->offsets_told(Journal::inbox, 2), "");
  EXPECT_EQ((*a)->ends(Journal::inbox)[2], 1u);
}

TEST_F(KafkaFollow, ATakeOverBeginsAtTheEndAndReadersHaveWhatWasBefore) {
  const auto a = open();
  const auto b = open();
  a->follow({0});
  b->follow({1});
  for (int i = 0; i < 5; ++i) {
    a->append(1, fmt::format("before {}", i));
    b->append(0, fmt::format("before {}", i));
  }
  ASSERT_TRUE(
      eventually([&] { return is_told_to_the_end(*a, {0}, 5) && is_told_to_the_end(*b, {1}, 5); }));
  b->follow({});
  // While nobody follows it.
  b->append(1, "between");
  a->follow({0, 1});
  EXPECT_EQ((*a)->ends(Journal::inbox)[1], 6u);
  for (int i = 0; i < 5; ++i) {
    a->append(1, fmt::format("after {}", i));
    b->append(1, fmt::format("after {}", i));
    b->append(0, fmt::format("after {}", i));
  }
  ASSERT_TRUE(eventually(
      [&] { return is_told_to_the_end(*a, {0}, 10) && is_told_to_the_end(*a, {1}, 16); }));
  for (const LogStream& stream : kStreams) {
    expect_all_told(*a, stream, 0, 0);
    expect_all_told(*a, stream, 1, 6);
    EXPECT_EQ(b->offsets_told(stream, 1), "0 1 2 3 4 ") << "let go of it";
    EXPECT_EQ(b->offsets_told(stream, 0), "");
    PartitionOffsets from;
    from.fill(kSkipPartition);
    from[1] = 2;
    const auto older = read_all(*a->operator->(), stream, from);
    ASSERT_TRUE(older) << older.error().message;
    ASSERT_EQ(older->size(), 14u);
    EXPECT_EQ(older->at(0).payload, "before 2");
    EXPECT_EQ(older->at(3).payload, "between");
  }
}

TEST_F(KafkaFollow, IdsOfWhatOthersAppendAreKnown) {
  const auto a = open();
  const auto b = open();
  a->follow({0});
  b->append(0, "followed");
  b->append(1, "not yet");
  ASSERT_TRUE(eventually([&] { return a->ids.knows("followed"); }));
  EXPECT_FALSE(a->ids.knows("not yet"));
  a->follow({1});
  EXPECT_TRUE(a->ids.knows("not yet"));
  b->append(0, "let go");
  b->append(1, "now");
  ASSERT_TRUE(eventually([&] { return a->ids.knows("now"); }));
  EXPECT_FALSE(a->ids.knows("let go"));
  a->follow({0, 1});
  EXPECT_TRUE(a->ids.knows("let go"));
}

TEST_F(KafkaFollow, GoesOnWhenTheBrokerWasAway) {
  KafkaServer server;
  Instance a(server, prefix_);
  Instance b(server, prefix_);
  a.follow({0});
  b.follow({1});
  const auto both = [&](int i) {
    for (const Partition p : {Partition{0}, Partition{1}}) {
      a.append(p, fmt::format("a{}", i));
      b.append(p, fmt::format("b{}", i));
    }
  };
  for (int i = 0; i < 20; ++i) both(i);
  server.kill9();
  server.start();
  a.follow({0, 2});
  for (int i = 20; i < 40; ++i) both(i);
  b.append(2, "taken over");
  ASSERT_TRUE(eventually([&] {
    return is_told_to_the_end(a, {0}, 80) && is_told_to_the_end(b, {1}, 80) &&
           is_told_to_the_end(a, {2}, 1);
  })) << a.offsets_told(kOrders, 0);
  for (const LogStream& stream : kStreams) {
    expect_all_told(a, stream, 0, 0);
    expect_all_told(b, stream, 1, 0);
  }
  EXPECT_TRUE(eventually([&] { return a->troubles().empty(); }));
}

// Topics that are made anew begin at 0: said, and then told from there.
TEST_F(KafkaFollow, SaysWhatItCannotReadAndGoesOnOnceItCan) {
  const auto a = open();
  const auto b = open();
  a->follow({0});
  for (int i = 0; i < 3; ++i) b->append(0, "before");
  ASSERT_TRUE(eventually([&] { return is_told_to_the_end(*a, {0}, 3); }));
  const auto admin = KafkaAdmin::open(KafkaServer::shared()->settings());
  ASSERT_TRUE(admin);
  const std::string orders = kafka_topic_of(prefix_, kOrders);
  ASSERT_TRUE((*admin)->delete_topic(orders));
  ASSERT_TRUE(eventually([&] { return !(*a)->troubles().empty(); }));
  EXPECT_NE((*a)->troubles().front().what.find(orders), std::string::npos)
      << (*a)->troubles().front().what;
  const std::vector<KafkaTopicSpec> specs{{.name = orders, .partitions = kPartitionCount}};
  ASSERT_TRUE((*admin)->ensure_topics(specs));
  const auto c = open();
  c->append(0, "anew");
  ASSERT_TRUE(eventually([&] {
    const auto told = a->told(kOrders, 0);
    return told.size() == 4 && told.back().payload == "anew" && told.back().offset == 0;
  })) << a->offsets_told(kOrders, 0);
  EXPECT_TRUE(eventually([&] { return a->offsets_told(Journal::inbox, 0) == "0 1 2 3 "; }))
      << a->offsets_told(Journal::inbox, 0);
  EXPECT_TRUE(eventually([&] { return (*a)->troubles().empty(); }));
}

}  // namespace
}  // namespace millrace::test
