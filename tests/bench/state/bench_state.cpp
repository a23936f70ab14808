// What a row of the state store costs: 700-byte projections upserted at random keys, one batch a
// commit, each waited for.
//   bench_state [directory] [records]
// Prints, per batch size, wall and CPU microseconds a row, the commit's median and 99th percentile
// in milliseconds, and at the end the process's resident memory.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "state/blocking_commit.hpp"
#include "state/open_state.hpp"

namespace {

using namespace millrace;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kValueBytes = 700;
constexpr double kPerSecond = 1e6;

double cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * kPerSecond + static_cast<double>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

long resident_kib() {
  std::ifstream statm("/proc/self/statm");
  long pages = 0;
  long resident = 0;
  statm >> pages >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

class Bench {
 public:
  Bench(StateStore& store, std::uint64_t records) : store_(store), record_(0, records - 1) {}

  void run(std::size_t batch_rows, std::size_t batches) {
    std::vector<double> commits_ms;
    const auto started = SteadyClock::now();
    const double cpu = cpu_us();
    for (std::size_t i = 0; i < batches; ++i) {
      Batch batch = next_batch(batch_rows);
      const auto before = SteadyClock::now();
      const auto done = commit_blocking(store_, std::move(batch));
      if (!done) abort_with(done.error().message);
      commits_ms.push_back(
          std::chrono::duration<double, std::milli>(SteadyClock::now() - before).count());
    }
    const double rows = static_cast<double>(batch_rows * batches);
    const std::chrono::duration<double, std::micro> wall = SteadyClock::now() - started;
    std::sort(commits_ms.begin(), commits_ms.end());
    fmt::print(
        "{:5} rows a batch: {:7.2f} us/row wall, {:6.2f} us/row CPU, {:9.0f} rows/s, "
        "commit p50 {:.2f} ms p99 {:.2f} ms\n",
        batch_rows, wall.count() / rows, (cpu_us() - cpu) / rows, rows * kPerSecond / wall.count(),
        commits_ms[commits_ms.size() / 2], commits_ms[commits_ms.size() * 99 / 100]);
  }

 private:
  Batch next_batch(std::size_t rows) {
    Batch batch;
    for (std::size_t i = 0; i < rows; ++i) {
      const auto record = record_(random_);
      std::string value = fmt::format("{{\"rev\":{},\"data\":\"", record);
      value.resize(kValueBytes - 2, 'x');
      value += "\"}";
      batch.put(Table::projections,
                row_key(std::string("sales_order"), fmt::format("odoo/sale.order/{}", record)),
                std::move(value));
    }
    return batch;
  }

  StateStore& store_;
  std::mt19937_64 random_{7};
  std::uniform_int_distribution<std::uint64_t> record_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path base =
      argc > 1 ? std::filesystem::path(argv[1]) : std::filesystem::temp_directory_path();
  const std::uint64_t records = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  auto name = (base / "millrace-bench-state-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr || records == 0) return 2;

  // A third argument is a connection string: the same in PostgreSQL, in an empty schema "bench".
  StateChoice choice;
  choice.sqlite_path = name + "/state.db";
  if (argc > 3) choice.postgresql = argv[3];
  choice.schema = "bench";
  auto store = open_state(choice, [](const Error& error) { abort_with(error.message); });
  if (!store) abort_with(store.error().message);
  fmt::print("{} records of {} bytes, empty at first\n", records, kValueBytes);
  Bench bench(**store, records);
  bench.run(1000, 200);  // fills most of the table
  fmt::print("full table:\n");
  bench.run(1, 500);
  bench.run(64, 500);
  bench.run(256, 200);
  bench.run(1000, 200);
  if (choice.is_postgresql()) {
    fmt::print("resident {} KiB\n", resident_kib());
    (*store)->close();
    return 0;
  }
  fmt::print("resident {} KiB, database {} KiB, write-ahead log {} KiB\n", resident_kib(),
             std::filesystem::file_size(name + "/state.db") / 1024,
             std::filesystem::file_size(name + "/state.db-wal") / 1024);
  store->reset();
  std::filesystem::remove_all(name);
  return 0;
}
