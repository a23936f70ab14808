#include "scenarios.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <functional>
#include <thread>
#include <utility>

namespace w1 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace json = boost::json;

constexpr milliseconds kPoll{50};
/// Nothing arrived for this long: what is missing now is lost. An order that was refused six times
/// may wait for 32 seconds.
constexpr seconds kGiveUpAfter{40};
/// An arrival that should not be, a repeat, would have come within this time of silence.
constexpr seconds kQuiet{3};
constexpr milliseconds kWarmUp{2000};

constexpr double kKillRate = 1000;
constexpr seconds kKillDuration{8};
constexpr std::uint32_t kKillAfter = 3000;
constexpr std::uint32_t kKillBacklog = 20'000;
constexpr std::uint32_t kRepeated = 1000;
constexpr std::uint32_t kPoisonedOrders = 20'000;
constexpr std::uint32_t kBacklog = 200'000;
constexpr seconds kBacklogWithin{60};

void wait_until(const std::function<bool()>& reached, seconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!reached() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
  }
}

/// Rounded, because a table of medians needs no noise; null when there was nothing to measure.
json::value rounded(std::optional<double> value, double digits = 100) {
  if (!value) return nullptr;
  return std::round(*value * digits) / digits;
}

void add_counts(json::object& out, const LoadResult& result, const Tally& tally) {
  out["acked"] = tally.acknowledged;
  out["failed"] = result.failed;
  out["delivered"] = tally.delivered;
  out["lost"] = tally.lost;
  out["repeats"] = tally.repeats;
}

double drain_seconds(const Tally& tally, std::int64_t from_ns) {
  return static_cast<double>(tally.last_received_ns - from_ns) / 1e9;
}

/// Of the machine's cores that the broker used, on the average.
double cores(const Usage& from, const Usage& to) {
  return (to.cpu_seconds - from.cpu_seconds) / std::max(to.at_seconds - from.at_seconds, 1e-9);
}

}  // namespace

LoadPlan Bench::plan(milliseconds duration) const {
  LoadPlan load;
  load.port = plan_.port;
  load.path = plan_.path;
  load.connections = plan_.connections;
  load.duration = duration;
  load.first = next_;
  return load;
}

LoadResult Bench::run(LoadPlan load) {
  LoadResult result = run_load(std::move(load), ledger_);
  next_ = std::max(next_, result.range.end);
  return result;
}

void Bench::warm_up() {
  LoadPlan load = plan(kWarmUp);
  load.connections = std::min(plan_.connections, 16);
  settle(run(std::move(load)).range);
}

Tally Bench::settle(Range range) {
  auto changed = std::chrono::steady_clock::now();
  std::uint32_t before = Ledger::kOrdersMax;
  while (true) {
    const std::uint32_t missing = ledger_.missing(range);
    if (missing == 0) break;
    if (missing != before) {
      before = missing;
      changed = std::chrono::steady_clock::now();
    }
    if (std::chrono::steady_clock::now() - changed > kGiveUpAfter) break;
    std::this_thread::sleep_for(kPoll);
  }
  std::this_thread::sleep_for(milliseconds(300));
  return ledger_.tally(range);
}

void Bench::wait_for_quiet() {
  auto changed = std::chrono::steady_clock::now();
  std::uint64_t before = sink_.accepted();
  while (std::chrono::steady_clock::now() - changed < kQuiet) {
    std::this_thread::sleep_for(kPoll);
    if (sink_.accepted() == before) continue;
    before = sink_.accepted();
    changed = std::chrono::steady_clock::now();
  }
}

json::object Bench::measured(const LoadPlan& load) {
  const Usage before = broker_.usage();
  const LoadResult result = run(load);
  const Tally tally = settle(result.range);
  const Usage after = broker_.usage();
  const double cpu = after.cpu_seconds - before.cpu_seconds;
  const double own = after.own_seconds - before.own_seconds;
  const double busy = after.machine_busy_seconds - before.machine_busy_seconds;
  const double elapsed = after.at_seconds - before.at_seconds;

  json::object out;
  add_counts(out, result, tally);
  out["acked_per_s"] = rounded(result.acknowledged / std::max(result.seconds, 1e-9), 1);
  out["e2e_per_s"] =
      rounded(tally.delivered / std::max(drain_seconds(tally, tally.first_due_ns), 1e-9), 1);
  out["ack_p50_ms"] = rounded(percentile(result.ack_ms, 50));
  out["ack_p99_ms"] = rounded(percentile(result.ack_ms, 99));
  out["e2e_p50_ms"] = rounded(percentile(tally.end_to_end_ms, 50));
  out["e2e_p99_ms"] = rounded(percentile(tally.end_to_end_ms, 99));
  out["cpu_s_per_100k"] = rounded(cpu / std::max(result.acknowledged, 1U) * 1e5);
  out["rss_mb"] = rounded(after.rss_mb, 10);
  out["other_cores"] = rounded(std::max(0.0, busy - own - cpu) / elapsed);
  return out;
}

json::object Bench::closed_loop() {
  const milliseconds started = broker_.start_fresh();
  const double idle_mb = broker_.usage().rss_mb;
  warm_up();
  json::object out = measured(plan(plan_.duration));
  out["start_ms"] = started.count();
  out["rss_idle_mb"] = rounded(idle_mb, 10);
  return out;
}

json::object Bench::open_loop() {
  broker_.start_fresh();
  warm_up();
  LoadPlan load = plan(plan_.duration);
  load.per_second = plan_.per_second;
  return measured(load);
}

json::object Bench::kill_in_flow() {
  broker_.start_fresh();
  LoadPlan load = plan(kKillDuration);
  load.per_second = kKillRate;
  load.answer_timeout = milliseconds(3000);
  std::atomic<std::uint32_t> acknowledged{0};
  LoadResult result;
  std::thread loader([&] { result = run_load(load, ledger_, &acknowledged); });
  wait_until([&] { return acknowledged >= kKillAfter; }, kKillDuration);
  broker_.kill();
  // The child must be started by this thread: it dies with the thread that started it.
  const milliseconds restarted = broker_.start();
  loader.join();
  next_ = std::max(next_, result.range.end);
  settle(result.range);
  wait_for_quiet();
  json::object out;
  add_counts(out, result, ledger_.tally(result.range));
  out["restart_ms"] = restarted.count();
  return out;
}

json::object Bench::kill_in_drain() {
  broker_.start_fresh();
  sink_.refuse(true);
  LoadPlan load = plan(seconds(30));
  load.orders_max = kKillBacklog;
  const LoadResult result = run(load);
  const std::uint64_t accepted = sink_.accepted();
  sink_.refuse(false);
  wait_until([&] { return sink_.accepted() - accepted >= result.acknowledged / 3; }, seconds(30));
  broker_.kill();
  const milliseconds restarted = broker_.start();
  settle(result.range);
  wait_for_quiet();
  json::object out;
  add_counts(out, result, ledger_.tally(result.range));
  out["restart_ms"] = restarted.count();
  return out;
}

json::object Bench::repeat_after_kill() {
  broker_.start_fresh();
  LoadPlan load = plan(seconds(10));
  load.orders_max = kRepeated;
  load.per_second = kRepeated / 2.0;
  const LoadResult first = run(load);
  settle(first.range);
  wait_for_quiet();
  broker_.kill();
  broker_.start();
  wait_for_quiet();
  // A delivery repeated by the crash itself is not a repeat of the second thousand.
  const Tally crashed = ledger_.tally(first.range);
  const LoadResult second = run(load);
  settle(first.range);
  wait_for_quiet();
  const Tally again = ledger_.tally(first.range);
  json::object out;
  add_counts(out, second, again);
  out["repeats"] = again.repeats - crashed.repeats;
  out["repeats_by_crash"] = crashed.repeats;
  out["acked_again"] = second.acknowledged;
  return out;
}

json::object Bench::backlog() {
  broker_.start_fresh();
  sink_.refuse(true);
  LoadPlan load = plan(kBacklogWithin);
  load.orders_max = kBacklog;
  const LoadResult result = run(load);
  const double backlog_mb = broker_.usage().rss_mb;
  const std::int64_t opened_ns = now_ns();
  sink_.refuse(false);
  const Tally tally = settle(result.range);
  json::object out;
  add_counts(out, result, tally);
  out["rss_backlog_mb"] = rounded(backlog_mb, 10);
  out["rss_mb"] = rounded(broker_.usage().rss_mb, 10);
  out["drain_s"] = rounded(drain_seconds(tally, opened_ns));
  return out;
}

json::object Bench::poisoned() {
  broker_.start_fresh();
  warm_up();
  const auto good = [](std::uint32_t sequence) { return !is_poisoned(sequence); };
  LoadPlan load = plan(seconds(60));
  load.orders_max = kPoisonedOrders / 2;
  load.per_second = plan_.per_second;
  const Usage quiet = broker_.usage();
  const Tally without = settle(run(load).range);
  const Usage busy = broker_.usage();
  load = plan(seconds(60));
  load.orders_max = kPoisonedOrders;
  load.per_second = plan_.per_second;
  const auto checks_before = sink_.checks();
  const auto refused_before = sink_.refused();
  sink_.poison(503);
  const Usage before = broker_.usage();
  const LoadResult result = run(load);
  const Usage after = broker_.usage();
  const auto refused = sink_.refused() - refused_before;
  std::this_thread::sleep_for(kQuiet);
  const Tally beside = ledger_.tally(result.range, good);
  broker_.kill();
  const milliseconds restarted = broker_.start();
  sink_.poison(0);
  const Tally tally = settle(result.range);
  json::object out;
  add_counts(out, result, tally);
  out["good_late"] = beside.lost;
  out["checks"] = sink_.checks() - checks_before;
  out["refused"] = refused;
  out["cores_without"] = rounded(cores(quiet, busy));
  out["cores"] = rounded(cores(before, after));
  out["restart_ms"] = restarted.count();
  out["p99_without_ms"] = rounded(percentile(without.end_to_end_ms, 99));
  out["p99_good_ms"] = rounded(percentile(beside.end_to_end_ms, 99));
  return out;
}

}  // namespace w1
