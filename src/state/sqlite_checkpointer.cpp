#include "state/sqlite_checkpointer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "core/thread_name.hpp"
#include "state/sqlite_turns.hpp"

namespace millrace {

SqliteCheckpointer::SqliteCheckpointer(Connection connection, CheckpointLimits limits,
                                       FatalHandler on_fatal)
    : connection_(std::move(connection)),
      limits_(limits),
      on_fatal_(std::move(on_fatal)),
      next_bytes_(limits.soft_bytes),
      thread_([this] { run(); }) {}

void SqliteCheckpointer::note_log_pages(std::int64_t pages) {
  const std::lock_guard lock(mutex_);
  const auto bytes =
      static_cast<std::uint64_t>(std::max<std::int64_t>(pages, 0)) * limits_.page_bytes;
  if (bytes < log_bytes_) next_bytes_ = limits_.soft_bytes;  // the log started over
  log_bytes_ = bytes;
  if (log_bytes_ >= next_bytes_) changed_.notify_all();
}

SqliteCheckpointer::Permit::Permit(SqliteCheckpointer& owner) : owner_(owner) {
  std::unique_lock lock(owner_.mutex_);
  owner_.changed_.wait(lock, [&] { return !owner_.must_wait(); });
  owner_.writing_ = true;
}

SqliteCheckpointer::Permit::~Permit() {
  const std::lock_guard lock(owner_.mutex_);
  owner_.writing_ = false;
  if (owner_.pause_wanted_) owner_.changed_.notify_all();
}

bool SqliteCheckpointer::must_wait() const {
  if (ended_) return false;
  return pause_wanted_ ||
         (log_bytes_ >= limits_.hard_bytes && (checkpointing_ || log_bytes_ >= next_bytes_));
}

void SqliteCheckpointer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void SqliteCheckpointer::run() {
  name_this_thread("checkpoints");
  // Twice the usual log: whoever lets others go first now would make the writer wait soon.
  const WritesInTurn in_turn([this] {
    const std::lock_guard lock(mutex_);
    return !stopping_ && log_bytes_ < limits_.hard_bytes / 2;
  });
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || log_bytes_ >= next_bytes_; });
      if (stopping_) return;
      checkpointing_ = true;
    }
    const bool usable = checkpoint_once();
    const std::lock_guard lock(mutex_);
    checkpointing_ = false;
    ended_ = !usable;
    changed_.notify_all();
    if (ended_) return;
  }
}

bool SqliteCheckpointer::checkpoint_once() {
  auto progress = connection_.checkpoint_passive();
  const auto left_in_log = [&] {
    return progress->copied_pages < progress->log_pages
               ? static_cast<std::uint64_t>(progress->log_pages) * limits_.page_bytes
               : 0;
  };
  if (progress && left_in_log() >= limits_.hard_bytes) progress = checkpoint_while_writer_waits();
  if (!progress && progress.error().code != Errc::disk_full) {
    on_fatal_(progress.error());
    return false;
  }

  const std::lock_guard lock(mutex_);
  if (!progress) {
    // The log keeps what the database has no room for; the next growth tries again.
    spdlog::warn("state checkpoint postponed error=\"{}\"", progress.error().message);
    next_bytes_ = log_bytes_ + limits_.soft_bytes;
    return true;
  }
  next_bytes_ = left_in_log() == 0 ? limits_.soft_bytes : left_in_log() + limits_.soft_bytes;
  // Everything is copied: the writer's next transaction starts the log over and reports its size.
  if (left_in_log() == 0) log_bytes_ = 0;
  return true;
}

Result<Connection::CheckpointProgress> SqliteCheckpointer::checkpoint_while_writer_waits() {
  {
    std::unique_lock lock(mutex_);
    pause_wanted_ = true;
    changed_.wait(lock, [&] { return !writing_; });
  }
  auto progress = connection_.checkpoint_passive();
  const std::lock_guard lock(mutex_);
  pause_wanted_ = false;
  changed_.notify_all();
  return progress;
}

}  // namespace millrace
