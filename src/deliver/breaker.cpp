#include "deliver/breaker.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::deliver {

void Breaker::answered(std::uint64_t record, BootTime now) {
  if (!up_since_) up_since_ = now;
  if (record != answered_record_) {
    answered_before_record_ = answered_record_;
    answered_before_at_ = answered_at_;
    answered_record_ = record;
  }
  answered_at_ = now;
}

bool Breaker::answered_other_since(std::uint64_t record, BootTime since) const {
  if (answered_at_ != BootTime{} && answered_record_ != record) return answered_at_ >= since;
  return answered_before_at_ != BootTime{} && answered_before_at_ >= since;
}

microseconds Breaker::odometer(BootTime now) const {
  return up_ + (up_since_ ? now - *up_since_ : microseconds{0});
}

void Breaker::open(State state, std::string reason, BootTime now) {
  if (up_since_) up_ += now - *up_since_;
  up_since_.reset();
  if (state_ == State::for_person) return;
  if (state_ == State::closed) since_ = system_clock().wall_now();
  state_ = state;
  reason_ = std::move(reason);
  next_probe_ = now + limits_.probes_every;
}

void Breaker::close(BootTime now) {
  if (state_ != State::closed) {
    state_ = State::closed;
    reason_.clear();
    since_.reset();
  }
  probe_ = 0;
  failures_ = 0;
  failed_records_.clear();
  if (!up_since_) up_since_ = now;
}

// An answer that came late is one all the same: only the calls after it wait.
void Breaker::close_unless_slow(Call call, BootTime now) {
  if (!call.slow) {
    slow_ = 0;
    slow_records_.clear();
    if (state_ != State::for_person) close(now);
    return;
  }
  ++slow_;
  slow_records_.insert(call.record);
  failures_ = 0;
  failed_records_.clear();
  if (state_ == State::open ||
      (slow_ >= limits_.opens_after && slow_records_.size() >= kDistinctRecordsToOpen)) {
    open(State::open, "it answers too slowly (`breaker.slow_after`); it is asked one at a time",
         now);
  }
}

void Breaker::resume(BootTime now) {
  close(now);
  rejected_records_.clear();
  rejected_requests_.clear();
  forbidden_records_.clear();
  slow_ = 0;
  slow_records_.clear();
}

std::uint64_t Breaker::take_probe(BootTime now) {
  if (state_ != State::open || probe_ != 0 || now < next_probe_) return 0;
  probe_ = ++probes_;
  return probe_;
}

void Breaker::check_failed(const std::string& reason, BootTime now) {
  open(State::open, reason, now);
}

// It answers, though nobody else was sent to it: from here on budgets are spent.
void Breaker::check_answered(BootTime now) {
  if (state_ == State::closed && !up_since_) up_since_ = now;
}

bool Breaker::record(const Outcome& outcome, Call call, BootTime now) {
  // What was on the wire before it opened says nothing about the probe that is out.
  if (call.probe == probe_) probe_ = 0;
  const int status = outcome.answer ? outcome.answer->status : 0;
  switch (outcome.kind) {
    case Outcome::Kind::delivered:
    case Outcome::Kind::needs_decision:
      answered(call.record, now);
      delivered_at_ = now;
      rejected_records_.clear();
      rejected_requests_.clear();
      forbidden_records_.clear();
      close_unless_slow(call, now);
      return false;
    case Outcome::Kind::rejected:
      answered(call.record, now);
      if (status == 403) {
        forbidden_records_.insert(call.record);
        if (forbidden_records_.size() >= kDistinctRecordsToOpen) {
          open(State::open, "403 for several records and no success: is the login allowed to?",
               now);
          return true;
        }
      }
      rejected_records_.insert(call.record);
      rejected_requests_.insert(call.request);
      if (std::min(rejected_records_.size(), rejected_requests_.size()) >= kRejectionsToPause) {
        open(State::for_person,
             fmt::format("{} records in a row were rejected, the last with: {}",
                         rejected_records_.size(), outcome.reason),
             now);
        rejected_records_.clear();
        rejected_requests_.clear();
        return false;
      }
      close_unless_slow(call, now);
      return false;
    case Outcome::Kind::again:
    case Outcome::Kind::unknown:
      break;
  }
  if (outcome.scope == Outcome::Scope::target) {
    open(State::open, outcome.reason, now);
    return outcome.kind == Outcome::Kind::again;
  }
  // 429 and 503 with Retry-After are answers of a living target that asks for time.
  ++failures_;
  failed_records_.insert(call.record);
  // What is answered with a success a moment before and after is not down: a run of poisoned
  // records must not stop the good ones between them.
  const bool lively = delivered_at_ && now - *delivered_at_ < limits_.probes_every;
  if (state_ == State::open || (!lively && failures_ >= limits_.opens_after &&
                                failed_records_.size() >= kDistinctRecordsToOpen)) {
    open(State::open, outcome.reason, now);
    return outcome.kind == Outcome::Kind::again;
  }
  return false;
}

}  // namespace millrace::deliver
