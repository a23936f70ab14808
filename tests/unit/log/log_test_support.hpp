// Logs on a faulty disk and in temporary directories, and a clock that tests move.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>

#include "../../conformance/event_log_support.hpp"
#include "log/file_log.hpp"
#include "millrace/clock.hpp"
#include "storage/fault_disk.hpp"

namespace millrace::test {

class ManualClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(microseconds(now_.load() + ahead_.load())); }
  BootTime boot_now() const override { return BootTime(microseconds(now_.load())); }
  void advance(microseconds by) { now_ += by.count(); }
  /// Of the wall clock alone.
  void jump(microseconds by) { ahead_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_{1'790'000'000'000'000};
  std::atomic<std::int64_t> ahead_{0};
};

/// Idle marks and trail syncs wait for closing, so that tests decide about every byte.
inline constexpr milliseconds kNever = std::chrono::hours(1);

inline FileLogOptions options_on(Disk& disk, const Clock& clock) {
  return {.directory = "/log",
          .disk = disk,
          .clock = clock,
          .segment_bytes = 16384,
          .index_bytes = 1024,
          .idle_mark = kNever,
          .trail_sync = kNever};
}

inline std::vector<LogEntry> one(std::string payload, Partition partition = 1) {
  return {{partition, "topic", std::move(payload)}};
}

}  // namespace millrace::test
