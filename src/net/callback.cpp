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

struct Suspension::Wake {
  explicit Wake(std::shared_ptr<Suspension> suspension) : self(std::move(suspension)) {}
  Wake(Wake&&) noexcept = default;
  Wake& operator=(Wake&&) = delete;
  /// A shard that has stopped never runs it: the coroutine and what it waits for hold each other,
  /// and letting go of one side frees both.
  ~Wake() {
    if (self) self->continuation_ = nullptr;
  }
  void operator()() {
    const auto suspension = std::exchange(self, nullptr);
    suspension->dropped_ = true;
    suspension->resume();
  }
  std::shared_ptr<Suspension> self;
};

void Suspension::drop(const std::shared_ptr<Suspension>& self, Shard& home) {
  home.post(Wake(self));
}

}  // namespace millrace
