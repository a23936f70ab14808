// How a log tells that an append has ended: on the executor of whoever asked, and nowhere else. A
// completion is destroyed there as well, because what it holds may live on that thread alone.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "millrace/event_log.hpp"

namespace millrace::log {

/// One post per executor and batch: a post costs more than a completion.
class Completions {
 public:
  void add(Executor& home, EventLog::AppendDone done, Result<std::vector<Offset>> result) {
    auto found = std::ranges::find(by_home_, &home, &Waiting::home);
    if (found == by_home_.end()) found = by_home_.insert(found, Waiting{.home = &home, .all = {}});
    found->all.push_back({std::move(done), std::move(result)});
  }

  void post() {
    for (Waiting& waiting : std::exchange(by_home_, {})) {
      waiting.home->post([all = std::move(waiting.all)]() mutable {
        for (Completion& completion : all) completion.done(std::move(completion.result));
      });
    }
  }

 private:
  struct Completion {
    EventLog::AppendDone done;
    Result<std::vector<Offset>> result;
  };
  struct Waiting {
    Executor* home;
    std::vector<Completion> all;
  };
  std::vector<Waiting> by_home_;  ///< few: one a shard
};

inline void complete_one(Executor& home, EventLog::AppendDone done,
                         Result<std::vector<Offset>> result) {
  home.post(
      [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
}

}  // namespace millrace::log
