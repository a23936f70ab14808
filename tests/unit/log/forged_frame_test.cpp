// Whoever sends a body may put into it what looks like a frame. Where the frame that carries it is
// torn, the search for acknowledged frames behind the tear comes across it, and must not believe
// it.
#include <gtest/gtest.h>

#include <set>

#include "log/format.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

const std::filesystem::path kInbox = "/log/inbox/00000000000000000000.log";
constexpr std::uint64_t kBeyond = std::uint64_t{1} << 20;
constexpr std::size_t kForgedBytes = 128;
// Of what a test sends: its frame's header, its record's header, "topic" and three bytes.
constexpr std::uint64_t kBodyAt = log::kFrameHeaderBytes + log::kRecordHeaderBytes + 5 + 3;
static_assert(kBodyAt % 8 == 0, "frames begin at multiples of 8");

class ForgedFrame : public ::testing::Test {
 protected:
  Result<std::unique_ptr<EventLog>> open() { return open_file_log(options_on(*disk_, clock_)); }

  log::SegmentHeader header_of(const std::filesystem::path& path) {
    return *log::decode_segment_header(disk_->contents(path).substr(0, log::kSegmentHeaderBytes),
                                       path);
  }
  static std::string frame(std::uint64_t position, std::uint64_t salt) {
    std::string bytes(kForgedBytes, '\0');
    log::seal_frame(bytes.data(),
                    {.bytes = kForgedBytes, .position = position, .synced_through = kBeyond}, salt);
    return bytes;
  }
  /// One record is acknowledged; the frame of the next, which carries this, is torn behind it.
  void tear_what_carries(const std::function<std::string(std::uint64_t at)>& forge) {
    {
      auto log = open();
      ASSERT_TRUE(log);
      ASSERT_TRUE(append_and_wait(**log, Journal::inbox, one("kept")));
    }
    {
      auto log = open();
      ASSERT_TRUE(log);
      torn_at_ = log::padded(65) + log::kFrameHeaderBytes;  // behind the mark of the clean end
      ASSERT_TRUE(append_and_wait(**log, Journal::inbox,
                                  one("xyz" + forge(torn_at_ + kBodyAt) + std::string(200, 'p'))));
    }
    const std::size_t begin = log::kSegmentHeaderBytes + torn_at_;
    ASSERT_EQ(torn_at_, log::peek_frame(disk_->contents(kInbox).substr(begin), torn_at_)->position);
    const std::size_t behind = begin + kBodyAt + kForgedBytes + 100;
    disk_->overwrite(kInbox, behind, std::string(4096, '\0'));
  }
  void expect_cut() {
    auto log = open();
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ((*log)->ends(Journal::inbox)[1], 1u);
    ASSERT_TRUE(append_and_wait(**log, Journal::inbox, one("next")));
    EXPECT_EQ(read_all(**log, Journal::inbox, {})->back().payload, "next");
  }

  std::unique_ptr<FaultDisk> disk_ = std::make_unique<FaultDisk>();
  ManualClock clock_;
  std::uint64_t torn_at_ = 0;
};

TEST_F(ForgedFrame, WithAGuessedSaltIsPartOfTheTornTail) {
  for (const std::uint64_t guess : {0ull, 1ull, 12345ull}) {
    disk_ = std::make_unique<FaultDisk>();
    tear_what_carries([guess](std::uint64_t at) { return frame(at, guess); });
    expect_cut();
  }
}

TEST_F(ForgedFrame, WithTheRightSaltAtAnotherPositionIsPartOfTheTornTail) {
  for (const std::uint64_t off : {8, 64, 4096}) {
    disk_ = std::make_unique<FaultDisk>();
    tear_what_carries([&](std::uint64_t at) {
      return frame(at + off, header_of(kInbox).salt);  // a frame of this log, from elsewhere
    });
    expect_cut();
  }
}

TEST_F(ForgedFrame, WouldBeBelievedWithTheRightSaltAndPosition) {
  tear_what_carries([&](std::uint64_t at) { return frame(at, header_of(kInbox).salt); });
  const auto refused = open();
  ASSERT_FALSE(refused) << "the search comes across it";
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  EXPECT_NE(
      refused.error().message.find("byte " + std::to_string(log::kSegmentHeaderBytes + torn_at_)),
      std::string::npos)
      << refused.error().message;
}

TEST_F(ForgedFrame, CannotBeMadeWithTheSaltOfAnotherSegment) {
  std::set<std::uint64_t> salts;
  std::size_t segments = 0;
  for (int logs = 0; logs < 2; ++logs) {
    disk_ = std::make_unique<FaultDisk>();
    {
      auto log = open();
      ASSERT_TRUE(log);
      for (int i = 0; i < 60; ++i) {
        for (const Journal journal : {Journal::inbox, Journal::events}) {
          ASSERT_TRUE(append_and_wait(**log, journal, one(std::string(1000, 'p'))));
        }
      }
    }
    for (const char* journal : {"inbox", "events"}) {
      const std::filesystem::path directory = std::filesystem::path("/log") / journal;
      for (const std::string& name : *disk_->list(directory)) {
        if (!log::parse_segment_name(name)) continue;
        salts.insert(header_of(directory / name).salt);
        ++segments;
      }
    }
  }
  EXPECT_GE(segments, 16u);
  EXPECT_EQ(salts.size(), segments);
  EXPECT_GT(*salts.rbegin(), std::uint64_t{1} << 48) << "they have all their bits";
}

}  // namespace
}  // namespace millrace::test
