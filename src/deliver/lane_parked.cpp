// Parked rows of a lane: how work leaves the happy path, comes back by itself.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"

namespace millrace::deliver {
namespace {

constexpr std::size_t kRowsPerScan = 1000;
constexpr milliseconds kTimerMax{1000};
constexpr milliseconds kReadAgainAfter{1000};
constexpr milliseconds kNewsFlowFor{100};

// `$now` of a request is the event's append time: kept, so that it renders to the same bytes.
std::string payload_of(const DecodedEvent& event, WallTime appended_at) {
  std::string payload = encode(event.event, *find(event.input, "data"));
  payload.back() = ',';
  payload += fmt::format(R"("appendedat":"{}"}})", to_rfc3339(appended_at));
  return payload;
}

}  // namespace

Awaitable<Result<void>> Lane::load_parked() {
  for (const auto& [partition, progress] : progress_) {
    const std::string prefix = parked_prefix(id_, partition);
    std::string after;
    for (;;) {
      auto read = [&state = context_.state, prefix, after] {
        return state.scan(Table::parked, prefix, after, kRowsPerScan);
      };
      auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
      if (!rows) co_return std::unexpected(rows.error());
      for (const Row& row : *rows) {
        auto parked = decode_parked_row(row.value);
        if (!parked) co_return std::unexpected(parked.error());
        ParkedIndex::Ref ref = ParkedIndex::Ref::of(
            *parked, appended_at_of(*parked), due_after_load(*parked), context_.clock.boot_now());
        ref.on_wire = parked->attempts > 0;
        parked_.put(hash64(parked->record), std::move(ref));
      }
      if (rows->size() < kRowsPerScan) break;
      after = rows->back().key;
    }
  }
  co_return Result<void>{};
}

// From here on the boot clock counts. A row that was parked by a wall clock far ahead does not wait
// longer than any retry does.
BootTime Lane::due_after_load(const ParkedRow& row) const {
  const auto wait = row.next_at - context_.clock.wall_now();
  return context_.clock.boot_now() +
         std::clamp<microseconds>(wait, microseconds(0), route().retry.max_interval);
}

ParkedRow Lane::new_row(const Item& item) const {
  const Event& event = item.event->event;
  ParkedRow row;
  row.stage = "deliver";
  row.owner = id_;
  row.record = event.record;
  row.partition = item.partition;
  row.offset = item.offset;
  row.type = event.type;
  row.subject = event.subject;
  row.since = context_.clock.wall_now();
  row.send = item.send;
  if (item.replay) row.replay = item.replay->order().number;
  row.new_key = item.new_key != 0;
  if (item.request != nullptr) row.request_name = item.request->event;
  return row;
}

void Lane::park(const ItemPtr& item, ParkedState state, std::string reason, std::string cause,
                milliseconds delay, std::string waits_for) {
  if (item->row && parked_.is_decided(item->record, item->row->key())) {
    item->row.reset();  // a person gave it up while it was tried
    finish(item);
    return;
  }
  write_row(item, state, std::move(reason), std::move(cause), delay, std::move(waits_for));
  const auto found = records_.find(item->record);
  const bool first_of_queue = found != records_.end() && found->second.front() == item;
  const auto blocked = parked_.blocks(item->record);
  if (first_of_queue && blocked) {
    // What waits in memory behind it parks behind it, so that nothing overtakes.
    std::deque<ItemPtr> queue = std::move(found->second);
    records_.erase(found);
    queue.pop_front();
    finish(item);
    for (const ItemPtr& next : queue) {
      write_row(next, *blocked, "an earlier event of this record is parked", "behind", {}, {});
      finish(next);
    }
    return;
  }
  finish(item);
}

void Lane::write_row(const ItemPtr& item, ParkedState state, std::string reason, std::string cause,
                     milliseconds delay, std::string waits_for) {
  if (item->replay && !item->row) ++item->replay->counts(item->partition).parked;
  const BootTime held_since = item->row ? context_.clock.boot_now() : item->taken_at;
  ParkedRow row = item->row ? *std::exchange(item->row, std::nullopt) : new_row(*item);
  row.state = state;
  row.reason = std::move(reason);
  row.cause = std::move(cause);
  row.waits_for = std::move(waits_for);
  row.unanswered = item->unanswered;
  row.attempts = item->attempts;
  row.spent = item->spent;
  row.next_at = context_.clock.wall_now() + delay;
  item->retry_at = context_.clock.boot_now() + delay;
  row.answer_status = item->answer_status;
  row.answer_body = item->answer_body;
  if (item->rendered) {
    row.rendered = true;
    row.request = item->bytes;
  }
  const std::string& event_id = item->event->event.id;
  context_.trail.note({row.record, "deliver", id_, to_string(state), event_id, row.reason});
  if (state == ParkedState::dead) announce_dead(row, event_id);
  writes_.put(Table::parked, row.key(), encode(row, payload_of(*item->event, item->appended_at)));
  // Blocks its record from now on, but is not taken up again before its row is committed.
  ParkedIndex::Ref ref = ParkedIndex::Ref::of(row, item->appended_at, BootTime::max(), held_since);
  ref.uncommitted = true;
  ref.odometer = item->odometer;
  parked_.put(item->record, std::move(ref));
  item->row = std::move(row);
}

void Lane::announce_dead(const ParkedRow& row, const std::string& event_id) {
  spdlog::warn("dead letter route={} id={} record={} attempts={} reason=\"{}\"", id_, row.id(),
               row.record, row.attempts, row.reason);
  const std::string id = stable_hash({id_, row.record, event_id, fmt::format("{}", row.send)});
  JsonObject announcement{{"id", id},
                          {"parked", row.id()},
                          {"route", id_},
                          {"record", row.record},
                          {"event", event_id},
                          {"type", row.type},
                          {"subject", row.subject},
                          {"reason", row.reason},
                          {"at", to_rfc3339(context_.clock.wall_now())}};
  writes_.put(Table::outbox, "dead:" + id, write_json(Json(std::move(announcement))));
  announce_ = true;
}

void Lane::row_committed(const ItemPtr& item) {
  if (!item->row) return;
  const ParkedRow& row = *item->row;
  if (item->row_is_final) {
    parked_.erase(item->record, row.key());
    forget_delivered(row.record);
  } else {
    parked_.committed(item->record, row.key(), item->retry_at);
  }
}

// A decided row says that its event is not taken up once more, whoever goes back; it goes with the
// event.
void Lane::forget_decided() {
  const PartitionOffsets begins = context_.log.begins(context_.stream);
  if (std::exchange(begins_, begins) == begins || stopping_) return;
  for (std::string& key : parked_.take_decided(begins)) {
    writes_.erase(Table::parked, std::move(key));
  }
  if (has_writes()) commit_soon(false);
}

// Parked retries use at most a quarter of the connection, and of the machine only what news leave,
// so that they hold up nobody.
int Lane::parked_places() const {
  return std::max(1, target_->in_flight_max() / 4);
}

void Lane::retry_parked() {
  const int places = parked_places();
  const BootTime now = context_.clock.boot_now();
  const bool news_flow = now - context_.together->news_at < kNewsFlowFor;
  while (!stopping_ && !paused_ && !frozen_ && !commit_stuck_ &&
         parked_outstanding_ + parked_in_turn_ < places) {
    if (news_flow && now - parked_started_at_ < parked_apart_) break;
    const auto due = parked_.take_due(now);
    if (!due) break;
    parked_started_at_ = now;
    ++parked_outstanding_;
    context_.shard.spawn("parked", retry_row(shared_from_this(), due->first, due->second));
  }
  if (parked_.next_due() && !parked_timer_running_ && !stopping_) {
    parked_timer_running_ = true;
    context_.shard.spawn("parked timer", parked_timer(shared_from_this()));
  }
}

Awaitable<void> Lane::parked_timer(std::shared_ptr<Lane> self) {
  const auto next = parked_.next_due();
  if (next) {
    const auto wait = std::chrono::ceil<milliseconds>(*next - context_.clock.boot_now());
    co_await sleep_for(std::clamp<milliseconds>(wait, milliseconds(10), kTimerMax));
  }
  parked_timer_running_ = false;
  retry_parked();
}

Awaitable<void> Lane::retry_row(std::shared_ptr<Lane> self, std::uint64_t record, std::string key) {
  auto read = [&state = context_.state, key] { return state.get(Table::parked, key); };
  auto text = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
  --parked_outstanding_;
  if (!text) {
    spdlog::error("a parked row cannot be read route={} error={}", id_, text.error().message);
    parked_.give_back(record, key, context_.clock.boot_now() + kReadAgainAfter);
    retry_parked();
    co_return;
  }
  if (!*text) {
    parked_.erase(record, key);
    co_return;
  }
  auto row = decode_parked_row(**text);
  const std::string row_id = row ? row->id() : key;
  const ItemPtr item = row ? item_of(*std::move(row)) : nullptr;
  if (!item) {
    spdlog::error("a parked row cannot be used route={} id={}", id_, row_id);
    parked_.set_state(record, key, ParkedState::needs_decision);
    co_return;
  }
  if (stopping_) co_return;
  item->cost = sizeof(Item) + (*text)->size() * kDecodedFactor;
  hold(*item);
  item->odometer = parked_.odometer(record, key);
  // Before the start it may have been on the wire, unanswered: the row does not know.
  if (parked_.may_be_on_wire(record, key)) doubt(*item);
  attempt(item);
}

Lane::ItemPtr Lane::item_of(ParkedRow row) {
  const WallTime appended_at = appended_at_of(row);
  auto event = event_of(std::exchange(row.payload, nullptr));
  if (!event) return nullptr;
  auto item = std::make_shared<Item>();
  item->config = text_.config;
  item->route = text_.route;
  item->event = make_decoded(*std::move(event));
  item->partition = row.partition;
  item->offset = row.offset;
  item->record = hash64(row.record);
  item->send = row.send;
  if (row.new_key) item->new_key = row.replay;
  item->attempts = row.attempts;
  item->unanswered = row.unanswered;
  item->answer_status = row.answer_status;
  item->spent = row.spent;
  item->first_attempt = context_.clock.boot_now();
  item->appended_at = appended_at;
  const std::string name =
      row.request_name.empty() ? std::string(item->event->event.name()) : row.request_name;
  const auto request = std::ranges::find(route().requests, name, &config::RouteRequest::event);
  item->request = request == route().requests.end() ? nullptr : &*request;
  if (row.rendered) {
    item->rendered = true;
    item->bytes = std::exchange(row.request, {});
  }
  item->row = std::move(row);
  return item;
}

void Lane::reference_bound(const std::string& key) {
  if (references_read_ > 0) bound_meanwhile_.insert(key);
  if (parked_.reference_bound(key, context_.clock.boot_now()) > 0) retry_parked();
}

void Lane::release_waiting() {
  if (parked_.release_waiting(context_.clock.boot_now()) > 0) retry_parked();
}

}  // namespace millrace::deliver
