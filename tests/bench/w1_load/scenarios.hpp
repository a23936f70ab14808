// What is measured, as scenarios over one broker. Each returns one JSON object: the figures of
// facts that anyone can recompute from the ledger.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "broker.hpp"
#include "ledger.hpp"
#include "load.hpp"
#include "sink.hpp"

namespace w1 {

struct BenchPlan {
  std::uint16_t port = 8480;
  std::string path;
  int connections = 64;
  double per_second = 2000;  ///< of the open loop
  std::chrono::seconds duration{10};
};

class Bench {
 public:
  Bench(BenchPlan plan, Ledger& ledger, Sink& sink, Broker& broker)
      : plan_(std::move(plan)), ledger_(ledger), sink_(sink), broker_(broker) {}

  /// Flat out over all connections, on a fresh and warmed broker.
  boost::json::object closed_loop();
  /// At a fixed rate, on a fresh and warmed broker.
  boost::json::object open_loop();
  /// kill -9 and restart in the middle of a steady flow.
  boost::json::object kill_in_flow();
  /// kill -9 and restart while a backlog drains.
  boost::json::object kill_in_drain();
  /// 1,000 orders, kill -9, the same 1,000 again: each must arrive once.
  boost::json::object repeat_after_kill();
  /// The target refuses while a backlog builds up, then accepts: memory and time to drain.
  boost::json::object backlog();
  /// 20,000 orders, half of them refused in runs, then kill -9, then all accepted: the good ones
  /// take no longer than without the others, and nothing is lost.
  boost::json::object poisoned();

 private:
  LoadPlan plan(std::chrono::milliseconds duration) const;
  LoadResult run(LoadPlan plan);
  void warm_up();
  /// Waits until every acknowledged order of the range arrived, or nothing moves any more.
  Tally settle(Range range);
  void wait_for_quiet();
  boost::json::object measured(const LoadPlan& load);

  BenchPlan plan_;
  Ledger& ledger_;
  Sink& sink_;
  Broker& broker_;
  std::uint32_t next_ = 1;
};

}  // namespace w1
