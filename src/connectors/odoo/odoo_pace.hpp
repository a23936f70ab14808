// One call a second where Odoo Online asks for it; no limit elsewhere.
#pragma once

#include <functional>

#include "millrace/clock.hpp"
#include "millrace/http.hpp"

namespace millrace::connectors {

/// Hands out turns in the order asked. Lives on one shard.
class OdooPacer {
 public:
  using Sleep = std::function<Awaitable<void>(milliseconds)>;

  /// `between` zero: every turn is now. `clock` must outlive the pacer.
  OdooPacer(milliseconds between, const Clock& clock, Sleep sleep);
  /// Returns when it is the caller's turn. Errc::overloaded when the queue is longer than
  /// kWaitMax.
  Awaitable<Result<void>> turn();

  /// Longest wait for a turn.
  static constexpr milliseconds kWaitMax{std::chrono::minutes(10)};

 private:
  milliseconds between_;
  const Clock& clock_;
  Sleep sleep_;
  BootTime next_{};
};

}  // namespace millrace::connectors
