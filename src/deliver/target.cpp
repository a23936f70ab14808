#include "deliver/target.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace millrace::deliver {
namespace {

constexpr milliseconds kAllowedPoll{100};

bool is_failure(const Outcome& outcome) {
  return outcome.kind == Outcome::Kind::again || outcome.kind == Outcome::Kind::unknown;
}

}  // namespace

Target::Target(Shard& home, const config::Connection& connection, std::unique_ptr<Sink> sink,
               Clock& clock, SharePtr share)
    : home_(home),
      name_(connection.name),
      in_flight_max_(std::max(1, connection.limits.in_flight)),
      idempotent_(connection.idempotent),
      per_second_(connection.limits.per_second),
      slow_after_(connection.breaker.slow_after),
      sink_(std::move(sink)),
      clock_(clock),
      share_(std::move(share)),
      breaker_({connection.breaker.opens_after, connection.breaker.probes_every}) {}

void Target::hold(const std::optional<std::string>& reason, Held told) {
  held_told_ = std::move(told);
  held_ = reason.has_value();
  if (!reason) return;
  breaker_.hold(*reason, clock_.boot_now());
  publish();
}

void Target::submit(DeliveryJob job) {
  if (home_.on_thread()) {
    enqueue(std::move(job));
    return;
  }
  home_.post([self = shared_from_this(), job = std::move(job)]() mutable {
    self->enqueue(std::move(job));
  });
}

void Target::enqueue(DeliveryJob job) {
  if (!recalled_.empty()) recalled_.erase(job.owner);  // it is back
  queue_.push_back(std::move(job));
  pump();
}

void Target::stop() {
  home_.post([self = shared_from_this()] {
    self->stopping_ = true;
    self->queue_.clear();
  });
}

void Target::recall(const void* owner) {
  home_.post([self = shared_from_this(), owner] {
    self->recalled_.insert(owner);
    std::deque<DeliveryJob> others;
    std::vector<DeliveryJob> back;
    for (DeliveryJob& job : self->queue_) {
      if (job.owner == owner) {
        back.push_back(std::move(job));
      } else {
        others.push_back(std::move(job));
      }
    }
    self->queue_ = std::move(others);
    for (DeliveryJob& job : back) {
      self->hand_out(std::move(job), {.outcome = {}, .recalled = true});
    }
    self->pump();
    self->publish();
  });
}

void Target::resume() {
  home_.post([self = shared_from_this()] {
    self->breaker_.resume(self->clock_.boot_now());
    self->publish();
    self->pump();
  });
}

TargetStatus Target::status() const {
  const std::lock_guard lock(status_mutex_);
  return status_;
}

void Target::publish() {
  up_ = breaker_.state() == Breaker::State::closed;
  const bool held = breaker_.state() == Breaker::State::for_person;
  if (std::exchange(held_, held) != held && held_told_) {
    held_told_(held ? std::optional(breaker_.reason()) : std::nullopt);
  }
  static constexpr const char* kNames[] = {"up", "down", "paused"};
  const std::lock_guard lock(status_mutex_);
  const bool untried = status_.state == "unknown" &&
                       breaker_.odometer(clock_.boot_now()) == microseconds{0} &&
                       breaker_.state() == Breaker::State::closed;
  const std::string before = status_.state;
  if (!untried) status_.state = kNames[static_cast<int>(breaker_.state())];
  status_.reason = breaker_.reason();
  status_.since = breaker_.since();
  status_.in_flight = in_flight_;
  status_.waiting = queue_.size();
  if (before != status_.state && before != "unknown") {
    spdlog::log(status_.state == "up" ? spdlog::level::info : spdlog::level::warn,
                "connection is {} connection={} reason=\"{}\"", status_.state, name_,
                status_.reason);
  } else if (before != status_.state && status_.state != "up") {
    spdlog::warn("connection is {} connection={} reason=\"{}\"", status_.state, name_,
                 status_.reason);
  }
}

bool Target::may_start(const DeliveryJob& job) const {
  if (job.parked && parked_in_flight_ >= std::max(1, in_flight_max() / 4)) return false;
  return job.exclusive == 0 || !exclusive_.contains(job.exclusive);
}

// A job that may not start stays where it is: the end of what it waits for looks again.
std::deque<DeliveryJob>::iterator Target::choose(bool for_probe) {
  const auto first =
      std::ranges::find_if(queue_, [this](const DeliveryJob& job) { return may_start(job); });
  if (!for_probe) return first;
  // Each probe takes another record, so that one poisoned record cannot keep the target down.
  const auto other = std::find_if(first, queue_.end(), [this](const DeliveryJob& job) {
    return job.record != last_probed_ && may_start(job);
  });
  return other != queue_.end() ? other : first;
}

void Target::enter(const DeliveryJob& job) {
  ++in_flight_;
  if (job.parked) ++parked_in_flight_;
  if (job.exclusive != 0) exclusive_.insert(job.exclusive);
}

void Target::leave(const DeliveryJob& job) {
  --in_flight_;
  if (job.parked) --parked_in_flight_;
  exclusive_.erase(job.exclusive);
}

/// The next job that may start now; it then counts as in flight.
std::optional<DeliveryJob> Target::next_job() {
  if (stopping_ || queue_.empty() || in_flight_ >= in_flight_max()) return std::nullopt;
  if (breaker_.state() == Breaker::State::for_person) return std::nullopt;
  const BootTime now = clock_.boot_now();
  if (!share_->allows()) {  // it comes back by itself, or this process ends
    wake_at(now + kAllowedPoll);
    return std::nullopt;
  }
  const bool closed = breaker_.state() == Breaker::State::closed;
  // The pace before the probe: a probe that was taken must start.
  if (per_second_ > 0 && now < next_start_) {
    wake_at(next_start_);
    return std::nullopt;
  }
  const auto chosen = choose(!closed);
  if (chosen == queue_.end()) return std::nullopt;
  const std::uint64_t probe = closed ? 0 : breaker_.take_probe(now);
  if (!closed && probe == 0) {
    if (!breaker_.probing()) wake_at(breaker_.next_probe());
    return std::nullopt;
  }
  if (per_second_ > 0) {
    const auto gap = microseconds(static_cast<std::int64_t>(1e6 * share_->instances / per_second_));
    next_start_ = std::max(next_start_ + gap, now);
  }
  if (!closed) last_probed_ = chosen->record;
  DeliveryJob job = std::move(*chosen);
  job.probe = probe;
  queue_.erase(chosen);
  enter(job);
  return job;
}

void Target::pump() {
  // A worker that hands out a result takes the next job itself, and then calls this.
  if (handing_out_) return;
  while (auto job = next_job()) {
    home_.tasks().spawn("deliver", work(shared_from_this(), *std::move(job)));
  }
}

void Target::wake_at(BootTime at) {
  if (wake_pending_) return;
  wake_pending_ = true;
  const auto delay = std::chrono::duration_cast<milliseconds>(at - clock_.boot_now());
  home_.tasks().spawn(
      "wake", wake_later(shared_from_this(), std::clamp(delay + milliseconds(1), milliseconds(1),
                                                        milliseconds(60'000))));
}

Awaitable<void> Target::wake_later(std::shared_ptr<Target> self, milliseconds delay) {
  co_await sleep_for(delay);
  self->wake_pending_ = false;
  self->pump();
}

void Target::ask(std::uint64_t record, BootTime since, Executor& asker,
                 std::move_only_function<void(bool)> told) {
  home_.post([self = shared_from_this(), record, since, &asker, told = std::move(told)]() mutable {
    self->home_.tasks().spawn("ask", self->asked(self, record, since, &asker, std::move(told)));
  });
}

Awaitable<void> Target::asked(std::shared_ptr<Target> self, std::uint64_t record, BootTime since,
                              Executor* asker, std::move_only_function<void(bool)> told) {
  const bool answers = co_await answers_others(record, since);
  publish();
  asker->post([told = std::move(told), answers]() mutable { told(answers); });
}

Awaitable<bool> Target::answers_others(std::uint64_t record, BootTime since) {
  if (breaker_.answered_other_since(record, since)) co_return true;
  if (stopping_ || breaker_.state() != Breaker::State::closed) co_return false;
  if (checked_at_ && clock_.boot_now() - *checked_at_ < kCheckHoldsFor) co_return true;
  // One asks for all: whose doubts come meanwhile are tried again before they are judged.
  if (std::exchange(checking_, true)) co_return false;
  const Outcome checked = co_await sink_->check();
  checking_ = false;
  const BootTime now = clock_.boot_now();
  if (checked.kind != Outcome::Kind::delivered) {
    breaker_.check_failed(checked.reason, now);
    co_return false;
  }
  checked_at_ = now;
  breaker_.check_answered(now);
  co_return true;
}

/// Delivers one job after another, as long as there are some: a task for each would cost more than
/// it does.
Awaitable<void> Target::work(std::shared_ptr<Target> self, DeliveryJob first) {
  std::optional<DeliveryJob> job(std::move(first));
  while (job) {
    Delivery delivery = job->delivery;
    const BootTime started = clock_.boot_now();
    Outcome outcome = co_await sink_->deliver(std::move(delivery));
    if (job->classify) job->classify(outcome);
    const auto before = breaker_.state();
    bool absorbed = breaker_.record(outcome, call_of(*job, outcome, started), clock_.boot_now());
    DeliveryResult result;
    if (!absorbed && is_failure(outcome)) {
      const bool doubtful = job->delivery.attempt >= kAttemptsBeforeParking ||
                            clock_.boot_now() - job->first_attempt >= kTimeBeforeParking;
      result.target_answers = breaker_.answered_other_since(job->record, job->first_attempt);
      if (!result.target_answers && doubtful) {
        result.target_answers = co_await answers_others(job->record, job->first_attempt);
        const bool down = breaker_.state() != Breaker::State::closed;
        absorbed = down && outcome.kind == Outcome::Kind::again;
      }
    }
    leave(*job);
    const bool moved = before != breaker_.state() || breaker_.state() != Breaker::State::closed;
    if (moved || status_.state == "unknown") publish();
    result.odometer = breaker_.odometer(clock_.boot_now());
    // What others must not run beside waits with them in the lane, where the next one's turn is: or
    // the probes would take none but those few that the lanes sent.
    const bool stays = job->exclusive == 0 && !recalled_.contains(job->owner);
    if (absorbed && !stopping_ && stays) {
      queue_.push_back(*std::move(job));
    } else if (absorbed && !stopping_) {
      hand_out(*std::move(job), {.outcome = {}, .recalled = true});
    } else {
      result.outcome = std::move(outcome);
      hand_out(*std::move(job), std::move(result));
    }
    job = next_job();
    pump();  // a breaker that closed frees more places than this one
  }
}

Call Target::call_of(const DeliveryJob& job, const Outcome& outcome, BootTime started) const {
  const milliseconds slow = slow_after_.value_or(job.delivery.timeout * 2 / 3);
  Call call{.record = job.record, .slow = clock_.boot_now() - started > slow, .probe = job.probe};
  if (outcome.kind == Outcome::Kind::rejected) {
    const HttpRequest& request = job.delivery.request;
    call.request = hash64(request.method + request.target + request.body);
  }
  return call;
}

void Target::hand_out(DeliveryJob job, DeliveryResult result) {
  if (job.home != &home_) {
    job.home->post([done = std::move(job.done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
    return;
  }
  // What it submits in answer is taken by the caller's worker, not by a new one.
  handing_out_ = true;
  job.done(std::move(result));
  handing_out_ = false;
}

Awaitable<Outcome> Target::check() {
  Outcome outcome = co_await sink_->check();
  co_return outcome;
}

}  // namespace millrace::deliver
