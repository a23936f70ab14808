#include "deliver/breaker.hpp"

#include <fmt/format.h>

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
  if (state_ == State::closed) since_ = system_clock().wall_now();
  state_ = state;
  reason_ = std::move(reason);
  probing_ = false;
  next_probe_ = now + limits_.probes_every;
  if (up_since_) up_ += now - *up_since_;
  up_since_.reset();
}

void Breaker::close(BootTime now) {
  if (state_ != State::closed) {
    state_ = State::closed;
    reason_.clear();
    since_.reset();
  }
  probing_ = false;
  failures_ = 0;
  failed_records_.clear();
  if (!up_since_) up_since_ = now;
}

void Breaker::resume(BootTime now) {
  close(now);
  rejected_records_.clear();
  forbidden_records_.clear();
}

bool Breaker::take_probe(BootTime now) {
  if (state_ != State::open || probing_ || now < next_probe_) return false;
  probing_ = true;
  return true;
}

void Breaker::check_failed(const std::string& reason, BootTime now) {
  open(State::open, reason, now);
}

bool Breaker::record(const Outcome& outcome, std::uint64_t record, BootTime now) {
  const int status = outcome.answer ? outcome.answer->status : 0;
  switch (outcome.kind) {
    case Outcome::Kind::delivered:
    case Outcome::Kind::needs_decision:
      answered(record, now);
      delivered_at_ = now;
      rejected_records_.clear();
      forbidden_records_.clear();
      if (state_ != State::for_person) close(now);
      return false;
    case Outcome::Kind::rejected:
      answered(record, now);
      if (status == 403) {
        forbidden_records_.insert(record);
        if (forbidden_records_.size() >= kDistinctRecordsToOpen) {
          open(State::open, "403 for several records and no success: is the login allowed to?",
               now);
          return true;
        }
      }
      rejected_records_.insert(record);
      if (rejected_records_.size() >= kRejectionsToPause) {
        open(State::for_person,
             fmt::format("{} records in a row were rejected, the last with: {}",
                         rejected_records_.size(), outcome.reason),
             now);
        rejected_records_.clear();
        return false;
      }
      if (state_ != State::for_person) close(now);
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
  failed_records_.insert(record);
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
