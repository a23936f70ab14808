#include "storage/posix_disk.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "millrace/ids.hpp"

namespace millrace {
namespace {

namespace fs = std::filesystem;

class PosixDiskTest : public ::testing::Test {
 protected:
  PosixDiskTest() : directory_(fs::temp_directory_path() / ("disk-" + random_hex(8))) {}
  ~PosixDiskTest() override {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  PosixDisk disk_;
  fs::path directory_;
};

TEST_F(PosixDiskTest, WritesReadsAndTruncates) {
  ASSERT_TRUE(disk_.create_directories(directory_ / "a" / "b"));
  const fs::path path = directory_ / "a" / "b" / "file";
  auto file = disk_.open(path, OpenMode::create);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->allocate(8192));
  EXPECT_EQ((*file)->size().value(), 8192u);
  ASSERT_TRUE((*file)->write_at(4096, "hello"));
  ASSERT_TRUE((*file)->sync_data());
  std::string buffer(7, 'x');
  EXPECT_EQ((*file)->read_at(4095, buffer).value(), 7u);
  EXPECT_EQ(buffer, std::string_view("\0hello\0", 7));
  ASSERT_TRUE((*file)->truncate(4098));
  EXPECT_EQ((*file)->read_at(4096, buffer).value(), 2u);
  EXPECT_EQ(disk_.open(path, OpenMode::create).error().code, Errc::conflict);
}

TEST_F(PosixDiskTest, ReplacesAFileWhole) {
  ASSERT_TRUE(disk_.create_directories(directory_));
  const fs::path path = directory_ / "file";
  ASSERT_TRUE(write_file_durably(disk_, path, "first"));
  ASSERT_TRUE(write_file_durably(disk_, path, "second"));
  EXPECT_EQ(read_file(disk_, path, 100).value(), "second");
  EXPECT_EQ(read_file(disk_, path, 3).error().code, Errc::too_large);
  EXPECT_EQ(disk_.list(directory_).value(), std::vector<std::string>{"file"});
  ASSERT_TRUE(disk_.remove(path));
  EXPECT_EQ(read_file(disk_, path, 100).error().code, Errc::not_found);
}

TEST_F(PosixDiskTest, RefusesASecondLockAndNamesTheHolder) {
  ASSERT_TRUE(disk_.create_directories(directory_));
  auto first = disk_.lock(directory_ / "lock");
  ASSERT_TRUE(first);
  auto second = disk_.lock(directory_ / "lock");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::locked);
  EXPECT_NE(second.error().message.find(directory_.string()), std::string::npos);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
  first->reset();
  EXPECT_TRUE(disk_.lock(directory_ / "lock"));
}

TEST_F(PosixDiskTest, TellsFreeSpace) {
  const auto space = disk_.space(fs::temp_directory_path());
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0u);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

}  // namespace
}  // namespace millrace
