// A question from a watch to the collector of any shard. Private to the files of SourceWatch.
#pragma once

#include "canon/source_watch.hpp"
#include "net/callback.hpp"

namespace millrace::canon {

namespace watch_detail {

template <typename T>
Awaitable<void> answer(Awaitable<Result<T>> work, Shard* home,
                       std::move_only_function<void(Result<T>)> done) {
  Result<T> value = co_await std::move(work);
  home->post(
      [value = std::move(value), done = std::move(done)]() mutable { done(std::move(value)); });
}

}  // namespace watch_detail

template <typename T>
Awaitable<Result<T>> SourceWatch::ask(std::size_t shard,
                                      std::function<Awaitable<Result<T>>(Collector&)> work) {
  CollectorContext& context = collector_.context_;
  auto start = [&context, shard,
                work = std::move(work)](std::move_only_function<void(Result<T>)> done) mutable {
    context.on_peer(shard, [work = std::move(work), home = &context.shard,
                            done = std::move(done)](Collector& there) mutable {
      there.context_.shard.spawn("peer",
                                 watch_detail::answer<T>(work(there), home, std::move(done)));
    });
  };
  Result<T> value = co_await await_callback<Result<T>>(context.shard, std::move(start));
  co_return value;
}

}  // namespace millrace::canon
