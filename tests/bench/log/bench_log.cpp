// What the log on files acknowledges and replays, beside what the disk itself gives.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <thread>

#include "log/file_log.hpp"
#include "loop_executor.hpp"
#include "millrace/ids.hpp"
#include "storage/posix_disk.hpp"

namespace millrace {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t kEventBytes = 600;

double seconds_since(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Appenders {
  EventLog& log;
  LoopExecutor& shard;
  Steady::time_point until;
  std::string body = std::string(kEventBytes, 'e');
  std::uint64_t acknowledged = 0;
  int running = 0;
  std::vector<double> milliseconds;

  void append(Partition partition) {
    const auto begin = Steady::now();
    log.append(Journal::events, {{partition, "order", body}}, shard,
               [this, partition, begin](const Result<std::vector<Offset>>& result) {
                 if (!result) std::abort();
                 ++acknowledged;
                 milliseconds.push_back(seconds_since(begin) * 1e3);
                 if (Steady::now() < until) return append(partition);
                 --running;
               });
  }
};

void bench_appends(EventLog& log, int appenders, double seconds) {
  LoopExecutor shard;
  const auto begin = Steady::now();
  const double cpu = cpu_seconds();
  Appenders all{log, shard, begin + std::chrono::milliseconds(static_cast<int>(seconds * 1e3))};
  all.running = appenders;
  for (int i = 0; i < appenders; ++i) all.append(static_cast<Partition>(i % kPartitionCount));
  while (all.running > 0) shard.run_one();
  const double took = seconds_since(begin);
  const auto count = static_cast<double>(all.acknowledged);
  std::sort(all.milliseconds.begin(), all.milliseconds.end());
  fmt::print("{:4} appenders: {:8.0f} acked/s  p50 {:.2f} ms  p99 {:.2f} ms  {:.1f} us CPU/event\n",
             appenders, count / took, all.milliseconds[all.milliseconds.size() / 2],
             all.milliseconds[all.milliseconds.size() * 99 / 100],
             (cpu_seconds() - cpu) / count * 1e6);
}

/// What the disk gives to one thread that writes so many events and syncs, again and again.
void bench_disk(const std::filesystem::path& directory, std::size_t events, double seconds) {
  const std::filesystem::path path = directory / "bare";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  const std::string bytes(events * (kEventBytes + 24), 'b');
  const auto begin = Steady::now();
  std::uint64_t calls = 0;
  while (seconds_since(begin) < seconds) {
    if (::write(fd, bytes.data(), bytes.size()) < 0 || ::fdatasync(fd) != 0) std::abort();
    ++calls;
  }
  ::close(fd);
  std::filesystem::remove(path);
  fmt::print("{:4} a write:   {:8.0f} events/s  (write + fdatasync, {:.2f} ms a call)\n", events,
             static_cast<double>(calls * events) / seconds_since(begin),
             seconds_since(begin) * 1e3 / static_cast<double>(calls));
}

/// Enough records to replay, appended in groups.
void fill(EventLog& log) {
  constexpr int kGroups = 5000;
  constexpr int kRecords = 100;
  LoopExecutor shard;
  const LogEntry entry{1, "order", std::string(kEventBytes, 'e')};
  int waiting = 0;
  for (int i = 0; i < kGroups; ++i) {
    ++waiting;
    log.append(Journal::events, std::vector<LogEntry>(kRecords, entry), shard,
               [&](const Result<std::vector<Offset>>& result) {
                 if (!result) std::abort();
                 --waiting;
               });
    while (waiting > 100) shard.run_one();
  }
  while (waiting > 0) shard.run_one();
}

void bench_replay(EventLog& log) {
  for (int round = 0; round < 2; ++round) {
    auto reader = log.open_reader(Journal::events, {});
    if (!reader) std::abort();
    const auto begin = Steady::now();
    const double cpu = cpu_seconds();
    std::uint64_t records = 0;
    for (;;) {
      auto batch = (*reader)->next(4096, std::size_t{1} << 20);
      if (!batch) std::abort();
      if ((*batch)->records.empty()) break;
      records += (*batch)->records.size();
    }
    fmt::print("replay: {} records, {:.2f} M/s, {:.3f} us CPU/record\n", records,
               static_cast<double>(records) / seconds_since(begin) / 1e6,
               (cpu_seconds() - cpu) / static_cast<double>(records) * 1e6);
  }
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  using namespace millrace;
  const std::filesystem::path base = argc > 1 ? argv[1] : std::filesystem::temp_directory_path();
  const double seconds = argc > 2 ? std::atof(argv[2]) : 3;
  const std::filesystem::path directory = base / ("bench-log-" + random_hex(4));
  PosixDisk disk;
  {
    auto log = open_file_log(
        {.directory = directory, .disk = disk, .clock = system_clock(), .side_files = true});
    if (!log) {
      fmt::print(stderr, "{}\n", log.error().message);
      return 1;
    }
    for (const int appenders : {1, 64, 256}) {
      bench_disk(directory, static_cast<std::size_t>(std::max(1, appenders / 2)), seconds);
      bench_appends(**log, appenders, seconds);
    }
    fill(**log);
    bench_replay(**log);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
