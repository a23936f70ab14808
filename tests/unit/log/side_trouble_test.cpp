// Side files when the disk does not do its part, and what they may cost: descriptors, memory.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "log/format.hpp"
#include "side_files_fixture.hpp"
#include "storage/crc32c.hpp"

namespace millrace::test {
namespace {

class SideTrouble : public SideFiles {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
  void TearDown() override { spdlog::set_level(spdlog::level::info); }

  /// Closed again, with a side file for each sealed segment.
  void make_log(int count) {
    auto log = open();
    fill(*log, count);
    memory_->await_archive();
  }
  static bool is_named(const EventLog& log, const std::filesystem::path& file) {
    for (const EventLog::Trouble& trouble : log.troubles()) {
      if (trouble.what.find(file.string()) != std::string::npos) return true;
    }
    return false;
  }
};

TEST_F(SideTrouble, NoFileStaysOpen) {
  auto log = open();
  const std::uint64_t before = disk_.open_files();
  fill(*log, 300);
  memory_->await_archive();
  EXPECT_GT(names(".side").size(), 10u);
  EXPECT_TRUE(knows(*log, 0));
  EXPECT_LE(disk_.open_files(), before + 1);
}

TEST_F(SideTrouble, ASegmentThatCannotBeReadHoldsUpNothing) {
  make_log(200);
  const auto segments = names(".log");
  ASSERT_GE(segments.size(), 6u);
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(disk_.remove(names(".side")[1]));
  disk_.fail_reads(segments[1], log::kSegmentHeaderBytes, Errc::disk_failed);
  auto log = open();
  // The others are made, and those that can be read are known; of this one they are given up.
  EXPECT_TRUE(knows_in_the_end(*log, 0));
  EXPECT_TRUE(knows(*log, 60));
  EXPECT_FALSE(knows(*log, 30));
  EXPECT_TRUE(is_named(*log, segments[1]));
  PartitionOffsets all;
  all.fill(~Offset{1});
  ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now() + seconds(1), all));
  EXPECT_EQ(names(".log").size(), 1u) << "retention goes on";
  EXPECT_TRUE(log->troubles().empty()) << "what is gone is no trouble";
}

TEST_F(SideTrouble, ASegmentThatIsReadInTheEndLosesNothing) {
  make_log(100);
  const auto segment = names(".log")[1];
  ASSERT_TRUE(disk_.remove(names(".side")[1]));
  disk_.fail_reads(segment, log::kSegmentHeaderBytes, Errc::overloaded);
  auto log = open();
  while (!is_named(*log, segment)) std::this_thread::yield();
  disk_.allow_reads(segment);
  EXPECT_TRUE(knows_in_the_end(*log, 30));
  EXPECT_TRUE(log->troubles().empty());
}

TEST_F(SideTrouble, WhatTheDiskDoesNotGiveIsNotDeleted) {
  make_log(100);
  {
    auto log = open();
    PartitionOffsets all;
    all.fill(~Offset{1});
    ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now() + seconds(1), all));
  }
  const auto sides = names(".side");
  disk_.fail_reads(sides[0], 0, Errc::disk_failed);
  {
    auto log = open();
    EXPECT_EQ(names(".side"), sides);
    EXPECT_TRUE(is_named(*log, sides[0]));
    EXPECT_FALSE(knows(*log, 0));
    EXPECT_TRUE(knows(*log, 30));
  }
  disk_.allow_reads(sides[0]);
  auto log = open();
  EXPECT_TRUE(knows(*log, 0));
  EXPECT_TRUE(log->troubles().empty());
}

TEST_F(SideTrouble, ASideFileThatIsNotReadAnyMoreIsMadeAgain) {
  make_log(100);
  auto log = open();
  ASSERT_TRUE(knows(*log, 30));
  ASSERT_TRUE(disk_.remove(names(".side")[1]));  // behind our back
  EXPECT_TRUE(knows_in_the_end(*log, 30));
  EXPECT_EQ(names(".side").size(), names(".log").size() - 1);
}

TEST_F(SideTrouble, OfANewerFormatRefusesTheStart) {
  make_log(60);
  const auto side = names(".side").front();
  std::string page = disk_.contents(side).substr(0, 4096);
  page[24] = 9;
  const std::uint64_t number = 0;
  const std::string_view key(reinterpret_cast<const char*>(&number), sizeof number);
  const std::uint32_t crc = crc32c(std::string_view(page).substr(4), crc32c(key));
  page.replace(0, 4, reinterpret_cast<const char*>(&crc), 4);
  disk_.overwrite(side, 0, page);
  Memory memory;
  FileLogOptions options = options_on(disk_, clock_);
  options.side_files = true;
  options.id_memories[0] = &memory;
  const auto log = open_file_log(std::move(options));
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::newer_format);
  EXPECT_EQ(disk_.contents(side).substr(0, 4096), page);
}

TEST_F(SideTrouble, TheNewestKeepTheirFilters) {
  bloom_bytes_max_ = 3 * 64;  // three of one block
  auto log = open();
  fill(*log, 240);
  memory_->await_archive();
  const auto check = [&] {
    const auto sides = names(".side");
    std::vector<std::uint64_t> before;
    for (const auto& side : sides) before.push_back(disk_.bytes_read(side));
    EXPECT_FALSE(knows(*log, 1'000'000));
    for (std::size_t i = 0; i < sides.size(); ++i) {
      EXPECT_EQ(disk_.bytes_read(sides[i]) == before[i], i + 3 >= sides.size()) << i;
    }
  };
  check();
  log.reset();
  log = open();
  check();
}

TEST_F(SideTrouble, WhatLiesBeforeDamageIsReadAndTheDamageIsToldUntilItIsPassed) {
  auto log = open();
  fill(*log, 60);
  memory_->await_archive();
  const auto segment = names(".log").front();
  const std::string intact = disk_.contents(segment);
  const std::uint64_t byte = intact.find("MRF1", log::kSegmentHeaderBytes + 3000);
  disk_.overwrite(segment, byte + 60, "?");
  PartitionOffsets from;
  from.fill(kSkipPartition);
  from[1] = 0;
  const auto read = [&](Offset& records) -> Result<void> {
    from[1] = records;
    auto reader = log->open_reader(Journal::inbox, from);
    for (;;) {
      MILLRACE_TRY(batch, (*reader)->next(1000, 1 << 20));
      if (batch->records.empty()) return {};
      records += batch->records.size();
    }
  };
  Offset records = 0;
  const auto stopped = read(records);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::corrupt);
  EXPECT_GT(records, 3u);
  EXPECT_LT(records, 20u);
  ASSERT_EQ(log->troubles().size(), 1u);
  const std::string what = log->troubles()[0].what;
  EXPECT_NE(what.find(std::to_string(byte)), std::string::npos) << what;
  EXPECT_TRUE(is_named(*log, segment));
  disk_.overwrite(segment, byte + 60, std::string_view(intact).substr(byte + 60, 1));
  ASSERT_TRUE(read(records));
  EXPECT_EQ(records, 60u);
  EXPECT_TRUE(log->troubles().empty());
}

}  // namespace
}  // namespace millrace::test
