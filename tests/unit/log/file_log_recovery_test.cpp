// What a log does after damage, cuts, full disks and failures.
#include <gtest/gtest.h>

#include "log/format.hpp"
#include "log/verify.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

const std::filesystem::path kInbox = "/log/inbox/00000000000000000000.log";

class FileLogRecovery : public ::testing::Test {
 protected:
  Result<std::unique_ptr<EventLog>> open() {
    FileLogOptions options = options_on(disk_, clock_);
    options.segment_bytes = segment_bytes_;
    options.fatal = [this](const Error& error) {
      std::lock_guard guard(mutex_);
      fatal_.push_back(error);
      failed_.notify_all();
    };
    return open_file_log(std::move(options));
  }
  std::unique_ptr<EventLog> must_open() {
    auto log = open();
    EXPECT_TRUE(log) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }
  void fill(EventLog& log, int count, std::size_t bytes = 100) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(append_and_wait(log, Journal::inbox, one(std::string(bytes, 'p'))));
    }
  }
  Error await_fatal() {
    std::unique_lock guard(mutex_);
    failed_.wait(guard, [this] { return !fatal_.empty(); });
    return fatal_.front();
  }

  FaultDisk disk_;
  ManualClock clock_;
  std::uint64_t segment_bytes_ = 16384;
  std::mutex mutex_;
  std::condition_variable failed_;
  std::vector<Error> fatal_;
};

TEST_F(FileLogRecovery, ReportsEveryFlipInTheMiddleWithFileAndByte) {
  {
    fill(*must_open(), 20);
  }
  const std::string intact = disk_.contents(kInbox);
  const std::size_t end = log::kSegmentHeaderBytes + 20 * log::padded(40 + 16 + 5 + 100);
  for (std::size_t byte = log::kSegmentHeaderBytes; byte < end; byte += 37) {
    for (const int bit : {0, 5}) {
      const char flipped = static_cast<char>(intact[byte] ^ (1 << bit));
      disk_.overwrite(kInbox, byte, std::string_view(&flipped, 1));
      auto log = open();
      const auto frame = log::padded(40 + 16 + 5 + 100);
      const std::size_t in_frame = (byte - log::kSegmentHeaderBytes) % frame;
      const std::size_t begin = byte - in_frame;
      if (in_frame >= 161) {
        EXPECT_TRUE(log) << "padding is not part of a record";
      } else {
        ASSERT_FALSE(log) << "byte " << byte;
        EXPECT_EQ(log.error().code, Errc::corrupt);
        EXPECT_NE(log.error().message.find(kInbox.string()), std::string::npos);
        EXPECT_NE(log.error().message.find("byte " + std::to_string(begin)), std::string::npos)
            << log.error().message;
        EXPECT_NE(log.error().message.find("millrace log quarantine"), std::string::npos);
      }
      if (log) log->reset();
      disk_.overwrite(kInbox, 0, intact);
    }
  }
}

TEST_F(FileLogRecovery, ReportsEveryFlipInASegmentHeader) {
  {
    fill(*must_open(), 3);
  }
  const std::string intact = disk_.contents(kInbox);
  for (std::size_t byte = 0; byte < log::kSegmentHeaderBytes; byte += 11) {
    const char flipped = static_cast<char>(intact[byte] ^ 4);
    disk_.overwrite(kInbox, byte, std::string_view(&flipped, 1));
    EXPECT_FALSE(open()) << "byte " << byte;
    disk_.overwrite(kInbox, 0, intact);
  }
}

TEST_F(FileLogRecovery, CutsATornTailSilentlyAndGoesOn) {
  {
    fill(*must_open(), 5);
  }
  const std::size_t frame = log::padded(40 + 16 + 5 + 100);
  const std::size_t end = log::kSegmentHeaderBytes + 5 * frame;
  // The clean end has a mark; a torn frame behind it was never acknowledged.
  disk_.overwrite(kInbox, end + 40, std::string(77, 'g'));
  auto log = must_open();
  EXPECT_EQ(log->ends(Journal::inbox)[1], 5u);
  fill(*log, 1);
  log.reset();
  log = must_open();
  EXPECT_EQ(read_all(*log, Journal::inbox, {})->size(), 6u);
}

TEST_F(FileLogRecovery, RefusesALogThatEndsBeforeTheStoredEnds) {
  auto log = must_open();
  fill(*log, 3);
  const std::string shorter = log->durable_ends();
  fill(*log, 3);
  const std::string stored = log->durable_ends();
  log.reset();
  auto file = disk_.open(kInbox, OpenMode::write);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->truncate(log::kSegmentHeaderBytes + 4 * log::padded(161)));
  log = must_open();
  EXPECT_TRUE(log->verify_ends(shorter));
  const auto refused = log->verify_ends(stored);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  EXPECT_NE(refused.error().message.find(std::to_string(4 * log::padded(161))), std::string::npos);
  EXPECT_NE(refused.error().message.find(std::to_string(6 * log::padded(161))), std::string::npos);
}

TEST_F(FileLogRecovery, ChecksTheStoredEndsBeforeItChangesAnything) {
  std::string ends;
  {
    auto log = must_open();
    fill(*log, 5);
    ends = log->durable_ends();
  }
  // The last frame and the mark are torn: without the stored ends that would be a torn tail.
  const std::size_t frame = log::padded(40 + 16 + 5 + 100);
  const std::size_t last = log::kSegmentHeaderBytes + 4 * frame;
  disk_.overwrite(kInbox, last + 60, std::string(frame, '\0'));
  disk_.overwrite(kInbox, last + 60, "torn");
  const std::string before = disk_.contents(kInbox);
  FileLogOptions options = options_on(disk_, clock_);
  options.stored_ends = [&] { return std::optional(ends); };
  const auto refused = open_file_log(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  EXPECT_NE(refused.error().message.find("acknowledged records are gone"), std::string::npos);
  EXPECT_EQ(disk_.contents(kInbox), before);
  options.stored_ends = [] { return std::optional<std::string>(); };
  EXPECT_TRUE(open_file_log(options)) << "nobody was promised it";
  EXPECT_NE(disk_.contents(kInbox), before);
}

TEST_F(FileLogRecovery, ALostLogIsNotBegunAnewBesideAStateThatKnowsIt) {
  FileLogOptions options = options_on(disk_, clock_);
  options.stored_ends = [] { return std::optional<std::string>(R"({"log":"x","inbox":8})"); };
  const auto refused = open_file_log(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_environment);
  EXPECT_FALSE(disk_.open("/log/log.json", OpenMode::read));
}

TEST_F(FileLogRecovery, QuarantineMovesASegmentWithADamagedHeaderAsideAndWhatFollows) {
  {
    fill(*must_open(), 300);
  }
  const auto names = disk_.list("/log/inbox");
  std::vector<std::string> segments;
  for (const std::string& name : *names) {
    if (name.ends_with(".log")) segments.push_back(name);
  }
  ASSERT_GE(segments.size(), 4u);
  disk_.overwrite("/log/inbox/" + segments[2], 30, "x");
  EXPECT_FALSE(open());
  const auto report = log::quarantine(disk_, "/log", Journal::inbox);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->moved.size(), segments.size() - 2);
  auto log = must_open();
  const auto records = read_all(*log, Journal::inbox, {});
  ASSERT_TRUE(records);
  EXPECT_GT(records->size(), 100u);
  fill(*log, 1);
}

TEST_F(FileLogRecovery, LosingTheMarkOfGoingIdleIsNoLoss) {
  auto log = must_open();
  fill(*log, 3);
  log.reset();
  log = must_open();
  const std::string stored = log->durable_ends();
  log.reset();
  disk_.overwrite(kInbox, log::kSegmentHeaderBytes + 3 * log::padded(161), std::string(40, '\0'));
  log = must_open();
  EXPECT_TRUE(log->verify_ends(stored));
}

TEST_F(FileLogRecovery, AFullDiskRefusesTheBatchAndLaterAppendsSucceed) {
  auto log = must_open();
  fill(*log, 2);
  disk_.fail_once(FaultDisk::Operation::write, 1, Errc::disk_full);
  const auto refused = append_and_wait(*log, Journal::inbox, one(std::string(1000, 'r')));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::disk_full);
  EXPECT_EQ(log->ends(Journal::inbox)[1], 2u);
  fill(*log, 2);
  log.reset();
  log = must_open();
  EXPECT_EQ(read_all(*log, Journal::inbox, {})->size(), 4u);
  EXPECT_TRUE(fatal_.empty());
}

TEST_F(FileLogRecovery, ANewSegmentThatDoesNotFitIsAFullDisk) {
  auto log = must_open();
  disk_.set_capacity(3 * segment_bytes_ + 200);
  int accepted = 0;
  AppendResult last;
  do {
    last = append_and_wait(*log, Journal::inbox, one(std::string(1000, 'p')));
    accepted += last.has_value() ? 1 : 0;
  } while (last && accepted < 1000);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Errc::disk_full);
  disk_.set_capacity(1u << 30);
  EXPECT_TRUE(append_and_wait(*log, Journal::inbox, one(std::string(1000, 'p'))));
  log.reset();
  log = must_open();
  EXPECT_EQ(read_all(*log, Journal::inbox, {})->size(), static_cast<std::size_t>(accepted + 1));
  EXPECT_TRUE(fatal_.empty());
}

TEST_F(FileLogRecovery, AFailedSyncIsFinalAndCompletesNothing) {
  auto log = must_open();
  fill(*log, 2);
  disk_.fail_once(FaultDisk::Operation::sync, 1, Errc::disk_failed);
  TestExecutor executor;
  int completed = 0;
  const auto count = [&](const AppendResult&) { ++completed; };
  log->append(Journal::inbox, one("lost"), executor, count);
  EXPECT_EQ(await_fatal().code, Errc::disk_failed);
  log->append(Journal::inbox, one("after"), executor, count);
  log->close();
  EXPECT_FALSE(executor.run_one());
  EXPECT_EQ(completed, 0);
  EXPECT_EQ(log->ends(Journal::inbox)[1], 2u);
  EXPECT_EQ(fatal_.size(), 1u);
}

TEST_F(FileLogRecovery, AFullDiskAtASyncIsFinalToo) {
  auto log = must_open();
  disk_.fail_once(FaultDisk::Operation::sync, 1, Errc::disk_full);
  TestExecutor executor;
  log->append(Journal::inbox, one("lost"), executor, [](const AppendResult&) { FAIL(); });
  EXPECT_EQ(await_fatal().code, Errc::disk_failed);
}

TEST_F(FileLogRecovery, AFailedDiskEndsTheProcessUnlessToldOtherwise) {
  const auto fail_a_sync = [this] {
    auto log = open_file_log(options_on(disk_, clock_));
    disk_.fail_once(FaultDisk::Operation::sync, 1, Errc::disk_failed);
    append_and_wait(**log, Journal::inbox, one("lost"));
  };
  EXPECT_EXIT(fail_a_sync(), ::testing::ExitedWithCode(70), "");
}

TEST_F(FileLogRecovery, ReadsFromAnyOffsetAcrossSegmentsAndRestarts) {
  auto log = must_open();
  fill(*log, 60, 1000);
  for (int round = 0; round < 2; ++round) {
    for (Offset from = 0; from <= 60; ++from) {
      PartitionOffsets start{};
      start[1] = from;
      const auto records = read_all(*log, Journal::inbox, start);
      ASSERT_TRUE(records);
      ASSERT_EQ(records->size(), 60 - from);
      if (from < 60) EXPECT_EQ(records->front().offset, from);
    }
    PartitionOffsets beyond{};
    beyond[1] = 61;
    EXPECT_EQ(log->open_reader(Journal::inbox, beyond).error().code, Errc::invalid_argument);
    log.reset();
    log = must_open();
  }
}

TEST_F(FileLogRecovery, RefusesToBeOpenedTwice) {
  auto log = must_open();
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::locked);
  EXPECT_NE(second.error().message.find("/log"), std::string::npos);
  log.reset();
  EXPECT_TRUE(open());
}

TEST_F(FileLogRecovery, RefusesANewerVersionAndTouchesNothing) {
  {
    fill(*must_open(), 3);
  }
  const std::string header = disk_.contents(kInbox);
  disk_.overwrite(kInbox, 8, std::string_view("\x02\0\0\0", 4));
  const auto syncs = disk_.count(FaultDisk::Operation::sync);
  const auto writes = disk_.count(FaultDisk::Operation::write);
  auto log = open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::newer_format);
  disk_.overwrite(kInbox, 0, header);
  const std::string manifest = disk_.contents("/log/log.json");
  std::string newer = manifest;
  newer.replace(newer.find(":1,"), 3, ":2,");
  disk_.overwrite("/log/log.json", 0, newer);
  log = open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::newer_format);
  EXPECT_EQ(disk_.count(FaultDisk::Operation::sync), syncs);
  EXPECT_EQ(disk_.count(FaultDisk::Operation::write), writes);
}

TEST_F(FileLogRecovery, RefusesAMissingSegmentInTheMiddle) {
  {
    fill(*must_open(), 60, 1000);
  }
  const auto names = disk_.list("/log/inbox");
  ASSERT_GE(names->size(), 4u);
  ASSERT_TRUE(disk_.remove("/log/inbox/" + names->at(1)));
  const auto log = open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::corrupt);
  EXPECT_NE(log.error().message.find(names->at(0)), std::string::npos);
}

TEST_F(FileLogRecovery, RefusesSegmentsOfAnotherLog) {
  {
    fill(*must_open(), 1);
  }
  std::string manifest = disk_.contents("/log/log.json");
  const std::size_t at = manifest.find("\"uuid\":\"") + 8;
  manifest[at] = manifest[at] == '0' ? '1' : '0';
  disk_.overwrite("/log/log.json", 0, manifest);
  const auto log = open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::wrong_environment);
}

TEST_F(FileLogRecovery, DamageInASealedSegmentIsReportedOnReadAndByVerify) {
  {
    fill(*must_open(), 60, 1000);
  }
  const std::size_t frame = log::padded(40 + 16 + 5 + 1000);
  disk_.overwrite(kInbox, log::kSegmentHeaderBytes + 2 * frame + 500, "X");
  auto log = must_open();  // the start scans the active segment only
  const auto records = read_all(*log, Journal::inbox, {});
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, Errc::corrupt);
  const std::string where = "byte " + std::to_string(log::kSegmentHeaderBytes + 2 * frame);
  EXPECT_NE(records.error().message.find(where), std::string::npos) << records.error().message;
  log.reset();
  const auto report = log::verify(disk_, "/log");
  ASSERT_TRUE(report);
  ASSERT_EQ(report->problems.size(), 1u);
  EXPECT_NE(report->problems[0].find(where), std::string::npos);
  EXPECT_NE(report->problems[0].find(kInbox.string()), std::string::npos);
}

TEST_F(FileLogRecovery, VerifyCountsASoundLog) {
  {
    fill(*must_open(), 60, 1000);
  }
  const auto report = log::verify(disk_, "/log");
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->problems.empty());
  EXPECT_EQ(report->journals[0].records, 60u);
  EXPECT_GE(report->journals[0].segments, 4u);
  EXPECT_EQ(report->journals[1].records, 0u);
  EXPECT_FALSE(report->journals[0].torn_tail);
}

TEST_F(FileLogRecovery, QuarantineKeepsTheDamagedPartAsideAndTheLogOpensAgain) {
  {
    fill(*must_open(), 60, 1000);
  }
  EXPECT_EQ(log::quarantine(disk_, "/log", Journal::inbox).error().code, Errc::not_found);
  const std::size_t frame = log::padded(40 + 16 + 5 + 1000);
  disk_.overwrite(kInbox, log::kSegmentHeaderBytes + 2 * frame + 500, "X");
  const std::string damaged = disk_.contents(kInbox);
  const auto segments = disk_.list("/log/inbox")->size();
  const auto report = log::quarantine(disk_, "/log", Journal::inbox);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->moved.size(), segments);
  EXPECT_EQ(report->end_position, 2 * frame);
  EXPECT_EQ(disk_.contents(kInbox.string() + ".quarantine"), damaged);
  auto log = must_open();
  EXPECT_EQ(read_all(*log, Journal::inbox, {})->size(), 2u);
  fill(*log, 1);
}

TEST_F(FileLogRecovery, TrimDropsOldSegmentsBelowTheCursorsOnly) {
  auto log = must_open();
  fill(*log, 60, 1000);
  const WallTime middle = clock_.wall_now() + seconds(5);
  clock_.advance(seconds(10));
  fill(*log, 60, 1000);
  const auto before = disk_.list("/log/inbox")->size();
  PartitionOffsets keep;
  keep.fill(kSkipPartition);
  keep[1] = 20;
  ASSERT_TRUE(log->trim(Journal::inbox, WallTime::max(), keep));
  const Offset begin = log->begins(Journal::inbox)[1];
  EXPECT_GT(begin, 0u);
  EXPECT_LE(begin, 20u);
  keep[1] = 1000;
  ASSERT_TRUE(log->trim(Journal::inbox, middle, keep));
  EXPECT_GT(log->begins(Journal::inbox)[1], begin);
  EXPECT_LE(log->begins(Journal::inbox)[1], 60u);
  EXPECT_LT(disk_.list("/log/inbox")->size(), before);
  const auto gone = log->open_reader(Journal::inbox, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::not_found);
  log.reset();
  log = must_open();
  EXPECT_EQ(read_all(*log, Journal::inbox, log->begins(Journal::inbox))->size(),
            120 - log->begins(Journal::inbox)[1]);
  EXPECT_LE(log->usage().bytes, 11 * segment_bytes_);
}

TEST_F(FileLogRecovery, AReaderWhoseSegmentsAreTrimmedSaysSo) {
  auto log = must_open();
  fill(*log, 60, 1000);
  auto reader = log->open_reader(Journal::inbox, {});
  ASSERT_TRUE(reader);
  ASSERT_TRUE((*reader)->next(1, 1));
  PartitionOffsets keep;
  keep.fill(kSkipPartition);
  clock_.advance(seconds(1));
  ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now(), keep));
  Result<RecordBatchPtr> batch;
  do {
    batch = (*reader)->next(1, 1);
  } while (batch && !(*batch)->records.empty());
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, Errc::not_found);
}

}  // namespace
}  // namespace millrace::test
