// The mark that a journal's writer appends on going idle: it says that all before it is durable.
#include <gtest/gtest.h>

#include "log/format.hpp"
#include "log_test_support.hpp"

namespace millrace::test {
namespace {

using std::chrono::milliseconds;

const std::filesystem::path kInbox = "/log/inbox/00000000000000000000.log";

class IdleMark : public ::testing::Test {
 protected:
  std::unique_ptr<EventLog> open(milliseconds idle_mark) {
    FileLogOptions options = options_on(disk_, clock_);
    options.segment_bytes = std::uint64_t{1} << 20;
    options.idle_mark = idle_mark;
    auto log = open_file_log(std::move(options));
    EXPECT_TRUE(log);
    return log ? *std::move(log) : nullptr;
  }
  std::vector<log::FrameHeader> frames() {
    const std::string bytes = disk_.contents(kInbox).substr(log::kSegmentHeaderBytes);
    std::vector<log::FrameHeader> found;
    for (std::uint64_t at = 0; at < bytes.size(); at += log::padded(found.back().bytes)) {
      const auto frame = log::peek_frame(std::string_view(bytes).substr(at), at);
      if (!frame) break;
      found.push_back(*frame);
    }
    return found;
  }
  void append_and_await_mark(EventLog& log) {
    ASSERT_TRUE(append_and_wait(log, Journal::inbox, one("news")));
    while (frames().back().records > 0) std::this_thread::yield();
  }

  FaultDisk disk_;
  ManualClock clock_;
};

TEST_F(IdleMark, IsDueWithinATenthOfASecond) {
  const FileLogOptions options{.directory = "/log", .disk = disk_, .clock = clock_};
  EXPECT_GT(options.idle_mark, milliseconds(0)) << "not after each batch";
  EXPECT_LE(options.idle_mark, milliseconds(100));
}

TEST_F(IdleMark, SaysThatAllBeforeItIsDurable) {
  const auto log = open(milliseconds(0));
  append_and_await_mark(*log);
  const log::FrameHeader mark = frames().back();
  EXPECT_EQ(mark.bytes, log::kFrameHeaderBytes);
  EXPECT_EQ(mark.synced_through, mark.position);
}

TEST_F(IdleMark, IsWrittenOnceEachTime) {
  auto log = open(milliseconds(0));
  for (int i = 0; i < 3; ++i) append_and_await_mark(*log);
  log.reset();
  log = open(milliseconds(0));  // nothing came since
  log.reset();
  std::vector<std::uint32_t> records;
  for (const log::FrameHeader& frame : frames()) records.push_back(frame.records);
  EXPECT_EQ(records, std::vector<std::uint32_t>({1, 0, 1, 0, 1, 0}));
}

TEST_F(IdleMark, IsWrittenByAStopInOrderToo) {
  auto log = open(kNever);
  ASSERT_TRUE(append_and_wait(*log, Journal::inbox, one("news")));
  EXPECT_EQ(frames().size(), 1u);
  log.reset();
  ASSERT_EQ(frames().size(), 2u);
  EXPECT_EQ(frames().back().synced_through, frames().back().position);
}

}  // namespace
}  // namespace millrace::test
