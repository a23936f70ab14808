#include "log/spooling_log.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "log_test_support.hpp"

namespace millrace::test {
namespace {

using namespace std::chrono_literals;

/// The log far away; outlives the processes that write to it.
struct FarLog {
  std::mutex mutex;  // guards what follows
  std::optional<Errc> refusal;
  std::map<std::pair<Journal, Partition>, std::vector<LogEntry>> partitions;
};

/// A log that the test makes silent, as a frozen Kafka is, or has refuse.
class RemoteLog final : public EventLog {
 public:
  explicit RemoteLog(FarLog& far, std::string uuid = "remote")
      : far_(far), uuid_(std::move(uuid)) {}

  void be_silent() {
    const std::lock_guard lock(far_.mutex);
    silent_ = true;
  }
  void answer() {
    const std::lock_guard lock(far_.mutex);
    silent_ = false;
    far_.refusal.reset();
    for (Waiting& waiting : std::exchange(waiting_, {})) write(waiting);
  }
  void refuse(Errc code) {
    const std::lock_guard lock(far_.mutex);
    far_.refusal = code;
  }
  /// What it got first is written, but nobody is told: the process dies before.
  void write_silently(std::size_t groups) {
    const std::lock_guard lock(far_.mutex);
    for (std::size_t i = 0; i < std::min(groups, waiting_.size()); ++i) keep(waiting_[i]);
    waiting_.clear();
  }
  std::size_t waiting() {
    const std::lock_guard lock(far_.mutex);
    return waiting_.size();
  }

  void append(Journal journal, std::vector<LogEntry> group, Executor& home,
              AppendDone done) override {
    const std::lock_guard lock(far_.mutex);
    Waiting waiting{journal, std::move(group), &home, std::move(done)};
    if (far_.refusal) {
      home.post([done = std::move(waiting.done), code = *far_.refusal]() mutable {
        done(fail(code, "the topic is gone"));
      });
    } else if (silent_) {
      waiting_.push_back(std::move(waiting));
    } else {
      write(waiting);
    }
  }
  std::vector<LogStream> streams(Journal journal) const override {
    if (journal != Journal::events) return {journal};
    return {LogStream(journal, "order")};
  }
  LogStream stream_of(Journal journal, std::string_view topic) const override {
    return journal == Journal::events ? LogStream(journal, std::string(topic)) : journal;
  }
  void set_tail_listener(Journal, TailListener) override {}
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream&,
                                                 const PartitionOffsets&) override {
    return fail(Errc::not_supported, "the test reads what lies far away");
  }
  PartitionOffsets ends(const LogStream&) const override { return {}; }
  PartitionOffsets begins(const LogStream&) const override { return {}; }
  std::string durable_ends() const override { return {}; }
  Result<void> verify_ends(std::string_view) const override { return {}; }
  std::string uuid() const override { return uuid_; }
  bool empty() const override { return false; }
  Usage usage() const override { return {}; }
  Result<void> trim(const LogStream&, WallTime, const PartitionOffsets&) override { return {}; }
  void close() override {
    const std::lock_guard lock(far_.mutex);
    waiting_.clear();
  }

 private:
  struct Waiting {
    Journal journal = Journal::inbox;
    std::vector<LogEntry> entries;
    Executor* home = nullptr;
    AppendDone done;
  };
  void keep(Waiting& waiting) {
    for (const LogEntry& entry : waiting.entries) {
      far_.partitions[{waiting.journal, entry.partition}].push_back(entry);
    }
  }
  void write(Waiting& waiting) {
    keep(waiting);
    waiting.home->post([done = std::move(waiting.done)]() mutable { done(std::vector<Offset>()); });
  }

  FarLog& far_;
  const std::string uuid_;
  bool silent_ = false;
  std::vector<Waiting> waiting_;
};

class SpoolingLogTest : public ::testing::Test {
 protected:
  void open(SpoolingLogOptions options = {.ack_within = 30ms}) {
    const auto opened = try_open(std::move(options));
    ASSERT_TRUE(opened) << opened.error().message;
  }
  Result<void> try_open(SpoolingLogOptions options, const std::string& uuid = "remote") {
    MILLRACE_TRY(spool, log::Spool::open({.directory = "/spool",
                                          .disk = disk_,
                                          .clock = system_clock(),
                                          .fatal = [](const Error&) { std::abort(); }}));
    auto remote = std::make_unique<RemoteLog>(far_, uuid);
    remote_ = remote.get();
    MILLRACE_TRY(log, open_spooling_log(std::move(options), std::move(spool), std::move(remote)));
    log_ = std::move(log);
    return {};
  }
  /// The process ends; what was on its way to the log is not known to have come.
  void end(std::size_t written_untold = 0) {
    remote_->write_silently(written_untold);
    log_.reset();
  }

  void accept(std::string payload, Partition partition = 5, Journal journal = Journal::inbox) {
    accept_group(journal, {{partition, "order", std::move(payload)}});
  }
  void accept_group(Journal journal, std::vector<LogEntry> group) {
    ++accepted_;
    log_->accept(journal, std::move(group), sender_, [this](const Result<void>& result) {
      if (result) return static_cast<void>(++acknowledged_);
      refused_.push_back(result.error().code);
    });
  }
  void await_answers() {
    ASSERT_TRUE(sender_.run_until([&] { return acknowledged_ + refused_.size() == accepted_; }));
  }
  /// Until the condition holds; the sender's answers go on.
  template <typename Condition>
  void await(Condition condition, const char* what) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
      if (!sender_.run_one()) std::this_thread::yield();
    }
  }
  void await_drained() {
    await([&] { return log_->spooled()->records == 0 && !log_->spooled()->oldest_at; }, "drained");
  }

  /// What a reader of the log makes of it: the first of each id.
  std::vector<std::string> read(Partition partition = 5, Journal journal = Journal::inbox) {
    const std::lock_guard lock(far_.mutex);
    std::vector<std::string> payloads;
    std::set<std::string> ids;
    for (const LogEntry& entry : far_.partitions[{journal, partition}]) {
      EXPECT_FALSE(entry.id.empty());
      if (ids.insert(entry.id).second) payloads.push_back(entry.payload);
    }
    return payloads;
  }
  /// How many lie there, repeats counted.
  std::size_t written(Partition partition = 5, Journal journal = Journal::inbox) {
    const std::lock_guard lock(far_.mutex);
    return far_.partitions[{journal, partition}].size();
  }

  FaultDisk disk_;
  FarLog far_;
  TestExecutor sender_;
  std::unique_ptr<EventLog> log_;
  RemoteLog* remote_ = nullptr;
  std::size_t accepted_ = 0;
  std::size_t acknowledged_ = 0;
  std::vector<Errc> refused_;
};

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i <= to; ++i) all.push_back(std::to_string(i));
  return all;
}

TEST_F(SpoolingLogTest, WhatTheLogAcknowledgesInTimeIsNotSpooled) {
  open();
  accept("1");
  await_answers();
  EXPECT_EQ(1u, acknowledged_);
  EXPECT_EQ(0u, log_->spooled()->spooled_total);
  EXPECT_EQ(numbers(1, 1), read());
}

TEST_F(SpoolingLogTest, WhatIsLateIsAcknowledgedFromTheSpoolAndWrittenOnce) {
  open();
  remote_->be_silent();
  accept("1");
  await_answers();
  EXPECT_EQ(1u, acknowledged_);
  await([&] { return log_->spooled()->records == 1; }, "it is counted");
  remote_->answer();
  await_drained();
  EXPECT_EQ(1u, written()) << "the log had it already";
  EXPECT_EQ(1u, log_->spooled()->forwarded_total);
}

TEST_F(SpoolingLogTest, NothingOvertakesWhatWaits) {
  open();
  remote_->be_silent();
  accept("1");
  await_answers();
  for (int i = 2; i <= 300; ++i) accept(std::to_string(i));
  await_answers();
  EXPECT_EQ(300u, acknowledged_);
  EXPECT_LE(remote_->waiting(), log::SpoolLane::kHandedMax)
      << "what is in the spool is not in the log's queue as well";
  remote_->answer();
  for (int i = 301; i <= 400; ++i) accept(std::to_string(i));
  await_answers();
  await_drained();
  accept("401");
  await_answers();
  EXPECT_EQ(numbers(1, 401), read());
  EXPECT_EQ(401u, written());
}

TEST_F(SpoolingLogTest, ALogThatIsAwayIsNotWaitedForAgain) {
  open();
  remote_->be_silent();
  accept("1", 5);
  await_answers();
  accept_group(Journal::inbox, {{6, "order", "2"}, {7, "order", "3"}});
  await_answers();
  // Straight to the spool, which forwards records: the log never gets the group.
  await([&] { return remote_->waiting() == 3; }, "it is forwarded");
  EXPECT_EQ(3u, log_->spooled()->spooled_total);
}

TEST_F(SpoolingLogTest, WhatWaitsComesFirstAfterARestart) {
  open();
  remote_->be_silent();
  for (int i = 1; i <= 100; ++i) accept(std::to_string(i));
  await_answers();
  end();
  open();
  for (int i = 101; i <= 110; ++i) accept(std::to_string(i));
  await_answers();
  await_drained();
  EXPECT_EQ(numbers(1, 110), read());
  EXPECT_EQ(110u, written());
}

TEST_F(SpoolingLogTest, WhatTheLogHadAllTheSameIsKnownByItsId) {
  open();
  remote_->be_silent();
  for (int i = 1; i <= 10; ++i) accept(std::to_string(i));
  await_answers();
  await([&] { return remote_->waiting() == 10; }, "the log has them all");
  end(4);
  open();
  accept("11");
  await_answers();
  await_drained();
  EXPECT_EQ(numbers(1, 11), read());
  EXPECT_EQ(15u, written());
}

TEST_F(SpoolingLogTest, WhatWasForwardedIsNotForwardedAfterTheNextStart) {
  open();
  remote_->be_silent();
  for (int i = 1; i <= 10; ++i) accept(std::to_string(i));
  await_answers();
  remote_->answer();
  await_drained();
  end();
  open();
  EXPECT_EQ(0u, log_->spooled()->records);
  accept("11");
  await_answers();
  EXPECT_EQ(11u, written());
}

TEST_F(SpoolingLogTest, LocallyEverythingIsAcknowledgedAtOnceAndForwarded) {
  open({.mode = AckMode::local, .ack_within = 1h});
  remote_->be_silent();
  accept("1");
  await_answers();
  EXPECT_EQ(1u, acknowledged_);
  remote_->answer();
  accept("2");
  await_answers();
  await([&] { return log_->spooled()->spooled_total == 2; }, "the second lies there, too");
  await_drained();
  EXPECT_EQ(numbers(1, 2), read());
  EXPECT_EQ(2u, written());
}

TEST_F(SpoolingLogTest, WithoutASpoolTheLogAloneAcknowledges) {
  open({.mode = AckMode::log, .ack_within = 1ms});
  remote_->be_silent();
  accept("1");
  await([&] { return remote_->waiting() == 1; }, "the log has it");
  EXPECT_EQ(0u, acknowledged_);
  remote_->answer();
  await_answers();
  EXPECT_EQ(0u, log_->spooled()->spooled_total);
}

TEST_F(SpoolingLogTest, WhatWaitsFromBeforeIsForwardedWithoutASpool) {
  open();
  remote_->be_silent();
  for (int i = 1; i <= 10; ++i) accept(std::to_string(i));
  await_answers();
  end();
  open({.mode = AckMode::log});
  accept("11");
  await_answers();
  await_drained();
  EXPECT_EQ(numbers(1, 11), read());
}

TEST_F(SpoolingLogTest, WhatTheLogRefusesWaitsAndIsSaid) {
  open({.refused_again_after = 10ms});
  remote_->be_silent();
  accept("1");
  await_answers();
  accept("2");
  await_answers();
  remote_->refuse(Errc::not_found);
  end();
  open({.refused_again_after = 10ms});
  const auto said = [&] {
    const auto troubles = log_->troubles();
    return !troubles.empty() && troubles.back().what.contains("the topic is gone");
  };
  await(said, "the alarm says why");
  EXPECT_EQ(2u, log_->spooled()->records);
  EXPECT_TRUE(log_->troubles().back().what.starts_with("2 messages wait in the spool /spool"));
  accept("3");
  await_answers();
  remote_->answer();
  await_drained();
  EXPECT_EQ(numbers(1, 3), read());
  EXPECT_TRUE(log_->troubles().empty());
}

TEST_F(SpoolingLogTest, WhatTheLogRefusesAtOnceIsNotAcknowledged) {
  open();
  remote_->refuse(Errc::too_large);
  accept("1");
  await_answers();
  EXPECT_EQ((std::vector{Errc::too_large}), refused_);
  EXPECT_EQ(0u, log_->spooled()->spooled_total);
}

TEST_F(SpoolingLogTest, ALogThatHasNoRoomIsAsGoodAsAway) {
  open();
  remote_->refuse(Errc::disk_full);
  accept("1");
  await_answers();
  EXPECT_EQ(1u, acknowledged_);
  remote_->answer();
  await([&] { return written() == 1; }, "it is forwarded");
}

TEST_F(SpoolingLogTest, AnEntityThatIsGoneIsSaid) {
  open();
  remote_->be_silent();
  accept_group(Journal::events, {{5, "invoice", "1"}});
  await_answers();
  end();
  open();
  const auto said = [&] {
    const auto troubles = log_->troubles();
    return !troubles.empty() && troubles.back().what.contains("no entity invoice any more");
  };
  await(said, "the alarm says why");
  EXPECT_EQ(1u, log_->spooled()->records);
}

TEST_F(SpoolingLogTest, AFullDiskIsRefused) {
  open({.min_free = [] { return 2.0; }});
  remote_->be_silent();
  accept("1", 5);
  await([&] { return remote_->waiting() == 1; }, "the log has it");
  accept("2", 5);
  await([&] { return !refused_.empty() || remote_->waiting() == 2; }, "refused, or handed over");
  // Once the log is known to be away there is nowhere to go.
  await(
      [&] {
        accept("3", 6);
        while (sender_.run_one()) {
        }
        return !refused_.empty();
      },
      "refused");
  EXPECT_EQ(Errc::disk_full, refused_.front());
  EXPECT_EQ(0u, log_->spooled()->spooled_total);
  remote_->answer();
  await_answers();
}

TEST_F(SpoolingLogTest, AGroupIsKeptWhole) {
  open();
  remote_->be_silent();
  accept("1", 5, Journal::events);
  await_answers();
  accept_group(Journal::events, {{7, "order", "7"}, {5, "order", "2"}, {8, "order", "8"}});
  await_answers();
  end();
  open();
  await_drained();
  EXPECT_EQ(numbers(1, 2), read(5, Journal::events));
  EXPECT_EQ(numbers(7, 7), read(7, Journal::events));
  EXPECT_EQ(numbers(8, 8), read(8, Journal::events));
}

TEST_F(SpoolingLogTest, WhatWaitsForAnotherLogIsNotForwarded) {
  open();
  remote_->be_silent();
  accept("1");
  await_answers();
  end();
  const auto other = try_open({}, "another");
  ASSERT_FALSE(other);
  EXPECT_EQ(Errc::wrong_environment, other.error().code);
  EXPECT_TRUE(other.error().message.starts_with("1 messages wait in the spool /spool for log"));
  open();
  await_drained();
  EXPECT_EQ(numbers(1, 1), read());
}

TEST_F(SpoolingLogTest, WhateverHappensNothingIsLostAndNothingOvertakes) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
  constexpr Partition kPartitions = 3;
  std::map<Partition, int> sent;
  open({.ack_within = 5ms, .refused_again_after = 1ms});
  for (int step = 0; step < 600; ++step) {
    const auto partition = static_cast<Partition>(random() % kPartitions);
    accept(std::to_string(++sent[partition]), partition);
    if (chance(5)) remote_->be_silent();
    if (chance(10)) await_answers();
    if (chance(5)) remote_->answer();
    if (!chance(2)) continue;
    remote_->be_silent();
    await_answers();
    end(random() % 20);
    open({.mode = chance(30) ? AckMode::local : AckMode::automatic,
          .ack_within = 5ms,
          .refused_again_after = 1ms});
  }
  remote_->answer();
  await_answers();
  await_drained();
  EXPECT_EQ(accepted_, acknowledged_);
  for (Partition partition = 0; partition < kPartitions; ++partition) {
    EXPECT_EQ(numbers(1, sent[partition]), read(partition)) << partition;
  }
}

}  // namespace
}  // namespace millrace::test
