// Bits that flip and files that end too soon, at random, anywhere in a log: what is read is what
// was written, or the damage is told with its file.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <random>

#include "log/verify.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

constexpr int kRecords = 400;

std::string payload(int number) {
  return std::to_string(number) + ":" + std::string(static_cast<std::size_t>(number % 7) * 60, 'p');
}

/// Records by offset from a log that may be damaged; false when reading told of damage.
bool read_what_is_there(EventLog& log, int* read) {
  auto reader = log.open_reader(Journal::inbox, log.begins(Journal::inbox));
  if (!reader) return false;
  for (;;) {
    const auto batch = (*reader)->next(7, 1000);
    if (!batch) {
      EXPECT_EQ(batch.error().code, Errc::corrupt);
      EXPECT_NE(batch.error().message.find("/log/inbox/"), std::string::npos);
      return false;
    }
    if ((*batch)->records.empty()) return true;
    for (const LogRecord& record : (*batch)->records) {
      EXPECT_EQ(record.payload, payload(static_cast<int>(record.offset)));
      EXPECT_EQ(record.offset, static_cast<Offset>((*read)++));
    }
  }
}

class Corruption : public ::testing::Test {
 protected:
  Corruption() {
    spdlog::set_level(spdlog::level::off);
    const char* given = std::getenv("MILLRACE_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    random_.seed(seed_);
  }
  ~Corruption() override { spdlog::set_level(spdlog::level::info); }

  FileLogOptions options(Disk& disk) {
    FileLogOptions made = options_on(disk, clock_);
    made.side_files = true;
    made.fatal = [](const Error& error) { ADD_FAILURE() << error.message; };
    return made;
  }
  /// A log of some sealed segments and an active one; the stored ends.
  std::string make(FaultDisk& disk) {
    auto log = open_file_log(options(disk));
    EXPECT_TRUE(log);
    for (int i = 0; i < kRecords; ++i) {
      EXPECT_TRUE(append_and_wait(**log, Journal::inbox, one(payload(i))));
    }
    return (*log)->durable_ends();
  }
  std::vector<std::filesystem::path> files(FaultDisk& disk) {
    std::vector<std::filesystem::path> found;
    const auto names = disk.list("/log/inbox");
    for (const std::string& name : *names) {
      if (name.ends_with(".log") || name.ends_with(".side")) found.push_back("/log/inbox/" + name);
    }
    return found;
  }
  /// Opens and reads; what cannot be read was told, and `log verify` finds it too.
  void check(FaultDisk& disk, const std::string& ends, bool told_by_verify) {
    const auto report = log::verify(disk, "/log");
    // A flipped version looks like a newer one: refused as well.
    if (!report) EXPECT_EQ(report.error().code, Errc::newer_format);
    const bool told = !report || !report->problems.empty();
    FileLogOptions made = options(disk);
    made.stored_ends = [&] { return std::optional(ends); };
    auto log = open_file_log(std::move(made));
    int read = 0;
    const bool whole = log && read_what_is_there(**log, &read);
    EXPECT_TRUE(!whole || read == kRecords) << "a log that lacks records must say so";
    if (!whole && told_by_verify) EXPECT_TRUE(told);
  }

  std::uint64_t seed_ = 0;
  std::mt19937_64 random_;
  ManualClock clock_;
};

TEST_F(Corruption, AFlippedBitNeverChangesAPayload) {
  SCOPED_TRACE(testing::Message() << "repeat with MILLRACE_SEED=" << seed_);
  FaultDisk disk;
  const std::string ends = make(disk);
  const auto paths = files(disk);
  ASSERT_GE(paths.size(), 4u);
  for (int round = 0; round < 1000; ++round) {
    const auto& path = paths[random_() % paths.size()];
    const std::string intact = disk.contents(path);
    const std::uint64_t byte = random_() % intact.size();
    const char flipped = static_cast<char>(intact[byte] ^ (1 << random_() % 8));
    disk.overwrite(path, byte, std::string_view(&flipped, 1));
    check(disk, ends, true);
    disk.overwrite(path, 0, intact);
    if (HasFailure()) FAIL() << path << " byte " << byte;
  }
}

TEST_F(Corruption, AFileThatEndsTooSoonIsToldOrLacksNothing) {
  SCOPED_TRACE(testing::Message() << "repeat with MILLRACE_SEED=" << seed_);
  for (int round = 0; round < 200; ++round) {
    FaultDisk disk;
    const std::string ends = make(disk);
    const auto paths = files(disk);
    const auto& path = paths[random_() % paths.size()];
    const std::uint64_t size = random_() % disk.contents(path).size();
    auto file = disk.open(path, OpenMode::write);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->truncate(size));
    file->reset();
    // What is cut off the end of the log only the stored ends know.
    check(disk, ends, false);
    if (HasFailure()) FAIL() << path << " cut at " << size;
  }
}

}  // namespace
}  // namespace millrace::test
