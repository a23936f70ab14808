// What a lane makes of an attempt's outcome: done, again later, parked, or dead.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"
#include "deliver/repeat.hpp"
#include "millrace/utf8.hpp"

namespace millrace::deliver {
namespace {

constexpr Offset kBeyondBeforeParking = 2048;  // semantics 5
// Beyond it, the target is asked so soon whether it answers others: in a run of refused events it
// has answered nobody else yet when the attempt of one of them ends.
constexpr milliseconds kAskInCrowdAfter{50};
// Hundreds may wait, and the timer may run each millisecond.
constexpr milliseconds kAskApart{10};
constexpr milliseconds kRetryAfterMax{3'600'000};

std::mt19937_64& random_source() {
  thread_local std::mt19937_64 source{std::random_device{}()};
  return source;
}

std::string cause_of_again(int answer_status) {
  return answer_status != 0 ? fmt::format("again {}", answer_status) : std::string("again");
}

// `missing:` of a request is about identities; a table says itself what a missing row means.
bool is_skipped(const config::RouteRequest& request, const std::string& wanted) {
  return request.missing == config::Missing::skip && !wanted.empty();
}

}  // namespace

void Lane::on_unrendered(const ItemPtr& item, const Error& error, const std::string& wanted) {
  if (error.code == Errc::needs_lookup) {
    context_.shard.spawn("xref", fetch_reference(shared_from_this(), item, wanted));
  } else if (error.code == Errc::missing_reference && !is_skipped(*item->request, wanted)) {
    park(item, ParkedState::waiting_reference, error.message, "missing_reference",
         route().retry.max_interval, wanted);
  } else {
    on_render_error(item, error);
  }
}

void Lane::on_render_error(const ItemPtr& item, const Error& error) {
  if (error.code == Errc::missing_reference) {
    // `missing: skip`: it was never sent there, so there is nothing to say about it.
    context_.trail.note({item->event->event.record, "deliver", id_, "skipped",
                         item->event->event.id, error.message});
    ++counts_.skipped;
    item->row_is_final = item->row.has_value();
    finish(item);
    return;
  }
  park(item, ParkedState::dead, error.message, fmt::format("{}", to_string(error.code)));
}

void Lane::on_result(const ItemPtr& item, DeliveryResult result) {
  came_back(item);
  if (recalled(item, result)) return;
  judge(item, result);
}

void Lane::came_back(const ItemPtr& item) {
  --outstanding_;
  if (item->row) --parked_outstanding_;
  if (item->replay) --replay_outstanding_;
  end_turn(item);
}

void Lane::judge(const ItemPtr& item, const DeliveryResult& result) {
  if (waits_for_decision(item, [this, item, result] { judge(item, result); })) return;
  item->answer_status = 0;
  item->answer_body.clear();
  if (result.outcome.answer) {
    item->answer_status = result.outcome.answer->status;
    item->answer_body = valid_utf8(result.outcome.answer->body, kParkedAnswerBytesMax);
  }
  const Outcome& outcome = result.outcome;
  switch (outcome.kind) {
    case Outcome::Kind::delivered:
      on_delivered(item, outcome);
      break;
    case Outcome::Kind::again:
      on_again(item, result);
      break;
    case Outcome::Kind::unknown:
      on_unknown(item, result);
      break;
    case Outcome::Kind::rejected:
      park(item, ParkedState::dead, outcome.reason,
           item->answer_status != 0 ? fmt::format("rejected {}", item->answer_status)
                                    : std::string("rejected"));
      break;
    case Outcome::Kind::needs_decision:
      park(item, ParkedState::needs_decision, outcome.reason, "needs_decision");
      break;
  }
  start_ready();
  pump();
  retry_parked();
}

void Lane::on_delivered(const ItemPtr& item, const Outcome& outcome) {
  if (item->request->remember && outcome.answer) {
    const config::ConfigHost host(*item->config, nullptr);
    const auto external = route::remember(*item->request->remember, host, *item->event,
                                          *outcome.answer, item->appended_at);
    if (!external && item->request->probe) {
      // It is applied; the probe says under which id.
      item->unanswered = true;
      probe(item);
      return;
    }
    if (!external) {
      park(item, ParkedState::needs_decision,
           "delivered, but the answer has nothing to `remember` (a text of at most 1,024 bytes "
           "without "
           "control characters); say which id it got: "
           "millrace parked release ID --applied EXTERNAL_ID",
           "empty remember");
      return;
    }
    bind(*item, *external);
  }
  delivered(item,
            fmt::format("{} {} {}", item->bytes.method, item->bytes.target, item->answer_status));
}

void Lane::bind(const Item& item, const std::string& external_id) {
  const Event& event = item.event->event;
  const std::string& system = text_.config->connections.find(route().to)->second.system;
  std::string key = row_key(event.entity, system, event.record);
  writes_.put(Table::xref, key, external_id);
  writes_.put(Table::xref_by_id, row_key(event.entity, system, external_id, event.record), "{}");
  bound_.push_back(std::move(key));
}

void Lane::delivered(const ItemPtr& item, const std::string& detail) {
  const Event& event = item->event->event;
  note_delivered(*item);
  ++counts_.delivered;
  learn_from_retry(*item, true);
  if (item->replay) ++item->replay->counts(item->partition).sent;
  context_.trail.note(
      {event.record, "deliver", id_, item->replay ? "replayed" : "delivered", event.id, detail});
  item->row_is_final = item->row.has_value();
  finish(item);
}

void Lane::on_again(const ItemPtr& item, const DeliveryResult& result) {
  ++counts_.retries;
  spend(item, result.odometer);
  const config::RetryPolicy& retry = item->route->retry;
  if (item->spent >= retry.give_up_after && item->unanswered) {
    park(item, ParkedState::unknown,
         fmt::format("sent, and neither it nor the probe was answered ({}); look there, then: "
                     "millrace parked release ID --applied [EXTERNAL_ID] | --not-applied --reason "
                     "TEXT",
                     result.outcome.reason),
         "unknown");
    return;
  }
  if (item->spent >= retry.give_up_after) {
    park(item, ParkedState::dead,
         fmt::format("given up after {} attempts: {}", item->attempts, result.outcome.reason),
         "given up");
    return;
  }
  const milliseconds delay = backoff(item->attempts, result.outcome.retry_after);
  const bool long_enough =
      item->attempts >= kAttemptsBeforeParking ||
      context_.clock.boot_now() + delay - item->first_attempt >= kTimeBeforeParking ||
      beyond(*item) >= kBeyondBeforeParking || retries_.size() >= retries_max_;
  learn_from_retry(*item, false);
  if (item->row || (long_enough && result.target_answers)) {
    park(item, ParkedState::retrying, result.outcome.reason, cause_of_again(item->answer_status),
         delay);
    return;
  }
  retry_later(item, delay, result.outcome.reason);
}

// Retries that keep failing get less room, and less of the machine while news flow; one that is
// delivered gives it back: what keeps failing is tried seldom, what was mended arrives soon.
void Lane::learn_from_retry(const Item& item, bool delivered) {
  if (!item.row && item.attempts < 2) return;  // it was no retry
  if (delivered) {
    retries_max_ = kRetriesMax;
    parked_apart_ = kParkedApart;
    return;
  }
  retries_max_ = std::max(retries_max_ / 2, kRetriesAlways);
  if (item.row) parked_apart_ = std::min(parked_apart_ * 2, kParkedApartMax);
}

// The time in which the target answered, from one failure to the next (semantics 5, "Breaker").
void Lane::spend(const ItemPtr& item, microseconds odometer) {
  const auto since = odometer - item->odometer.value_or(odometer);
  // It goes to another target now, whose odometer is another.
  if (since > microseconds{0}) item->spent += std::chrono::duration_cast<milliseconds>(since);
  item->odometer = odometer;
}

// How much is settled beyond what is not, where the item came from.
Offset Lane::beyond(const Item& item) const {
  return item.replay ? item.replay->partitions().at(item.partition).progress.beyond()
                     : progress_.at(item.partition).beyond();
}

bool Lane::retries_unknown(const Item& item) const {
  return repeat_of(*item.request, target_->idempotent()) == Repeat::send;
}

void Lane::on_unknown(const ItemPtr& item, const DeliveryResult& result) {
  if (is_probed(*item)) {
    item->unanswered = true;
    on_again(item, result);
    return;
  }
  if (retries_unknown(*item)) {
    ++counts_.repeated_unknown;
    on_again(item, result);
    return;
  }
  park(item, ParkedState::unknown,
       fmt::format("sent, and no answer came ({}); look there, then: millrace parked release ID "
                   "--applied [EXTERNAL_ID] | --not-applied --reason TEXT",
                   result.outcome.reason),
       "unknown");
}

milliseconds Lane::backoff(int attempts, std::optional<milliseconds> retry_after) {
  const config::RetryPolicy& retry = route().retry;
  auto bound = retry.initial;
  for (int i = 1; i < attempts && bound < retry.max_interval; ++i) bound *= 2;
  bound = std::min(bound, retry.max_interval);
  // Full jitter: the delay lies anywhere in [0, bound], so that a crowd does not come back at once.
  std::uniform_int_distribution<std::int64_t> pick(0, bound.count());
  const milliseconds jittered(pick(random_source()));
  return std::max(jittered, std::min(retry_after.value_or(milliseconds{0}), kRetryAfterMax));
}

void Lane::retry_later(const ItemPtr& item, milliseconds delay, std::string reason) {
  end_turn(item);
  item->retry_reason = std::move(reason);
  item->retry_at = context_.clock.boot_now() + delay;
  item->ask_at = asks_at(*item);
  next_ask_at_ = std::min(next_ask_at_, item->ask_at);
  retries_.emplace(item->retry_at, item);
  if (retry_timer_running_) return;
  retry_timer_running_ = true;
  context_.shard.spawn("retry", retry_timer(shared_from_this()));
}

// When its target is asked whether it answers others, while it waits.
BootTime Lane::asks_at(const Item& item) const {
  if (item.attempts == 0) return BootTime::max();
  const BootTime patient = item.first_attempt + kTimeBeforeParking;
  if (retries_.size() < retries_max_) return patient;
  return std::min(patient, context_.clock.boot_now() + kAskInCrowdAfter);
}

Awaitable<void> Lane::retry_timer(std::shared_ptr<Lane> self) {
  while (!retries_.empty() && !stopping_) {
    const BootTime now = context_.clock.boot_now();
    const auto first = retries_.begin();
    if (first->first <= now) {
      const ItemPtr item = first->second;
      retries_.erase(first);
      ready_of(item).push_front(item);
      start_ready();
      continue;
    }
    ask_for_those_that_wait(now);
    const auto wait = std::chrono::ceil<milliseconds>(first->first - now);
    co_await sleep_for(std::min<milliseconds>(wait, milliseconds(100)));
  }
  retry_timer_running_ = false;
}

// An answer may ask for more patience than a place in memory has.
void Lane::ask_for_those_that_wait(BootTime now) {
  if (now < next_ask_at_) return;
  BootTime next = BootTime::max();
  for (const auto& [retry_at, item] : retries_) {
    if (item->ask_at > now) {
      next = std::min(next, item->ask_at);
      continue;
    }
    item->ask_at = BootTime::max();
    target_->ask(item->record, item->first_attempt, context_.shard,
                 [weak = weak_from_this(), item](bool answers) {
                   if (const auto self = weak.lock()) self->waited_long(item, answers);
                 });
  }
  next_ask_at_ = std::max(next, now + kAskApart);
}

void Lane::waited_long(const ItemPtr& item, bool target_answers) {
  if (retired_) return;
  if (target_answers) {
    park_waiting(item);
    return;
  }
  const bool crowd = retries_.size() >= retries_max_ && target_->is_up();
  item->ask_at = context_.clock.boot_now() + (crowd ? kAskInCrowdAfter : kCheckHoldsFor);
  next_ask_at_ = std::min(next_ask_at_, item->ask_at);
}

// Others are settled beyond it, or wait behind it: it no longer waits in memory for its next
// attempt, if it does.
void Lane::park_waiting(const ItemPtr& item) {
  if (retries_.erase({item->retry_at, item}) == 0) return;
  const auto left = std::chrono::ceil<milliseconds>(item->retry_at - context_.clock.boot_now());
  park(item, ParkedState::retrying, std::exchange(item->retry_reason, {}),
       cause_of_again(item->answer_status), std::max(left, milliseconds{0}));
}

// What holds the partition's cursor, and nothing but its next attempt is awaited.
void Lane::park_far_behind(Partition partition, const route::Progress& progress,
                           const std::shared_ptr<Replay>& replay) {
  if (progress.beyond() < kBeyondBeforeParking) return;
  const auto holds = std::ranges::find_if(retries_, [&](const auto& waiting) {
    const Item& item = *waiting.second;
    return item.replay == replay && item.partition == partition && item.offset == progress.cursor();
  });
  if (holds == retries_.end()) return;
  park_waiting(ItemPtr(holds->second));
}

}  // namespace millrace::deliver
