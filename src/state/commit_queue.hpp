// What waits to be written, for the one thread that writes: batches in their order, grouped into
// transactions. Both stores' writers take from it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/state_store.hpp"

namespace millrace {

struct PendingBatch {
  using SteadyTime = std::chrono::steady_clock::time_point;

  Batch batch;
  Urgency urgency = Urgency::now;
  Executor* home = nullptr;
  StateStore::CommitDone done;
  SteadyTime queued_at;
  Result<void> result;
};

/// Batches that share a transaction.
using BatchGroup = std::vector<PendingBatch>;

/// The last value of each row that a transaction writes, in key order; nullopt deletes.
using RowName = std::pair<Table, std::string_view>;
using RowOverlay = std::map<RowName, const std::optional<std::string>*>;

struct CommitQueueOptions {
  std::chrono::milliseconds commit_delay{50};
  std::size_t rows_max = 2000;
  /// Called after every push that the writer must look at, for a writer that does not wait in
  /// take(). May be empty.
  std::function<void()> on_push;
};

class CommitQueue {
 public:
  using SteadyTime = PendingBatch::SteadyTime;

  explicit CommitQueue(CommitQueueOptions options) : options_(std::move(options)) {}

  void push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done);

  /// Waits until something must be written; empty when the writer is to end.
  BatchGroup take();
  /// What must be written now; empty when nothing must, and then when it must be asked again.
  std::pair<BatchGroup, std::optional<SteadyTime>> take_due();

  /// Whether a batch in the queue cannot wait for others, or nothing more will come.
  bool hurries() const;

  void set_journal_ends(std::function<std::string()> ends);
  /// What the log says of itself now; nullopt when nobody knows.
  std::optional<std::string> journal_ends() const;

  /// Later batches are refused; those queued are still to be written.
  void close();
  bool closing() const;
  /// No completion leaves any more. What waits is destroyed, which tells those who wait for it.
  void abandon();
  bool abandoned() const;

  /// Sends the results of a group home, one post per executor.
  static void complete(BatchGroup group);

 private:
  bool due(SteadyTime now) const;
  BatchGroup take_locked();

  const CommitQueueOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PendingBatch> queue_;
  std::size_t queued_rows_ = 0;
  std::size_t queued_now_ = 0;  ///< batches of Urgency::now in the queue
  std::function<std::string()> journal_ends_;
  bool closing_ = false;
  bool abandoned_ = false;
};

/// Rows and preconditions.
std::size_t rows_of(const Batch& batch);

/// Refuses a batch one of whose keys no store could take (Errc::too_large).
Result<void> check_keys(const Batch& batch);

/// Why a batch was refused. Errors of a table's row show the key as people write it, and never the
/// value.
Error refused(const Precondition& precondition);

}  // namespace millrace
