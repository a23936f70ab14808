// How fast a replay gets through the log: reading alone, and the look that a dry run takes.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include "config/load.hpp"
#include "config/problems.hpp"
#include "connectors/all_connectors.hpp"
#include "deliver/replay.hpp"
#include "log/file_log.hpp"
#include "millrace/event.hpp"
#include "storage/posix_disk.hpp"

namespace millrace {
namespace {

using Steady = std::chrono::steady_clock;
constexpr int kRecords = 50'000;
constexpr int kChanges = 10;
constexpr int kGroup = 100;
constexpr int kRounds = 3;

constexpr const char* kConfig = R"(name: bench
environment: test
listen: 127.0.0.1:18480
admin: 127.0.0.1:18481
log: { files: DIRECTORY/log }
state: { sqlite: DIRECTORY/state.db }
---
connection: shop
type: hook
hook_tokens: [ "0123456789abcdef0123456789abcdef" ]
record: .id
---
connection: mes
type: http
url: "http://127.0.0.1:9"
---
entity: order
version: 1
key: .number
from:
  - connection: shop
    map: .
events:
  changed: true
schema: order.json
---
route: order-to-mes
from: order
to: mes
when: .data.company == "lyon" and (.data.lines | length) > 0
requests:
  changed: { method: POST, path: /orders, body: .data }
)";

/// Completions run where they are posted.
class Inline final : public Executor {
 public:
  void post(Task task) override { task(); }
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Event order(int record, int change) {
  Event event;
  event.record = fmt::format("shop/{}", record);
  event.id = stable_hash({event.record, fmt::format("{}", change)});
  event.type = "order.changed";
  event.entity = "order";
  event.source = "/bench/shop";
  event.subject = fmt::format("S{:05}", record);
  event.time = system_clock().wall_now();
  event.rev = static_cast<std::uint64_t>(change) + 1;
  event.types = {event.type};
  event.cause = "0:1";
  JsonArray lines;
  for (int i = 0; i < 3; ++i) {
    lines.push_back(JsonObject{
        {"id", i}, {"sku", fmt::format("SKU-{}", i)}, {"quantity", change}, {"uom", "C62"}});
  }
  event.data = JsonObject{{"number", event.subject},
                          {"company", "lyon"},
                          {"state", "confirmed"},
                          {"customer", JsonObject{{"code", "C1"}, {"name", "Acme Lyon"}}},
                          {"lines", std::move(lines)}};
  return event;
}

void fill(EventLog& log) {
  Inline here;
  std::atomic<int> waiting{0};
  for (int change = 0; change < kChanges; ++change) {
    for (int first = 0; first < kRecords; first += kGroup) {
      std::vector<LogEntry> group;
      for (int record = first; record < first + kGroup; ++record) {
        const Event event = order(record, change);
        group.push_back({partition_of(event.record), "order", encode(event), {}});
      }
      ++waiting;
      log.append(Journal::events, std::move(group), here,
                 [&waiting](const Result<std::vector<Offset>>& done) {
                   if (!done) std::abort();
                   --waiting;
                 });
      while (waiting > kGroup) std::this_thread::yield();
    }
  }
  while (waiting > 0) std::this_thread::yield();
}

void report(const char* what, std::uint64_t count, Steady::time_point begin, double cpu) {
  const double took = std::chrono::duration<double>(Steady::now() - begin).count();
  fmt::print("{:<8} {} events, {:>9.0f}/s, {:.2f} us CPU/event\n", what, count,
             static_cast<double>(count) / took,
             (cpu_seconds() - cpu) / static_cast<double>(count) * 1e6);
}

void bench_reading(EventLog& log) {
  auto reader = log.open_reader(Journal::events, {});
  if (!reader) std::abort();
  const auto begin = Steady::now();
  const double cpu = cpu_seconds();
  std::uint64_t records = 0;
  for (;;) {
    auto batch = (*reader)->next(1024, std::size_t{1} << 20);
    if (!batch) std::abort();
    if ((*batch)->records.empty()) break;
    records += (*batch)->records.size();
  }
  report("read", records, begin, cpu);
}

void bench_look(EventLog& log, const config::ConfigPtr& config) {
  auto asked = std::make_shared<deliver::ReplayOrder>();
  asked->until = log.ends(Journal::events);
  asked->live = asked->until;
  deliver::ReplayScan scan(log, config, config->routes.begin()->second, asked, asked->from,
                           asked->live);
  const auto begin = Steady::now();
  const double cpu = cpu_seconds();
  for (;;) {
    const auto through = scan.step();
    if (!through) std::abort();
    if (*through) break;
  }
  std::uint64_t events = 0;
  for (const auto& [record, entry] : scan.index().entries()) events += entry.events;
  report("dry run", events, begin, cpu);
}

config::ConfigPtr load(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  std::string text = kConfig;
  for (std::size_t at; (at = text.find("DIRECTORY")) != text.npos;) {
    text.replace(at, std::string_view("DIRECTORY").size(), directory.string());
  }
  std::ofstream(directory / "millrace.yaml") << text;
  std::ofstream(directory / "order.json")
      << R"({"$schema":"http://json-schema.org/draft-07/schema#","type":"object"})";
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  const auto loaded = config::load({directory.string(), true, connectors, {}});
  if (!loaded.config) fmt::print(stderr, "{}\n", config::render(loaded.problems));
  return loaded.config;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  using namespace millrace;
  const std::filesystem::path base = argc > 1 ? argv[1] : std::filesystem::temp_directory_path();
  const std::filesystem::path directory = base / ("bench-replay-" + random_hex(4));
  const config::ConfigPtr config = load(directory / "config");
  if (!config) return 1;
  PosixDisk disk;
  {
    auto log =
        open_file_log({.directory = directory / "log", .disk = disk, .clock = system_clock()});
    if (!log) {
      fmt::print(stderr, "{}\n", log.error().message);
      return 1;
    }
    fill(**log);
    for (int round = 0; round < kRounds; ++round) {
      bench_reading(**log);
      bench_look(**log, config);
    }
    (*log)->close();
  }
  std::filesystem::remove_all(directory);
  return 0;
}
