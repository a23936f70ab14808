// Questions from one shard to another.
#pragma once

#include <functional>
#include <memory>

#include "net/callback.hpp"
#include "net/shard.hpp"

namespace millrace::daemon {

namespace ask_detail {

template <typename T>
Awaitable<void> run_and_post(std::function<Awaitable<T>()> work, Shard* home,
                             std::move_only_function<void(T)> done) {
  T value = co_await work();
  home->post(
      [value = std::move(value), done = std::move(done)]() mutable { done(std::move(value)); });
}

}  // namespace ask_detail

/// Runs a coroutine on `there` and resumes with its value on `home`. Named, so that the caller's
/// function object outlives the call.
template <typename T>
Awaitable<T> ask(Shard& there, Shard& home, std::function<Awaitable<T>()> work) {
  auto start = [&there, &home,
                work = std::move(work)](std::move_only_function<void(T)> done) mutable {
    there.spawn("ask", ask_detail::run_and_post<T>(std::move(work), &home, std::move(done)));
  };
  T value = co_await await_callback<T>(home, std::move(start));
  co_return value;
}

}  // namespace millrace::daemon
