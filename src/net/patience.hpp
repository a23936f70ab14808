// Reading what may be away for a while: shards ask again instead of giving up.
#pragma once

#include <utility>

#include "millrace/result.hpp"
#include "net/callback.hpp"
#include "net/reader_pool.hpp"
#include "net/tasks.hpp"

namespace millrace {

inline constexpr milliseconds kAwayPause{250};

/// Like offload(), and again after a pause for as long as `work` answers Errc::state_away: what
/// waits for the state store goes on when it is back. No thread is held meanwhile.
template <typename F>
Awaitable<std::invoke_result_t<F&>> offload_until_back(ReaderPool& pool, Shard& home, F work) {
  for (;;) {
    auto result = co_await offload(pool.next(), home, F(work));
    if (result || result.error().code != Errc::state_away) co_return result;
    co_await sleep_for(kAwayPause);
  }
}

}  // namespace millrace
