// One call a second where Odoo Online asks for it; no limit elsewhere.
#pragma once

#include <functional>

#include "millrace/clock.hpp"
#include "millrace/http.hpp"
#include "millrace/share.hpp"

namespace millrace::connectors {

/// Hands out turns in the order asked. Lives on one shard.
class OdooPacer {
 public:
  using Sleep = std::function<Awaitable<void>(milliseconds)>;

  /// `between` zero: every turn is now. `clock` must outlive the pacer. Of a share that several
  /// instances have, each takes its turns that much more seldom.
  OdooPacer(milliseconds between, const Clock& clock, Sleep sleep,
            SharePtr share = std::make_shared<Share>());
  /// Returns when it is the caller's turn. Errc::overloaded when the queue is longer than
  /// kWaitMax.
  Awaitable<Result<void>> turn();

  /// Longest wait for a turn.
  static constexpr milliseconds kWaitMax{std::chrono::minutes(10)};

 private:
  milliseconds between_;
  const Clock& clock_;
  Sleep sleep_;
  SharePtr share_;
  BootTime next_{};
};

}  // namespace millrace::connectors
