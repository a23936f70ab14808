// Side files: what they answer, and that a damaged or missing one is made again and never believed.
#include "log/side_file.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

#include "log/verify.hpp"
#include "side_files_fixture.hpp"

namespace millrace::test {
namespace {

const std::filesystem::path kPath = "/log/inbox/00000000000000000000.side";
const std::string kUuid = "01234567-89ab-4def-8123-456789abcdef";

log::SideContents contents_with(std::uint64_t ids) {
  log::SideContents contents;
  contents.header.log_uuid = kUuid;
  contents.header.end_position = 10'000;
  for (std::uint64_t i = 0; i < 10; ++i) {
    PartitionOffsets offsets{};
    offsets.fill(i);
    contents.index.push_back({i * 1000, offsets});
  }
  for (std::uint64_t i = 0; i < ids; ++i) {
    contents.ids.push_back({id_of(i), static_cast<std::uint32_t>(1000 + i)});
  }
  return contents;
}

TEST(SideFile, HoldsWhatWasWrittenAndNothingElse) {
  for (const std::uint64_t count : {0, 1, 203, 204, 205, 5000}) {
    FaultDisk disk;
    ASSERT_TRUE(disk.create_directories("/log/inbox"));
    ASSERT_TRUE(write_side_file(disk, kPath, contents_with(count)));
    auto side = log::SideFile::open(disk, kPath);
    ASSERT_TRUE(side) << side.error().message;
    EXPECT_EQ((*side)->header().ids, count);
    EXPECT_EQ((*side)->header().end_position, 10'000u);
    const auto index = (*side)->read_index();
    ASSERT_TRUE(index);
    ASSERT_EQ(index->size(), 10u);
    EXPECT_EQ(index->back().position, 9000u);
    EXPECT_EQ(index->back().offsets[63], 9u);
    for (const bool in_memory : {false, true}) {
      if (in_memory) ASSERT_TRUE((*side)->load_bloom());
      for (std::uint64_t i = 0; i < count; ++i) {
        EXPECT_TRUE(*(*side)->holds(id_of(i), WallTime(seconds(1000 + i)))) << i;
        EXPECT_FALSE(*(*side)->holds(id_of(i), WallTime(seconds(1001 + i)))) << "too old";
      }
      for (std::uint64_t i = count; i < count + 3000; ++i) {
        EXPECT_FALSE(*(*side)->holds(id_of(i), WallTime())) << i;
      }
    }
    EXPECT_TRUE((*side)->verify());
  }
}

TEST(SideFile, KeepsTheLatestTimeOfAnIdThatCameTwice) {
  FaultDisk disk;
  ASSERT_TRUE(disk.create_directories("/log/inbox"));
  log::SideContents contents = contents_with(3);
  contents.ids.push_back({id_of(1), 5000});
  contents.ids.push_back({id_of(1), 3000});
  ASSERT_TRUE(write_side_file(disk, kPath, contents));
  auto side = log::SideFile::open(disk, kPath);
  ASSERT_TRUE(side);
  EXPECT_EQ((*side)->header().ids, 3u);
  EXPECT_TRUE(*(*side)->holds(id_of(1), WallTime(seconds(5000))));
}

TEST(SideFile, AFlippedBitNeverChangesAnAnswer) {
  FaultDisk disk;
  ASSERT_TRUE(disk.create_directories("/log/inbox"));
  ASSERT_TRUE(write_side_file(disk, kPath, contents_with(500)));
  const std::string intact = disk.contents(kPath);
  std::mt19937_64 random(7);
  int noticed = 0;
  for (int round = 0; round < 1000; ++round) {
    const std::uint64_t byte = random() % intact.size();
    const char flipped = static_cast<char>(intact[byte] ^ (1 << random() % 8));
    disk.overwrite(kPath, byte, std::string_view(&flipped, 1));
    auto side = log::SideFile::open(disk, kPath);
    bool damaged = !side;
    if (side) {
      const std::uint64_t one = random() % 1000;
      const auto held = (*side)->holds(id_of(one), WallTime());
      if (held) EXPECT_EQ(*held, one < 500) << "byte " << byte;
      damaged = !(*side)->load_bloom() || !(*side)->verify();
    }
    EXPECT_TRUE(damaged) << "byte " << byte;
    noticed += damaged ? 1 : 0;
    disk.overwrite(kPath, byte, std::string_view(&intact[byte], 1));
  }
  EXPECT_EQ(noticed, 1000);
}

TEST_F(SideFiles, EveryIdIsInMemoryOrInASideFileAlsoAfterARestart) {
  auto log = open();
  EXPECT_FALSE(log->archives_ids(Journal::inbox));
  fill(*log, 200);
  memory_->await_archive();
  EXPECT_TRUE(log->archives_ids(Journal::inbox));
  log.reset();
  EXPECT_EQ(names(".side").size(), names(".log").size() - 1);
  log = open();
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_NE(knows(*log, i), memory_->active.contains(id_of(i))) << i;
  }
  EXPECT_FALSE(knows(*log, 200));
  EXPECT_GT(memory_->active.size(), 0u);
  EXPECT_LT(memory_->active.size(), 40u);
}

TEST_F(SideFiles, AStartReadsHeadersOfSealedSegmentsOnly) {
  {
    auto log = open();
    fill(*log, 300);
    memory_->await_archive();
  }
  const auto segments = names(".log");
  ASSERT_GT(segments.size(), 5u);
  std::vector<std::uint64_t> before;
  for (const auto& path : segments) before.push_back(disk_.bytes_read(path));
  auto log = open();
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    EXPECT_EQ(disk_.bytes_read(segments[i]) - before[i], log::kSegmentHeaderBytes) << segments[i];
  }
  // With the index of the side file, a reader begins near its offset.
  PartitionOffsets from;
  from.fill(kSkipPartition);
  from[1] = 20;
  const std::uint64_t begun = disk_.bytes_read(segments[0]);
  auto reader = log->open_reader(Journal::inbox, from);
  ASSERT_TRUE(reader);
  const auto batch = (*reader)->next(1, 1);
  ASSERT_TRUE(batch);
  EXPECT_EQ((*batch)->records.front().offset, 20u);
  EXPECT_LT(disk_.bytes_read(segments[0]) - begun, disk_.contents(segments[0]).size() / 2);
}

TEST_F(SideFiles, AMissingOrDamagedOneIsMadeAgain) {
  {
    auto log = open();
    fill(*log, 200);
    memory_->await_archive();
  }
  const auto sides = names(".side");
  ASSERT_GE(sides.size(), 4u);
  const std::string intact = disk_.contents(sides[1]);
  ASSERT_TRUE(disk_.remove(sides[0]));
  disk_.overwrite(sides[1], 100, "x");                                     // its header
  disk_.overwrite(sides[2], disk_.contents(sides[2]).size() - 4000, "x");  // its ids
  auto log = open();
  // Until they are made again nobody is told that an id is new.
  for (;;) {
    std::vector<RecordId> ids;
    for (std::uint64_t i = 0; i < 200; ++i) ids.push_back(id_of(i));
    const auto known = log->known_ids(Journal::inbox, ids, {});
    if (!known) {
      EXPECT_EQ(known.error().code, Errc::overloaded);
      std::this_thread::yield();
      continue;
    }
    for (std::uint64_t i = 0; i < 200; ++i) {
      EXPECT_NE((*known)[i], memory_->active.contains(id_of(i))) << i;
    }
    break;
  }
  EXPECT_EQ(disk_.contents(sides[1]), intact);
  const auto report = log::verify(disk_, "/log");
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->problems.empty()) << report->problems.front();
}

TEST_F(SideFiles, VerifyNamesADamagedOne) {
  {
    auto log = open();
    fill(*log, 60);
    memory_->await_archive();
  }
  auto report = log::verify(disk_, "/log");
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->problems.empty());
  EXPECT_EQ(report->journals[0].side_files, report->journals[0].segments - 1);
  EXPECT_GT(report->journals[0].ids, 20u);
  const auto side = names(".side").front();
  disk_.overwrite(side, disk_.contents(side).size() - 4090, "x");
  report = log::verify(disk_, "/log");
  ASSERT_TRUE(report);
  ASSERT_EQ(report->problems.size(), 1u);
  EXPECT_NE(report->problems[0].find(side.string()), std::string::npos) << report->problems[0];
}

TEST_F(SideFiles, OutliveTheirSegmentsForTheWindow) {
  auto log = open();
  fill(*log, 200);
  memory_->await_archive();
  const std::size_t sides = names(".side").size();
  PartitionOffsets all;
  all.fill(~Offset{1});
  ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now() + seconds(1), all));
  EXPECT_EQ(names(".log").size(), 1u);
  EXPECT_EQ(names(".side").size(), sides);
  EXPECT_TRUE(knows(*log, 0));
  log.reset();
  log = open();
  EXPECT_TRUE(knows(*log, 0));
  EXPECT_TRUE(knows(*log, 100));
  clock_.advance(std::chrono::hours(7 * 24) - seconds(100));
  EXPECT_FALSE(knows(*log, 0, clock_.wall_now() - std::chrono::hours(7 * 24)));
  EXPECT_TRUE(knows(*log, 110, clock_.wall_now() - std::chrono::hours(7 * 24)));
  clock_.advance(seconds(100));
  ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now(), all));
  EXPECT_TRUE(names(".side").empty());
}

TEST_F(SideFiles, GrowOldByTheClockThatIsTrusted) {
  const ManualClock stands_still;
  expiry_clock_ = &stands_still;
  auto log = open();
  fill(*log, 200);
  memory_->await_archive();
  const std::size_t sides = names(".side").size();
  clock_.advance(std::chrono::hours(30 * 24));
  PartitionOffsets all;
  all.fill(~Offset{1});
  ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now(), all));
  EXPECT_EQ(names(".log").size(), 1u);
  EXPECT_EQ(names(".side").size(), sides);
}

TEST_F(SideFiles, BeyondTheMostIdsTheOldestAreForgotten) {
  ids_max_ = 60;
  auto log = open();
  fill(*log, 200);
  memory_->await_archive();
  const auto parts = log->sealed_parts(Journal::inbox);
  const std::uint64_t archived = parts.back().ends[1];
  const std::uint64_t segment_ids = parts.front().ends[1];
  const auto check = [&] {
    for (std::uint64_t i = archived - ids_max_; i < archived; ++i) EXPECT_TRUE(knows(*log, i)) << i;
    // The segment in which the border lies stays whole.
    for (std::uint64_t i = 0; i < archived - ids_max_ - segment_ids; ++i) {
      EXPECT_FALSE(knows(*log, i)) << i;
    }
  };
  ASSERT_GT(archived, 2 * (ids_max_ + segment_ids)) << "most are forgotten";
  check();
  // Of segments that are gone only the side files that are needed stay.
  PartitionOffsets all;
  all.fill(~Offset{1});
  ASSERT_TRUE(log->trim(Journal::inbox, clock_.wall_now(), all));
  EXPECT_EQ(names(".side").size(), (ids_max_ + segment_ids - 1) / segment_ids);
  check();
  log.reset();
  log = open();
  check();
}

TEST_F(SideFiles, APowerCutWhileOneIsMadeOnlyMeansItIsMadeAgain) {
  spdlog::set_level(spdlog::level::off);
  for (std::uint64_t operations = 1; operations < 60; ++operations) {
    FaultDisk disk;
    const auto options = [&](Memory& memory) {
      FileLogOptions made = options_on(disk, clock_);
      made.side_files = true;
      made.id_memories[0] = &memory;
      made.fatal = [](const Error&) {};
      return made;
    };
    std::set<std::uint64_t> acknowledged;
    {
      Memory memory;
      auto log = open_file_log(options(memory));
      ASSERT_TRUE(log);
      disk.power_off_after(operations * 3);
      TestExecutor executor;
      for (std::uint64_t i = 0; i < 120; ++i) {
        std::string payload = std::to_string(100'000'000 + i).substr(1) + std::string(400, 'p');
        (*log)->append(Journal::inbox, one(std::move(payload)), executor,
                       [&, i](const AppendResult& result) {
                         if (result) acknowledged.insert(i);
                       });
        std::this_thread::yield();
      }
      (*log)->close();
      while (executor.run_one()) {
      }
    }
    disk.power_cut(operations);
    Memory memory;
    auto log = open_file_log(options(memory));
    ASSERT_TRUE(log) << log.error().message;
    for (const std::uint64_t i : acknowledged) {
      const RecordId id = id_of(i);
      for (;;) {
        const auto known = (*log)->known_ids(Journal::inbox, std::span(&id, 1), {});
        if (!known) {
          std::this_thread::yield();
          continue;
        }
        EXPECT_TRUE(known->front() || memory.active.contains(id)) << operations << " " << i;
        break;
      }
    }
  }
  spdlog::set_level(spdlog::level::info);
}

}  // namespace
}  // namespace millrace::test
