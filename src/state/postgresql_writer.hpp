// The one thread that writes to PostgreSQL. It keeps the connection and the lock, groups what is
// queued into transactions, tries again what conflicted, and after a lost connection finds out
// whether the last COMMIT happened before it goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "state/commit_queue.hpp"
#include "state/postgresql_health.hpp"
#include "state/postgresql_session.hpp"
#include "state/postgresql_transaction.hpp"
#include "state/state_space.hpp"

namespace millrace {

class PostgresWriter {
 public:
  PostgresWriter(const PostgresStateOptions& options, const PostgresSessions& sessions,
                 PostgresHealth& health, std::function<void(Error)> on_fatal);
  ~PostgresWriter() { close(); }

  /// Opens the first session and starts the thread; waits for a server that does not answer for as
  /// long as the options allow.
  Result<void> start();

  void push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done) {
    queue_.push(std::move(batch), urgency, home, std::move(done));
  }
  void set_journal_ends(std::function<std::string()> ends) {
    queue_.set_journal_ends(std::move(ends));
  }
  /// A reader lost its connection: looks whether the server answers.
  void look_soon();
  /// Commits what is queued and ends the thread; a store that is away is not waited for.
  void close();
  /// The same, and then our row goes. Errc::state_away: it stays.
  Result<void> leave();

  const StateSpace& space() const { return space_; }
  /// When the newest transaction that was committed began; nullopt: none was. From any thread.
  std::optional<BootTime> confirmed_at() const;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  void run();
  /// Waits for work, for a sign of life, or tries to come back.
  void idle(std::optional<SteadyTime> until);
  void beat();
  /// False when the writer must end; otherwise every result of the group is set.
  bool apply(BatchGroup& group);
  /// False when the writer must end.
  bool handle(const PostgresError& error, BatchGroup& group, bool& done);
  /// A session again; false when there is none (yet).
  bool come_back();
  void away(const std::string& reason);
  void grow_pause();
  void pause();
  void roll_back();
  void committed();
  Result<void> give_up_row();
  bool ended() const;
  void die(Error error);

  const PostgresStateOptions& options_;
  const PostgresSessions& sessions_;
  PostgresHealth& health_;
  const std::function<void(Error)> on_fatal_;
  SocketLoop loop_;
  CommitQueue queue_;
  PostgresTransaction transaction_;
  std::unique_ptr<PostgresConnection> connection_;
  std::int64_t serial_ = 0;
  bool unknown_ = false;  ///< the transaction after serial_ may be committed
  bool turned_out_committed_ = false;
  bool dead_ = false;
  StateSpace space_;
  std::string ends_written_;
  int conflicts_ = 0;  ///< in a row
  BootTime began_at_;  ///< of the last transaction that was tried
  std::chrono::milliseconds pause_{0};
  SteadyTime next_try_;
  SteadyTime heard_at_;
  std::atomic<bool> look_soon_{false};
  std::atomic<bool> leaving_{false};
  std::atomic<BootTime::rep> confirmed_at_{0};  ///< 0: not yet

  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;
  Result<void> left_ = fail(Errc::state_away, "the state store did not answer: our row stays");
  std::thread thread_;
};

}  // namespace millrace
