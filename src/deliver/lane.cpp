#include "deliver/lane.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "deliver/item.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::deliver {
namespace {

constexpr std::size_t kWaitingBehindMax = 128;  // behind one retried record, before it parks

}  // namespace

Lane::Lane(LaneContext context, LaneStart start)
    : context_(std::move(context)),
      text_(std::move(start.text)),
      id_(text_.route->id()),
      older_(std::move(start.older)),
      until_(start.until),
      restored_(start.restored),
      target_(std::move(start.target)),
      progress_(std::move(start.progress)),
      start_replay_(std::move(start.replay)),
      parked_total_(start.parked_total ? std::move(start.parked_total)
                                       : std::make_shared<std::atomic<std::int64_t>>(0)),
      parked_(route().after_dead_letter == config::AfterDeadLetter::hold, parked_total_),
      recorded_(context_.shard.context()),
      paused_(start.paused.has_value()),
      pause_reason_(start.paused.value_or("")) {}

Lane::~Lane() {
  context_.together->taken_bytes -= taken_bytes_;
}

Awaitable<Result<void>> Lane::start() {
  auto loaded = co_await load_parked();
  MILLRACE_CO_CHECK_OK(std::move(loaded));
  auto delivered = co_await load_delivered();
  MILLRACE_CO_CHECK_OK(std::move(delivered));
  ends_at_start_ = context_.log.ends(context_.stream);
  follow();
  if (start_replay_) begin_replay(*std::exchange(start_replay_, std::nullopt));
  co_return Result<void>{};
}

void Lane::stop() {
  stopping_ = true;
  follower_.reset();
  held_back_.reset();
  if (replay_) replay_->follower.reset();
}

void Lane::pause(std::string reason) {
  paused_ = true;
  pause_reason_ = std::move(reason);
}

void Lane::resume() {
  paused_ = false;
  pause_reason_.clear();
  pump();
  start_ready();
  retry_parked();
}

bool Lane::has_room() const {
  if (items_ < kItemsAlways) return true;
  if (items_ >= kItemsMax) return false;
  // Lanes whose targets are down may hold all there is for long: who is answered goes on.
  return has_bytes() || (taken_bytes_ < kTakenBytesAlways && target_->is_up());
}

bool Lane::has_bytes() const {
  return taken_bytes_ < kTakenBytesMax &&
         context_.together->taken_bytes.load(std::memory_order_relaxed) < kTakenBytesOfShardMax;
}

void Lane::hold(const Item& item) {
  ++items_;
  taken_bytes_ += item.cost;
  context_.together->taken_bytes.fetch_add(item.cost, std::memory_order_relaxed);
  if (!item.replay) return;
  ++item.replay->items;
  item.replay->bytes += item.cost;
}

void Lane::let_go(const Item& item) {
  --items_;
  taken_bytes_ -= item.cost;
  context_.together->taken_bytes.fetch_sub(item.cost, std::memory_order_relaxed);
  if (!item.replay) return;
  --item.replay->items;
  item.replay->bytes -= item.cost;
}

void Lane::pump() {
  while (may_take_up() && has_room()) {
    if (!held_back_) held_back_ = follower_->pop();
    if (!held_back_) break;
    const LogRecord& record = *held_back_->record;
    if (beyond_end(record)) {
      held_back_.reset();
      continue;
    }
    route::Progress& progress = progress_.at(record.partition);
    // Between the last one and this nothing concerns the route, however far apart they are.
    progress.see(record.offset);
    park_far_behind(record.partition, progress, nullptr);
    if (!progress.has_room_for(record.offset)) break;
    const FollowedRecord followed = *std::exchange(held_back_, std::nullopt);
    take(followed);
  }
  pump_replay();
}

void Lane::take(const FollowedRecord& followed) {
  const LogRecord& record = *followed.record;
  route::Progress& progress = progress_.at(record.partition);
  if (progress.was_settled(record.offset)) {
    progress.see(record.offset + 1);
    return;
  }
  const RouteText& text = text_at(record.partition, record.offset);
  if (mixed_topics_ && record.topic != text.route->entity) {
    progress.see(record.offset + 1);
    return;
  }
  progress.take(record.offset);
  auto event = std::static_pointer_cast<const DecodedEvent>(followed.shared->value);
  if (!event) {
    auto decoded = route::decode(record.payload);
    if (!decoded) {
      // The journal's checksum held, so these bytes were written: nothing a retry could mend.
      spdlog::error("an event cannot be decoded partition={} offset={} error={}", record.partition,
                    record.offset, decoded.error().message);
      settle(record.partition, record.offset);
      return;
    }
    event = *std::move(decoded);
    followed.shared->value = event;
  }
  auto item = std::make_shared<Item>();
  item->config = text.config;
  item->route = text.route;
  item->event = std::move(event);
  item->partition = record.partition;
  item->offset = record.offset;
  item->appended_at = record.appended_at;
  item->taken_at = context_.clock.boot_now();
  item->record = hash64(item->event->event.record);
  item->cost = sizeof(Item) + record.payload.size() * kDecodedFactor;
  take_decoded(std::move(item));
}

void Lane::take_decoded(ItemPtr item) {
  const Event& event = item->event->event;
  if (parked_.size() > 0 && parked_.has_row(item->record, item->offset)) {
    pass_by(*item);  // a move went back: what was parked has its own row, or a person decided it
    return;
  }
  if (!item->route->only_event.empty() && event.name() != item->route->only_event) {
    pass_by(*item);
    return;
  }
  const config::ConfigHost host(*item->config, nullptr);
  const auto selection = route::select(*item->route, host, *item->event);
  if (!selection) {
    // `when` failed: nobody knows whether it should go, so a person looks at it.
    hold(*item);
    park(item, ParkedState::dead, fmt::format("`when` failed: {}", selection.error().message),
         "when failed");
    return;
  }
  if (selection->verdict != route::Verdict::act) {
    if (selection->verdict == route::Verdict::covered) {
      context_.trail.note({event.record, "deliver", id_, "covered", event.id,
                           fmt::format("`{}` is sent for this change", selection->request->event)});
    }
    ++counts_.skipped;
    pass_by(*item);
    return;
  }
  item->request = selection->request;
  if (may_have_been_sent(*item)) doubt(*item);
  if (event.rev == 0 && !event.subject.empty()) {
    // Sent to /events: no projection gave it a name to be found by.
    writes_.put(Table::names, row_key(indexed_name(event.subject), event.entity, event.record),
                fmt::format(R"({{"since":"{}"}})", to_rfc3339(event.time)));
  }
  if (replay_) replay_->news(item->record, item->offset);
  if (asked_after_restore(item)) return;
  enqueue(std::move(item));
}

void Lane::enqueue(ItemPtr item) {
  hold(*item);
  if (const auto blocked = parked_.blocks(item->record)) {
    park(item, *blocked, "an earlier event of this record is parked", "behind");
    return;
  }
  auto& queue = records_[item->record];
  queue.push_back(item);
  if (queue.size() == 1) {
    ready_of(item).push_back(item);
    start_ready();
    return;
  }
  const ItemPtr first = queue.front();
  if (queue.size() > kWaitingBehindMax && first->attempts > 0) {
    park_waiting(first);
  }
}

void Lane::start_ready() {
  while (may_start()) {
    const ItemPtr item = next_ready();
    if (!item) return;
    attempt(item);
  }
}

bool Lane::may_start() const {
  // Duplicates after a crash stay within in_flight + unrecorded (semantics 5).
  return !stopping_ && !paused_ && !frozen_ && !commit_stuck_ &&
         outstanding_ < target_->in_flight_max() &&
         finished_.size() + committing_.size() < unrecorded_share();
}

std::deque<Lane::ItemPtr>& Lane::ready_of(const ItemPtr& item) {
  return item->replay ? ready_of_replay_ : ready_;
}

// What is new goes first; of a replay one at least is under way, so that neither waits for good,
// and no more than half of what the connection takes.
Lane::ItemPtr Lane::next_ready() {
  const int places = std::max(1, target_->in_flight_max() / 2);
  const bool replay_turn = !ready_of_replay_.empty() && replay_outstanding_ < places &&
                           (ready_.empty() || replay_outstanding_ == 0);
  auto& queue = replay_turn ? ready_of_replay_ : ready_;
  if (queue.empty()) return nullptr;
  ItemPtr item = std::move(queue.front());
  queue.pop_front();
  return item;
}

void Lane::attempt(const ItemPtr& item) {
  if (retired_) return;
  if (item->replay && item->replay != replay_ && item->attempts == 0) {
    finish(item);  // a person ended the replay before it was sent
    return;
  }
  if (frozen_ || commit_stuck_) {
    // A move or a reload looks at what is on the wire, or what was delivered cannot be saved.
    ready_of(item).push_front(item);
    return;
  }
  if (waits_for_decision(item, [this, item] { attempt(item); })) return;
  if (item->row && parked_.is_decided(item->record, item->row->key())) {
    item->row.reset();  // a person gave it up before it was tried
    finish(item);
    return;
  }
  if (item->request == nullptr) {
    park(item, ParkedState::dead, "the route no longer has a request for this event", "no request");
    return;
  }
  if (!has_its_turn(item)) return;
  if (asks_first(*item)) {
    probe(item);
    return;
  }
  if (!item->rendered) {
    config::ConfigHost host(*item->config, nullptr);
    host.set_fetched(&item->references);
    host.set_missing(item->request->missing);
    auto rendered = route::render(*item->request, host, *item->event, item->appended_at);
    if (!rendered) {
      on_unrendered(item, rendered.error(), host.wanted());
      return;
    }
    item->bytes = *std::move(rendered);
    item->rendered = true;
  }
  submit(item);
}

Awaitable<void> Lane::fetch_reference(std::shared_ptr<Lane> self, ItemPtr item, std::string key) {
  auto read = [&state = context_.state, key] { return state.get(Table::xref, key); };
  ++references_read_;
  auto row = co_await offload_until_back(context_.readers, context_.shard, read);
  if (row && !*row && bound_meanwhile_.contains(key)) {
    // Bound after it was looked for: once parked, nobody would tell it again.
    row = co_await offload_until_back(context_.readers, context_.shard, read);
  }
  if (--references_read_ == 0) bound_meanwhile_.clear();
  if (!row) {
    spdlog::error("the identity map cannot be read route={} error={}", id_, row.error().message);
    retry_later(item, milliseconds(1000), "the identity map cannot be read");
    co_return;
  }
  item->references[key] = *row;
  attempt(item);
}

DeliveryJob Lane::job_of(const ItemPtr& item) {
  ++item->attempts;
  if (item->attempts == 1) {
    item->first_attempt = context_.clock.boot_now();
    if (!item->row && !item->replay) context_.together->news_at = item->first_attempt;
  }
  ++outstanding_;
  if (item->row) ++parked_outstanding_;
  if (item->replay) ++replay_outstanding_;
  DeliveryJob job;
  job.delivery.event_id = item->event->event.id;
  job.delivery.attempt = item->attempts;
  job.delivery.timeout = item->request->timeout;
  job.record = item->record;
  job.first_attempt = item->first_attempt;
  job.exclusive = item->exclusive.value_or(0);
  job.parked = item->row.has_value();
  job.home = &context_.shard;
  job.owner = this;
  return job;
}

void Lane::submit(const ItemPtr& item) {
  const Event& event = item->event->event;
  count_repetition(*item);
  DeliveryJob job = job_of(item);
  job.delivery.request = item->bytes;
  // Ids of events sent by others are unique per source only, so the record is part of the key.
  std::string send = fmt::format("{}", item->send);
  if (item->new_key != 0) send += fmt::format(" of replay {}", item->new_key);
  job.delivery.idempotency_key = stable_hash(
      {context_.installation_uuid, id_, event.id, event.record, item->request->event, send});
  if (!item->request->treat.rules.empty()) {
    job.classify = [item](Outcome& outcome) {
      if (!outcome.answer) return;
      const config::ConfigHost host(*item->config, nullptr);
      const auto verdict = route::treat(item->request->treat, host, *item->event, *outcome.answer,
                                        item->appended_at);
      if (!verdict) {
        outcome.reason += fmt::format(" (`treat` failed: {})", verdict.error().message);
        return;
      }
      if (!*verdict) return;
      outcome.scope = Outcome::Scope::record;
      for (const auto kind :
           {Outcome::Kind::delivered, Outcome::Kind::again, Outcome::Kind::rejected,
            Outcome::Kind::unknown, Outcome::Kind::needs_decision}) {
        if (to_string(kind) == **verdict) outcome.kind = kind;
      }
    };
  }
  job.done = [weak = weak_from_this(), item](DeliveryResult result) {
    if (const auto self = weak.lock()) self->on_result(item, std::move(result));
  };
  target_->submit(std::move(job));
}

LaneStatus Lane::status() const {
  LaneStatus status = counts_;
  status.paused = paused_;
  status.pause_reason = pause_reason_;
  status.crowded = crowded();
  status.unsaved = commit_stuck_;
  const std::size_t replayed = replay_ ? replay_->items : 0;
  status.waiting = items_ - replayed;
  if (replay_) status.replay = replay_->status();
  status.parked = parked_.size() - parked_.count(ParkedState::dead) -
                  parked_.count(ParkedState::resubmitted) - parked_.count(ParkedState::discarded);
  status.dead = parked_.count(ParkedState::dead);
  status.undecided =
      parked_.count(ParkedState::unknown) + parked_.count(ParkedState::needs_decision);
  if (follower_) {
    const PartitionOffsets ends = context_.log.ends(context_.stream);
    const PartitionOffsets next = follower_->next_offsets();
    for (const auto& [partition, progress] : progress_) {
      const Offset end = until_ ? std::min(ends[partition], (*until_)[partition]) : ends[partition];
      status.lag += end - std::min(end, next[partition]);
    }
    status.lag += status.waiting;
    status.unreadable = follower_->failure();
  }
  add_oldest(status);
  return status;
}

void Lane::add_oldest(LaneStatus& status) const {
  const BootTime now = context_.clock.boot_now();
  if (const ParkedIndex::Ref* row = parked_.oldest()) {
    status.oldest_at = row->since;
    status.oldest_row = row->key;
    status.oldest_held = now - row->held_since;
  }
  for (const auto& [record, queue] : records_) {
    if (queue.empty()) continue;
    const Item& item = *queue.front();
    if (item.replay) continue;  // it was delivered in its time
    if (!status.oldest_at || item.appended_at < *status.oldest_at) {
      status.oldest_at = item.appended_at;
      status.oldest_row.clear();
      status.oldest_record = item.event->event.record;
      status.oldest_held = now - item.taken_at;
    }
  }
}

}  // namespace millrace::deliver
