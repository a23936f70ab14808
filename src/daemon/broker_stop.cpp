// How a broker ends: it accepts nothing more, what is begun ends, what was answered is recorded,
// and then its parts go in the reverse of their order.
#include <spdlog/spdlog.h>

#include <future>
#include <thread>

#include "daemon/broker.hpp"
#include "daemon/operations.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kNoteStopMax{5000};  // a state store that is away is not waited for

}  // namespace

Broker::~Broker() {
  if (!stopped_) stop(milliseconds(1000));
}

// The cursors say all that was taken up: the next start need not assume more. A start that failed
// knows nothing of the kind.
void Broker::note_stop() {
  Batch stopped;
  stopped.put(Table::routes, std::string(kStoppedKey), "{}");
  const auto marked = commit_blocking(*state_, std::move(stopped), kNoteStopMax);
  if (!marked) spdlog::warn("the stop is not noted error={}", marked.error().message);
}

Result<void> Broker::not_stopping() const {
  if (stopping_) return fail(Errc::stopping, "the daemon stops");
  return {};
}

Result<std::unique_lock<std::mutex>> Broker::begin_control() {
  std::unique_lock lock(reload_mutex_);
  MILLRACE_CHECK_OK(not_stopping());
  if (lives_doubtful_) MILLRACE_CHECK_OK(read_lives_again());
  return lock;
}

void Broker::stop(milliseconds deadline) {
  if (std::exchange(stopped_, true)) return;
  const BootTime until = clock_.boot_now() + deadline;
  ready_ = false;
  stopping_ = true;
  if (membership_) membership_->settle();
  if (intake_) intake_->stop();
  if (data_server_) data_server_->stop(deadline / 2);
  if (admin_server_) admin_server_->stop(milliseconds(500));
  // What the control thread has begun, it ends while there are shards to ask; nothing more begins.
  {
    const std::lock_guard control(reload_mutex_);
  }
  if (shards_ && !units_.empty()) {
    sources_.set({});
    stop_kafka_sources(connections_);
    for (const auto& unit : units_) {
      unit->shard.post([&unit = *unit] {
        if (unit.pump) unit.pump->stop();
        if (unit.collector) unit.collector->stop();
        for (const auto& [name, lane] : unit.lanes) lane->stop();
      });
    }
    for (const auto* connections : {&connections_, &kept_connections_}) {
      for (const auto& [name, connection] : *connections) {
        if (connection.target) connection.target->stop();
      }
    }
    // What is on the wire may still be answered; what is answered is recorded.
    while (clock_.boot_now() < until && !drained()) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    for (const auto& unit : units_) unit->shard.post([&unit = *unit] { unit.trail->flush(); });
    if (membership_) membership_->leave(kNoteStopMax);
    if (started_ && !shares()) note_stop();
  }
  if (state_) state_->close();
  if (log_) log_->close();
  if (shards_) shards_->stop(milliseconds(1000));
  control_.reset();
  data_server_.reset();
  admin_server_.reset();
  units_.clear();
  connections_.clear();
  kept_connections_.clear();
  membership_.reset();
  announce_.reset();
  // What they read is posted to shards, so they end first.
  readers_.reset();
  kafka_waiting_.reset();
  if (intake_) intake_->close();
  shards_.reset();
  spdlog::info("stopped");
}

// Whether every lane has recorded what it had on the wire. Asks each shard and waits for it.
bool Broker::drained() {
  bool all = true;
  for (const auto* connections : {&connections_, &kept_connections_}) {
    for (const auto& [name, connection] : *connections) {
      all = all && (!connection.target || connection.target->in_flight() == 0) &&
            (!connection.kafka || connection.kafka->ended());
    }
  }
  for (const auto& unit : units_) {
    std::promise<bool> answer;
    auto future = answer.get_future();
    unit->shard.post([&unit = *unit, &answer] {
      bool idle = !unit.projector || unit.projector->saved();
      for (const auto& [name, lane] : unit.lanes) {
        lane->flush();
        idle = idle && lane->recorded();
      }
      answer.set_value(idle);
    });
    all = future.get() && all;
  }
  return all;
}

}  // namespace millrace::daemon
