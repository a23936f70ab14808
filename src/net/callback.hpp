// Bridges from callbacks to coroutines: await_callback suspends a coroutine until a completion is
// called, offload runs blocking work on a reader thread meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "millrace/executor.hpp"
#include "millrace/http.hpp"
#include "net/shard.hpp"

namespace millrace {

/// One coroutine that waits for one call on its shard's thread. Cannot be cancelled: what it waits
/// for (a commit, an append) cannot be called back either.
class Suspension {
 public:
  /// Throws std::runtime_error when the completion was destroyed without being called.
  Awaitable<void> wait();
  void resume();
  /// From any thread: the completion is gone. Wakes the coroutine by way of its shard.
  static void drop(const std::shared_ptr<Suspension>& self, Shard& home);

 private:
  struct Wake;
  std::move_only_function<void()> continuation_;
  bool resumed_ = false;
  bool dropped_ = false;
};

namespace net_detail {

template <typename T>
struct CallbackState : Suspension {
  std::optional<T> value;
};

/// The completion handed to a starter; tells the coroutine when nobody will call it any more.
template <typename T>
class Completion {
 public:
  Completion(std::shared_ptr<CallbackState<T>> state, Shard& home)
      : state_(std::move(state)), home_(&home) {}
  Completion(Completion&& other) noexcept = default;
  Completion& operator=(Completion&&) = delete;
  ~Completion() {
    if (state_) Suspension::drop(state_, *home_);
  }
  void operator()(T value) {
    const auto state = std::exchange(state_, nullptr);
    if (!state) return;
    state->value.emplace(std::move(value));
    state->resume();
  }

 private:
  std::shared_ptr<CallbackState<T>> state_;
  Shard* home_;
};

template <typename T, typename Starter>
Awaitable<T> run_callback(Shard* home, Starter starter) {
  const auto state = std::make_shared<CallbackState<T>>();
  starter(std::move_only_function<void(T)>(Completion<T>(state, *home)));
  if (!state->value) co_await state->wait();
  co_return std::move(*state->value);
}

}  // namespace net_detail

/// Calls `starter(done)` at once, where `done` is a std::move_only_function<void(T)> that must be
/// called on `home`'s thread, and resumes with its value. `home` outlives whoever holds `done`.
///   auto offsets = co_await await_callback<Result<std::vector<Offset>>>(shard, std::move(start));
template <typename T, typename Starter>
Awaitable<T> await_callback(Shard& home, Starter starter) {
  return net_detail::run_callback<T>(&home, std::move(starter));
}

/// Runs `work` on `pool` (a reader thread) and resumes with what it returns on `home`.
template <typename F>
Awaitable<std::invoke_result_t<F&>> offload(Executor& pool, Shard& home, F work) {
  using T = std::invoke_result_t<F&>;
  static_assert(!std::is_void_v<T>, "return a Result<void>");
  auto start = [&pool, &home,
                work = std::move(work)](std::move_only_function<void(T)> done) mutable {
    pool.post([&home, work = std::move(work), done = std::move(done)]() mutable {
      home.post([value = work(), done = std::move(done)]() mutable { done(std::move(value)); });
    });
  };
  return await_callback<T>(home, std::move(start));
}

}  // namespace millrace
