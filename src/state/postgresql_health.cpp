#include "state/postgresql_health.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace millrace {

void PostgresHealth::add_reader(SocketLoop& loop) {
  const std::lock_guard lock(mutex_);
  readers_.push_back(&loop);
}

void PostgresHealth::note_away(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (reason != condition_.reason)
    spdlog::error("the state store is away, what needs it waits reason=\"{}\"", reason);
  condition_.reason = reason;
  if (condition_.away_at) return;
  condition_.away_at = clock_.wall_now();
  ++condition_.outages;
  away_.store(true, std::memory_order_release);
  for (SocketLoop* loop : readers_) loop->cancel();
}

void PostgresHealth::note_back(const std::string& warning) {
  const std::lock_guard lock(mutex_);
  if (warning != condition_.warning && !warning.empty()) spdlog::warn("{}", warning);
  condition_.warning = warning;
  if (!condition_.away_at) return;
  const auto away =
      std::chrono::duration_cast<milliseconds>(clock_.wall_now() - *condition_.away_at);
  spdlog::info("the state store is back after_ms={}", away.count());
  condition_.away_at.reset();
  condition_.reason.clear();
  for (SocketLoop* loop : readers_) loop->allow();
  away_.store(false, std::memory_order_release);
}

StateCondition PostgresHealth::condition() const {
  const std::lock_guard lock(mutex_);
  StateCondition now = condition_;
  now.repeats = repeats_.load(std::memory_order_relaxed);
  return now;
}

Error PostgresHealth::error() const {
  const auto now = condition();
  return {Errc::state_away,
          fmt::format("the state store has been away since {}: {}",
                      now.away_at ? to_rfc3339(*now.away_at) : "a moment ago", now.reason)};
}

}  // namespace millrace
