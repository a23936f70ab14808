// A shard is one thread with its own io_context: it owns some partitions, connections and clients,
// and nothing on it needs a lock. Other threads talk to it with post().
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/executor.hpp"
#include "millrace/http.hpp"
#include "millrace/ids.hpp"
#include "net/tasks.hpp"

namespace millrace {

class Deadlines;

class Shard final : public Executor {
 public:
  /// `name` is the thread's name (15 characters are shown by the system).
  explicit Shard(std::string name = "shard", std::size_t index = 0);
  /// Stops without grace if still running. Everything that lives on the shard must be gone before,
  /// except tasks: those are destroyed here.
  ~Shard() override;
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  void start();
  /// From another thread: cancels the tasks, waits for them up to `deadline`, ends the thread.
  /// False when some had not ended. What is posted afterwards never runs.
  bool stop(milliseconds deadline);

  /// Thread-safe; runs in the order posted. Posts from other threads share one wake-up.
  void post(Task task) override;
  /// Thread-safe. The task belongs to the shard's TaskGroup.
  void spawn(std::string name, Awaitable<void> task);

  bool on_thread() const;
  std::size_t index() const;
  const std::string& name() const;
  boost::asio::io_context& context();
  TaskGroup& tasks();
  Deadlines& deadlines();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The shards of a process. Partition p lives on shard p mod size.
class ShardSet {
 public:
  explicit ShardSet(std::size_t count, const std::string& name = "shard");
  ~ShardSet();

  Shard& of(Partition partition) { return *shards_[partition % shards_.size()]; }
  Shard& at(std::size_t index) { return *shards_[index]; }
  std::size_t size() const { return shards_.size(); }
  std::vector<Shard*> all();

  void start();
  /// Stops them one after another within one deadline; false when tasks had to be abandoned.
  bool stop(milliseconds deadline);

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace millrace
