#include "../../conformance/event_log_suite.hpp"
#include "log_test_support.hpp"
#include "millrace/ids.hpp"
#include "storage/posix_disk.hpp"

namespace millrace::test {
namespace {

std::unique_ptr<EventLog> opened(Result<std::unique_ptr<EventLog>> log) {
  EXPECT_TRUE(log) << log.error().message;
  return log ? std::move(*log) : nullptr;
}

class FaultDiskHarness final : public EventLogHarness {
 public:
  std::unique_ptr<EventLog> open() override {
    return opened(open_file_log(options_on(disk_, system_clock())));
  }

 private:
  FaultDisk disk_;
};

class PosixDiskHarness final : public EventLogHarness {
 public:
  PosixDiskHarness()
      : directory_(std::filesystem::temp_directory_path() / ("log-" + random_hex(8))) {}
  PosixDiskHarness(const PosixDiskHarness&) = delete;
  PosixDiskHarness& operator=(const PosixDiskHarness&) = delete;
  ~PosixDiskHarness() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::unique_ptr<EventLog> open() override {
    return opened(open_file_log({.directory = directory_,
                                 .disk = disk_,
                                 .clock = system_clock(),
                                 .segment_bytes = 1u << 20,
                                 .idle_mark = milliseconds(1)}));
  }

 private:
  PosixDisk disk_;
  std::filesystem::path directory_;
};

std::unique_ptr<EventLogHarness> on_fault_disk() {
  return std::make_unique<FaultDiskHarness>();
}
std::unique_ptr<EventLogHarness> on_posix_disk() {
  return std::make_unique<PosixDiskHarness>();
}

INSTANTIATE_TEST_SUITE_P(FileLogOnFaultDisk, EventLogSuite, ::testing::Values(&on_fault_disk));
INSTANTIATE_TEST_SUITE_P(FileLogOnPosixDisk, EventLogSuite, ::testing::Values(&on_posix_disk));

}  // namespace
}  // namespace millrace::test
