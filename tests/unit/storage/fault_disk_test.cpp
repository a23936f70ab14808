#include "storage/fault_disk.hpp"

#include <gtest/gtest.h>

#include <set>

namespace millrace {
namespace {

std::unique_ptr<File> create(FaultDisk& disk, const char* path) {
  EXPECT_TRUE(disk.create_directories("/d"));
  auto file = disk.open(path, OpenMode::create);
  EXPECT_TRUE(file);
  return std::move(*file);
}

TEST(FaultDisk, KeepsWhatWasSyncedThroughAPowerCut) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    FaultDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(file->write_at(0, "durable"));
    ASSERT_TRUE(file->sync_data());
    ASSERT_TRUE(disk.sync_directory("/d"));
    disk.power_cut(seed);
    EXPECT_EQ(disk.contents("/d/f"), "durable");
    EXPECT_EQ(file->sync_data().error().code, Errc::disk_failed);
  }
}

TEST(FaultDisk, MayLoseTearOrKeepWhatWasNotSynced) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    FaultDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(file->sync_data());
    ASSERT_TRUE(disk.sync_directory("/d"));
    ASSERT_TRUE(file->write_at(0, "ab"));
    ASSERT_TRUE(file->write_at(2, "cd"));
    disk.power_cut(seed);
    outcomes.insert(disk.contents("/d/f"));
  }
  EXPECT_TRUE(outcomes.contains(""));
  EXPECT_TRUE(outcomes.contains("a"));
  EXPECT_TRUE(outcomes.contains("ab"));
  EXPECT_TRUE(outcomes.contains("abcd"));
  EXPECT_TRUE(outcomes.contains(std::string("\0\0cd", 4)));
}

TEST(FaultDisk, MayLoseANameWhoseDirectoryWasNotSynced) {
  std::set<bool> outcomes;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    FaultDisk disk;
    auto file = create(disk, "/d/f");
    ASSERT_TRUE(file->write_at(0, "x"));
    ASSERT_TRUE(file->sync_data());
    disk.power_cut(seed);
    outcomes.insert(disk.contents("/d/f") == "x");
  }
  EXPECT_EQ(outcomes.size(), 2u);
}

TEST(FaultDisk, FailsTheNthOperationOnceAndFillsUp) {
  FaultDisk disk;
  auto file = create(disk, "/d/f");
  disk.fail_once(FaultDisk::Operation::sync, 2, Errc::disk_failed);
  EXPECT_TRUE(file->sync_data());
  EXPECT_EQ(file->sync_data().error().code, Errc::disk_failed);
  EXPECT_TRUE(file->sync_data());

  disk.set_capacity(10);
  EXPECT_EQ(file->write_at(0, "0123456789ABC").error().code, Errc::disk_full);
  EXPECT_EQ(disk.contents("/d/f"), "0123456789");
  EXPECT_EQ(file->allocate(11).error().code, Errc::disk_full);
  EXPECT_TRUE(file->truncate(3));
  EXPECT_TRUE(file->write_at(3, "3456789"));
}

TEST(FaultDisk, IsOffAfterTheGivenNumberOfOperations) {
  FaultDisk disk;
  auto file = create(disk, "/d/f");
  disk.power_off_after(1);
  EXPECT_TRUE(file->write_at(0, "x"));
  EXPECT_FALSE(file->write_at(1, "y"));
  EXPECT_FALSE(file->sync_data());
}

}  // namespace
}  // namespace millrace
