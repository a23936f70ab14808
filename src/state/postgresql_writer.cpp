#include "state/postgresql_writer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "core/thread_name.hpp"

namespace millrace {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{50};
constexpr milliseconds kPauseMax{2'000};
constexpr std::string_view kReadOnly = "25006";
/// Transactions of others that are in the way are over once we hear of them, mostly.
constexpr int kRepeatsAtOnce = 5;
/// A commit that is under way when the store is closed is waited for this long.
constexpr milliseconds kCloseMax{5'000};

SocketLoop::Deadline after(milliseconds wait) {
  return std::chrono::steady_clock::now() + wait;
}

/// What does not end by waiting.
bool is_for_good(Errc code) {
  return code == Errc::locked || code == Errc::newer_format || code == Errc::corrupt;
}

}  // namespace

PostgresWriter::PostgresWriter(const PostgresStateOptions& options,
                               const PostgresSessions& sessions, PostgresHealth& health,
                               std::function<void(Error)> on_fatal)
    : options_(options),
      sessions_(sessions),
      health_(health),
      on_fatal_(std::move(on_fatal)),
      queue_({options.commit_delay, options.rows_max, [this] { loop_.wake(); }}),
      transaction_(sessions.names(), sessions.instance(), sessions.id()) {}

Result<void> PostgresWriter::start() {
  const auto until = after(options_.start_wait);
  while (true) {
    auto session = sessions_.begin(loop_);
    if (session) {
      connection_ = std::move(session->connection);
      serial_ = session->serial;
      health_.note_back(session->warning);
      break;
    }
    if (session.error().code != Errc::state_away ||
        std::chrono::steady_clock::now() + kPauseMin >= until)
      return std::unexpected(std::move(session).error());
    spdlog::warn("waiting for the state store error=\"{}\"", session.error().message);
    loop_.watch(-1);
    loop_.wait(false, std::min(until, after(milliseconds(1000))));
  }
  heard_at_ = std::chrono::steady_clock::now();
  thread_ = std::thread([this] { run(); });
  return {};
}

void PostgresWriter::look_soon() {
  look_soon_.store(true);
  loop_.wake();
}

void PostgresWriter::close() {
  queue_.close();
  loop_.wake();
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    const bool ended = ended_.wait_for(lock, kCloseMax, [this] { return has_ended_; });
    if (!ended) loop_.cancel();
  }
  thread_.join();
  connection_.reset();
}

Result<void> PostgresWriter::leave() {
  leaving_.store(true);
  close();
  return left_;
}

std::optional<BootTime> PostgresWriter::confirmed_at() const {
  const BootTime at(BootTime::duration(confirmed_at_.load()));
  return at == BootTime() ? std::nullopt : std::optional(at);
}

void PostgresWriter::run() {
  name_this_thread("state");
  while (!dead_) {
    auto [group, until] = queue_.take_due();
    if (!group.empty()) {
      if (!apply(group)) queue_.abandon();
      // Destroying the completions tells those who wait for one that none will come.
      if (queue_.abandoned()) break;
      CommitQueue::complete(std::move(group));
      continue;
    }
    if (ended()) break;
    idle(until);
  }
  auto left = leaving_.load() && connection_ ? give_up_row() : std::move(left_);
  const std::lock_guard lock(mutex_);
  left_ = std::move(left);
  has_ended_ = true;
  ended_.notify_all();
}

bool PostgresWriter::ended() const {
  return queue_.closing() || queue_.abandoned();
}

void PostgresWriter::idle(std::optional<SteadyTime> until) {
  if (!connection_) {
    if (!come_back()) pause();
    return;
  }
  const auto beat_at = look_soon_.load() ? heard_at_ : heard_at_ + options_.heartbeat;
  if (std::chrono::steady_clock::now() >= beat_at) return beat();
  const auto woken = connection_->idle(std::min(until.value_or(beat_at), beat_at));
  if (woken == SocketLoop::Woken::ready) away("the server closed the connection");
}

void PostgresWriter::beat() {
  look_soon_.store(false);
  auto answer = connection_->run({"SELECT 1", {}, true}, after(options_.heartbeat));
  heard_at_ = std::chrono::steady_clock::now();
  if (answer) pause_ = milliseconds(0);
  if (connection_->is_lost()) away(answer.error().message);
}

bool PostgresWriter::apply(BatchGroup& group) {
  while (true) {
    if (!connection_ && !come_back()) {
      if (dead_ || ended()) return false;
      pause();
      continue;
    }
    if (std::exchange(turned_out_committed_, false)) return true;
    auto ends = queue_.journal_ends();
    if (ends && *ends == ends_written_) ends.reset();
    began_at_ = BootClock::now();
    auto done = transaction_.run(*connection_, group, serial_, ends, after(options_.answer_max));
    if (done) {
      heard_at_ = std::chrono::steady_clock::now();
      pause_ = milliseconds(0);
      conflicts_ = 0;
      if (*done == PostgresTransaction::Done::committed) {
        committed();
        space_.note_stored();
        if (ends) ends_written_ = *std::move(ends);
      }
      if (health_.is_away()) health_.note_back(health_.condition().warning);
      return true;
    }
    bool answered = false;
    if (!handle(done.error(), group, answered)) return false;
    if (answered) return true;
  }
}

bool PostgresWriter::handle(const PostgresError& error, BatchGroup& group, bool& answered) {
  using Kind = PostgresError::Kind;
  if (PostgresTransaction::is_fenced(error)) {
    die(sessions_.taken());
    return false;
  }
  if (connection_->is_lost() || error.kind == Kind::lost) {
    unknown_ = transaction_.may_be_committed();
    away(error.message);
    health_.note_repeat();
    return true;
  }
  roll_back();
  switch (error.kind) {
    case Kind::conflict:
      spdlog::debug("state transaction repeated error=\"{}\"", error.message);
      health_.note_repeat();
      if (++conflicts_ > kRepeatsAtOnce) pause();
      return true;
    case Kind::full:
      space_.note_full(error.message);
      for (auto& pending : group)
        pending.result = fail(Errc::disk_full, fmt::format("PostgreSQL: {}", error.message));
      answered = true;
      return true;
    case Kind::away:
    case Kind::setup:
      health_.note_repeat();
      // A server that became a standby: another one may take writes now.
      if (error.sqlstate == kReadOnly) {
        away(error.message);
        return true;
      }
      health_.note_away(error.message);
      grow_pause();
      pause();
      return !ended();
    case Kind::lost:
    case Kind::final:
      break;
  }
  die(error.to_error());
  return false;
}

bool PostgresWriter::come_back() {
  loop_.watch(-1);
  if (std::chrono::steady_clock::now() < next_try_) return false;
  auto session = sessions_.resume(loop_);
  if (!session) {
    if (is_for_good(session.error().code))
      die(std::move(session).error());
    else
      away(session.error().message);
    return false;
  }
  if (session->serial != serial_ && !(unknown_ && session->serial == serial_ + 1)) {
    die({Errc::corrupt,
         fmt::format("the state in schema {} is at transaction {}, this daemon left it at {}: was "
                     "an older copy or a standby that lagged put in its place?",
                     sessions_.names().schema(), session->serial, serial_)});
    return false;
  }
  turned_out_committed_ = session->serial != serial_;
  if (turned_out_committed_) pause_ = milliseconds(0);
  if (unknown_)
    spdlog::info("the last state transaction was {} when the connection was lost",
                 turned_out_committed_ ? "committed" : "not committed");
  if (turned_out_committed_) committed();
  unknown_ = false;
  ends_written_.clear();  // whichever they are, the next transaction writes them
  connection_ = std::move(session->connection);
  heard_at_ = std::chrono::steady_clock::now();
  health_.note_back(session->warning);
  return true;
}

void PostgresWriter::committed() {
  ++serial_;
  confirmed_at_.store(began_at_.time_since_epoch().count());
}

Result<void> PostgresWriter::give_up_row() {
  auto gone = connection_->run({fmt::format("DELETE FROM {} WHERE instance=$1::text AND "
                                            "session=$2::text",
                                            sessions_.names().table("writer")),
                                {sessions_.instance(), sessions_.id()}},
                               after(options_.answer_max));
  if (!gone) return std::unexpected(gone.error().to_error());
  if (gone->affected() != 1) return std::unexpected(sessions_.taken());
  return {};
}

void PostgresWriter::away(const std::string& reason) {
  connection_.reset();
  health_.note_away(reason);
  grow_pause();
  next_try_ = after(pause_);
}

void PostgresWriter::grow_pause() {
  pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
}

// Pushes wake the loop, but only the time, or the end, ends a pause.
void PostgresWriter::pause() {
  const auto until = connection_ ? after(std::max(pause_, kPauseMin)) : next_try_;
  while (!ended() && std::chrono::steady_clock::now() < until) {
    const auto woken = connection_ ? connection_->idle(until) : loop_.wait(false, until);
    if (woken == SocketLoop::Woken::ready || woken == SocketLoop::Woken::cancelled) return;
  }
}

void PostgresWriter::roll_back() {
  if (!connection_->in_transaction()) return;
  auto rolled_back = connection_->run({"ROLLBACK", {}}, after(options_.answer_max));
  if (!rolled_back && connection_->is_lost()) away(rolled_back.error().message);
}

void PostgresWriter::die(Error error) {
  dead_ = true;
  queue_.abandon();
  connection_.reset();
  if (on_fatal_)
    on_fatal_(std::move(error));
  else
    abort_with(error.message, error.where);
}

}  // namespace millrace
