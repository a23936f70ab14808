// Where work runs. Threads never share state: they post tasks to each other's executors.
#pragma once

#include <functional>

namespace millrace {

using Task = std::move_only_function<void()>;

/// Runs posted tasks one after another on one thread, in the order posted. Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
};

}  // namespace millrace
