#include "connectors/odoo/odoo_pace.hpp"

#include <algorithm>
#include <utility>

namespace millrace::connectors {

OdooPacer::OdooPacer(milliseconds between, const Clock& clock, Sleep sleep, SharePtr share)
    : between_(between), clock_(clock), sleep_(std::move(sleep)), share_(std::move(share)) {}

Awaitable<Result<void>> OdooPacer::turn() {
  if (between_ == milliseconds::zero()) co_return Result<void>();
  const BootTime now = clock_.boot_now();
  const BootTime mine = std::max(now, next_);
  // Rounded up, so that no turn comes early.
  const auto wait = std::chrono::ceil<milliseconds>(mine - now);
  if (wait > kWaitMax) {
    co_return fail(Errc::overloaded, "too many calls wait for Odoo at one a second");
  }
  next_ = mine + between_ * share_->instances.load();
  if (wait > milliseconds::zero()) co_await sleep_(wait);
  co_return Result<void>();
}

}  // namespace millrace::connectors
