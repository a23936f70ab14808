// Copies the write-ahead log into the database on its own thread, so that the writer's commits do
// not wait for it. Only when the log reaches its hard limit, because the writer never pauses or the
// disk is slow, is the writer held between two transactions until all of it is copied.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "millrace/result.hpp"
#include "state/sqlite_connection.hpp"

namespace millrace {

struct CheckpointLimits {
  std::uint64_t soft_bytes = 4u << 20;   ///< a checkpoint starts each time the log grew by this
  std::uint64_t hard_bytes = 16u << 20;  ///< beyond it the writer waits for the checkpoint's end
  std::uint64_t page_bytes = 4096;
};

class SqliteCheckpointer {
 public:
  using FatalHandler = std::function<void(Error)>;

  SqliteCheckpointer(Connection connection, CheckpointLimits limits, FatalHandler on_fatal);
  ~SqliteCheckpointer() { stop(); }

  /// Called by the writer after each commit with the size of the log.
  void note_log_pages(std::int64_t pages);

  /// The writer's leave to run one transaction; waits while a checkpoint needs it to pause or the
  /// log is at its hard limit (which one transaction may exceed).
  class Permit {
   public:
    explicit Permit(SqliteCheckpointer& owner);
    ~Permit();
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;

   private:
    SqliteCheckpointer& owner_;
  };

  /// Ends the thread. Idempotent.
  void stop();

 private:
  void run();
  bool must_wait() const;
  /// False when the connection must not be used any more.
  bool checkpoint_once();
  Result<Connection::CheckpointProgress> checkpoint_while_writer_waits();

  Connection connection_;
  const CheckpointLimits limits_;
  const FatalHandler on_fatal_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t log_bytes_ = 0;
  std::uint64_t next_bytes_;  ///< the size of the log at which the next checkpoint starts
  bool writing_ = false;
  bool pause_wanted_ = false;
  bool checkpointing_ = false;
  bool ended_ = false;  ///< the thread gave up; nobody waits for it
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace
