// A request that was sent and not answered: the target is asked whether it was applied, before it
// is sent again (semantics 5, "Answers").
#include <fmt/format.h>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"
#include "deliver/repeat.hpp"

namespace millrace::deliver {

bool Lane::is_probed(const Item& item) const {
  return item.request != nullptr &&
         repeat_of(*item.request, target_->idempotent()) == Repeat::probe;
}

// Whatever `unknown` says, what was answered without an id is not sent again: the probe tells it.
bool Lane::asks_first(const Item& item) const {
  if (!item.unanswered || !item.request->probe) return false;
  return is_probed(item) || item.answer_status != 0;
}

// After a crash nobody knows what was on the wire. It is among the first events that are taken up
// again: a lane has never more than kItemsMax that are not recorded.
bool Lane::may_have_been_sent(const Item& item) {
  if (item.offset >= ends_at_start_[item.partition] || taken_up_again_ >= kItemsMax) return false;
  ++taken_up_again_;
  return true;
}

// The target is asked; where it cannot be, the request goes out again, and is counted then.
void Lane::doubt(Item& item) const {
  (is_probed(item) ? item.unanswered : item.may_repeat) = true;
}

// No more than this was on the wire, or answered and not recorded.
void Lane::count_repetition(Item& item) {
  if (!std::exchange(item.may_repeat, false)) return;
  const auto in_flight = static_cast<std::size_t>(target_->in_flight_max());
  const auto rows = static_cast<std::size_t>(parked_places());
  std::size_t& repeated = item.row ? rows_repeated_ : events_repeated_;
  if (repeated >= (item.row ? rows : in_flight + unrecorded_share())) return;
  ++repeated;
  ++counts_.repeated_unknown;
}

bool Lane::recalled(const ItemPtr& item, const DeliveryResult& result) {
  if (!result.recalled) return false;
  --item->attempts;
  ready_of(item).push_back(item);
  start_ready();
  return true;
}

void Lane::probe(const ItemPtr& item) {
  const config::Probe& probe = *item->request->probe;
  config::ConfigHost host(*item->config, nullptr);
  host.set_fetched(&item->references);
  host.set_missing(probe.request.missing);
  auto question = route::render(probe.request, host, *item->event, item->appended_at);
  if (!question && question.error().code == Errc::needs_lookup) {
    context_.shard.spawn("xref", fetch_reference(shared_from_this(), item, host.wanted()));
    return;
  }
  if (!question) {
    park(item, ParkedState::needs_decision,
         fmt::format("sent, and no answer came; and the probe cannot be made: {}",
                     question.error().message),
         "probe failed");
    return;
  }
  DeliveryJob job = job_of(item);
  job.delivery.request = *std::move(question);
  job.delivery.timeout = probe.request.timeout;
  job.classify = [](Outcome& outcome) {
    // Whatever the target itself answers is for `applied` to judge, a 404 above all.
    if (!outcome.answer || outcome.kind != Outcome::Kind::rejected) return;
    outcome.kind = Outcome::Kind::delivered;
    outcome.scope = Outcome::Scope::record;
  };
  job.done = [weak = weak_from_this(), item](DeliveryResult result) {
    if (const auto self = weak.lock()) self->on_probed(item, std::move(result));
  };
  target_->submit(std::move(job));
}

void Lane::on_probed(const ItemPtr& item, DeliveryResult result) {
  came_back(item);
  if (recalled(item, result)) return;
  probed(item, result);
}

void Lane::probed(const ItemPtr& item, const DeliveryResult& result) {
  if (waits_for_decision(item, [this, item, result] { probed(item, result); })) return;
  if (result.outcome.kind != Outcome::Kind::delivered || !result.outcome.answer) {
    on_again(item, result);
  } else {
    judge_probe(item, result);
  }
  start_ready();
  pump();
  retry_parked();
}

void Lane::judge_probe(const ItemPtr& item, const DeliveryResult& result) {
  const config::Probe& probe = *item->request->probe;
  const HttpResponse& answer = *result.outcome.answer;
  const config::ConfigHost host(*item->config, nullptr);
  const auto applied = route::applied(probe.applied, host, *item->event, answer, item->appended_at);
  if (!applied) {
    park(item, ParkedState::needs_decision,
         fmt::format("sent, and no answer came; and `applied` of the probe failed: {}",
                     applied.error().message),
         "probe failed");
    return;
  }
  const std::string asked = fmt::format("probe answered {}", answer.status);
  item->unanswered = false;
  const bool accepted = item->answer_status >= 200 && item->answer_status <= 299;
  if (!*applied && accepted) {
    park(item, ParkedState::needs_decision,
         "delivered, as its answer said, but the probe does not find it; look there, then: "
         "millrace parked release ID --applied EXTERNAL_ID | --not-applied --reason TEXT",
         "empty remember");
    return;
  }
  if (!*applied) {
    context_.trail.note(
        {item->event->event.record, "deliver", id_, "not applied", item->event->event.id, asked});
    DeliveryResult again = result;
    again.outcome.reason = fmt::format("not applied, {}", asked);
    on_again(item, again);
    return;
  }
  if (const auto& remember = probe.remember ? probe.remember : item->request->remember) {
    const auto external = route::remember(*remember, host, *item->event, answer, item->appended_at);
    if (!external) {
      park(item, ParkedState::needs_decision,
           "applied, as the probe says, but it does not say under which id: millrace parked "
           "release ID --applied EXTERNAL_ID",
           "empty remember");
      return;
    }
    bind(*item, *external);
  }
  delivered(item, asked);
}

}  // namespace millrace::deliver
