#include "net/callback.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

namespace millrace {

namespace asio = boost::asio;

Awaitable<void> Suspension::wait() {
  if (!resumed_) {
    auto keep = [this](auto&& handler) {
      continuation_ = [handler = std::forward<decltype(handler)>(handler)]() mutable {
        std::move(handler)();
      };
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(keep, asio::use_awaitable);
  }
  if (dropped_) throw std::runtime_error("a completion was dropped without being called");
}

void Suspension::resume() {
  resumed_ = true;
  if (!continuation_) return;
  // Taken out first: the coroutine may end, and this with it, before the call returns.
  auto continuation = std::exchange(continuation_, nullptr);
  continuation();
}

void Suspension::drop(const std::shared_ptr<Suspension>& self, Shard& home) {
  home.post([self] {
    self->dropped_ = true;
    self->resume();
  });
}

}  // namespace millrace
