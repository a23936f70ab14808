// The power goes at a random moment, by seed, again and again on the same disk. Nothing
// acknowledged is lost, the log always opens, and no record appears that nobody appended.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <map>
#include <random>

#include "log/inspect.hpp"
#include "log/journal_appender.hpp"
#include "log/journal_reader.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

const std::string kUuid = "01234567-89ab-4def-8123-456789abcdef";
const std::filesystem::path kDirectory = "/log/inbox";

/// One journal without its thread, so that a seed replays every operation.
class PowerCut {
 public:
  explicit PowerCut(std::uint64_t seed, bool synced)
      : random_(seed), synced_(synced), equal_sizes_(seed % 2 == 0) {
    EXPECT_TRUE(disk_.create_directories(kDirectory));
  }

  void run() {
    for (int life = 0; life < 4 && !::testing::Test::HasFailure(); ++life) live();
    start();
    if (!::testing::Test::HasFailure()) check();
  }

 private:
  void start() {
    auto segments = log::inspect_segments(disk_, kDirectory, Journal::inbox, kUuid);
    ASSERT_TRUE(segments) << segments.error().message;
    auto opened = log::JournalAppender::open({.disk = &disk_,
                                              .clock = &clock_,
                                              .journal = Journal::inbox,
                                              .directory = kDirectory,
                                              .log_uuid = kUuid,
                                              .segment_bytes = 8192,
                                              .index_bytes = 512,
                                              .sync_each_batch = synced_},
                                             std::move(*segments));
    ASSERT_TRUE(opened) << opened.error().message;
    appender_ = std::move(*opened);
  }

  /// Opens, appends until the power goes, and cuts.
  void live() {
    start();
    if (::testing::Test::HasFailure()) return;
    check();
    disk_.power_off_after(random_() % 40);
    while (step()) {
    }
    appender_.reset();
    // What only a process's death left behind counts as read from then on, so a power cut after it
    // finds out whether the start made it durable.
    if (random_() % 3 == 0) {
      disk_.kill_process();
    } else {
      disk_.power_cut(random_());
    }
  }

  bool step() {
    std::vector<log::Group> groups(equal_sizes_ ? 1 : 1 + random_() % 4);
    std::vector<log::Group*> batch;
    for (log::Group& group : groups) {
      const auto partition = static_cast<Partition>(random_() % 3);
      for (std::size_t i = equal_sizes_ ? 1 : 1 + random_() % 3; i > 0; --i) {
        const std::string payload = fmt::format("{:06}", made_++) + std::string(padding(), 'p');
        group.entries.push_back({partition, "t", payload});
      }
      group.bytes = log::measure(group.entries).value();
      batch.push_back(&group);
    }
    for (std::span<log::Group* const> left = batch; !left.empty();) {
      const std::size_t count = appender_->fitting(left);
      std::vector<log::Group> before;
      for (log::Group* group : left.first(count)) before.push_back(*group);
      const auto appended = appender_->append(left.first(count), false);
      remember(left.first(count), appended.has_value());
      if (!appended) return false;
      left = left.subspan(count);
    }
    if (random_() % 4 == 0 && !appender_->unsynced() && !appender_->mark()) return false;
    if (!synced_ && random_() % 3 == 0) {
      if (!appender_->sync()) return false;
      acked_ = written_;
    }
    return appender_->prepare().has_value();
  }

  /// Equal sizes put later frames exactly where torn ones lay.
  std::size_t padding() { return equal_sizes_ ? 60 : random_() % 900; }

  /// Every append was tried with offsets; an acknowledged one binds.
  void remember(std::span<log::Group* const> groups, bool acknowledged) {
    for (const log::Group* group : groups) {
      for (std::size_t i = 0; i < group->offsets.size(); ++i) {
        const LogEntry& entry = group->entries[i];
        tried_[{entry.partition, group->offsets[i]}].push_back(entry.payload);
        if (!acknowledged) continue;
        written_[{entry.partition, group->offsets[i]}] = entry.payload;
      }
    }
    if (synced_) acked_ = written_;
  }

  void check() {
    auto reader = log::JournalReader::open(disk_, appender_->catalog(), {},
                                           std::make_shared<log::Troubles>(clock_));
    ASSERT_TRUE(reader) << reader.error().message;
    std::map<std::pair<Partition, Offset>, std::string> found;
    PartitionOffsets next{};
    for (;;) {
      auto batch = (*reader)->next(100, 1 << 20);
      ASSERT_TRUE(batch) << batch.error().message;
      if ((*batch)->records.empty()) break;
      for (const LogRecord& record : (*batch)->records) {
        ASSERT_EQ(record.offset, next[record.partition]++);
        found[{record.partition, record.offset}] = record.payload;
      }
    }
    for (const auto& [key, payload] : acked_) ASSERT_EQ(found[key], payload) << "acknowledged";
    for (const auto& [key, payload] : found) {
      const auto& tried = tried_[key];
      ASSERT_NE(std::find(tried.begin(), tried.end(), payload), tried.end()) << "invented";
    }
    ASSERT_EQ(appender_->catalog()->ends(), next);
    acked_ = written_ = std::move(found);  // what was read may be acted upon, so it binds as well
  }

  using Records = std::map<std::pair<Partition, Offset>, std::string>;

  FaultDisk disk_;
  ManualClock clock_;
  std::mt19937_64 random_;
  bool synced_;
  bool equal_sizes_;
  std::unique_ptr<log::JournalAppender> appender_;
  std::map<std::pair<Partition, Offset>, std::vector<std::string>> tried_;
  Records written_;
  Records acked_;
  int made_ = 0;
};

/// MILLRACE_SEED replays one seed; MILLRACE_SEEDS says how many to run.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Thousands of expected torn tails are no news.
class PowerCutTest : public ::testing::Test {
 protected:
  PowerCutTest() { spdlog::set_level(spdlog::level::off); }
  ~PowerCutTest() override { spdlog::set_level(spdlog::level::info); }
};

void run_seeds(bool synced) {
  const std::uint64_t first = from_environment("MILLRACE_SEED", 1);
  const std::uint64_t count =
      std::getenv("MILLRACE_SEED") != nullptr ? 1 : from_environment("MILLRACE_SEEDS", 1000);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    PowerCut(seed, synced).run();
    if (::testing::Test::HasFailure()) FAIL() << "replay with MILLRACE_SEED=" << seed;
  }
}

TEST_F(PowerCutTest, LosesNothingAcknowledgedAndInventsNothing) {
  run_seeds(true);
}

TEST_F(PowerCutTest, LosesOfAnUnsyncedJournalOnlyWhatCameAfterTheLastSync) {
  run_seeds(false);
}

/// The same with threads and all journals, through EventLog alone.
TEST_F(PowerCutTest, TheWholeLogKeepsWhatItCompleted) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    FaultDisk disk;
    ManualClock clock;
    FileLogOptions options = options_on(disk, clock);
    options.fatal = [](const Error&) {};
    Offset acknowledged = 0;
    std::string ends;
    {
      auto log = open_file_log(options);
      ASSERT_TRUE(log);
      ends = (*log)->durable_ends();
      disk.power_off_after(random() % 60);
      TestExecutor executor;
      for (int i = 0; i < 200; ++i) {
        (*log)->append(Journal::events, one(std::string(random() % 500, 'e')), executor,
                       [&](const AppendResult& result) {
                         if (result) ++acknowledged;
                         ends = (*log)->durable_ends();
                       });
        if (random() % 3 == 0) executor.run_one();
      }
      (*log)->close();
      while (executor.run_one()) {
      }
    }
    disk.power_cut(seed);
    auto log = open_file_log(options);
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_GE((*log)->ends(Journal::events)[1], acknowledged);
    EXPECT_TRUE((*log)->verify_ends(ends));
    EXPECT_TRUE(read_all(**log, Journal::events, {}));
  }
}

}  // namespace
}  // namespace millrace::test
