// The load generator: posts orders over keep-alive connections, closed loop (as fast as answers
// come) or open loop (at a fixed rate, whatever the answers do). Latency counts from the scheduled
// send time, so that a stall shows in every order it delays.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "ledger.hpp"

namespace w1 {

struct LoadPlan {
  std::uint16_t port = 0;
  std::string path;
  int connections = 64;
  double per_second = 0;                 ///< 0: closed loop
  std::chrono::milliseconds duration{};  ///< no order is scheduled after it
  std::uint32_t orders_max = Ledger::kOrdersMax;
  std::uint32_t first = 1;  ///< sequence number of the first order
  std::chrono::milliseconds answer_timeout{10'000};
};

struct LoadResult {
  Range range;  ///< what was sent
  std::uint32_t acknowledged = 0;
  std::uint32_t failed = 0;   ///< any other answer, or none
  double seconds = 0;         ///< from the first scheduled order to the last answer
  std::vector<float> ack_ms;  ///< sorted, acknowledged orders only
};

/// Runs to the end of the plan. `acknowledged`, when given, counts up while it runs, for a
/// supervisor that waits for a moment to strike.
LoadResult run_load(LoadPlan plan, Ledger& ledger,
                    std::atomic<std::uint32_t>* acknowledged = nullptr);

}  // namespace w1
