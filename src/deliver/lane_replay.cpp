// A replay in a lane: events of the past beside those that are new, in the same order per record,
// with the same limits, and never in the way of what is new (semantics 5, "Replay").
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "config/host.hpp"
#include "deliver/item.hpp"
#include "deliver/lane.hpp"
#include "net/callback.hpp"
#include "route/selection.hpp"

namespace millrace::deliver {
namespace {

constexpr std::size_t kReplayItemsMax = kItemsMax / 4;

}  // namespace

void Lane::begin_replay(ReplayStart start) {
  if (stopping_ || replay_) return;
  replay_ = std::make_shared<Replay>(std::move(start));
  if (fails_for_entity()) return;
  for (const auto& [record, queue] : records_) {
    if (!queue.empty() && !queue.back()->replay) replay_->news(record, queue.back()->offset);
  }
  context_.shard.spawn("replay", index_replay(shared_from_this(), replay_));
}

// From the beginning of what is left up to where the lane stands; what it takes up from here on
// says so itself.
Awaitable<void> Lane::index_replay(std::shared_ptr<Lane> self, std::shared_ptr<Replay> replay) {
  PartitionOffsets to{};
  see_what_passed();
  for (const auto& [partition, progress] : progress_) to[partition] = progress.taken_through();
  const auto scan = std::make_shared<ReplayScan>(context_.log, text_.config, *text_.route,
                                                 replay->order_ptr(), replay->next(), to);
  for (bool through = false; !through;) {
    auto step = [scan] { return scan->step(); };
    auto stepped = co_await offload(context_.readers.next(), context_.shard, std::move(step));
    if (stopping_ || replay_ != replay) co_return;
    if (!stepped) {
      replay_failed(stepped.error());
      co_return;
    }
    through = *stepped;
  }
  replay->set_index(scan->take_index());
  follow_replay();
  pump();
}

void Lane::follow_replay() {
  replay_->follower = std::make_unique<Follower>(
      FollowerContext{.dispatcher = context_.dispatcher,
                      .log = context_.log,
                      .stream = context_.stream,
                      .shard = context_.shard,
                      .reader = context_.readers.next()},
      replay_->next(),
      FollowerOptions{.topics = {route().entity}, .records_max = 2 * kReplayItemsMax});
  replay_->follower->set_failed([weak = weak_from_this()](const Error& error) {
    if (const auto self = weak.lock(); self && self->replay_) self->replay_failed(error);
  });
  replay_->follower->set_ready([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump();
  });
}

void Lane::replay_failed(const Error& error) {
  spdlog::error("a replay cannot go on route={} error=\"{}\"", id_, error.message);
  replay_->failed = error.message;
}

bool Lane::fails_for_entity() {
  if (!replay_ || replay_->order().entity == route().entity) return false;
  replay_failed({Errc::conflict, "the route takes the events of another entity now"});
  return true;
}

void Lane::end_replay() {
  if (!replay_) return;
  replay_.reset();
  start_ready();
}

// A quarter of what the lane may hold, so that there is always room for what is new.
bool Lane::has_room_for_replay() const {
  if (replay_->items < kItemsAlways) return true;
  return replay_->items < kReplayItemsMax && replay_->bytes < kTakenBytesMax / 4 && has_bytes();
}

void Lane::pump_replay() {
  if (!replay_ || !replay_->follower || !replay_->failed.empty()) return;
  Replay& replay = *replay_;
  while (may_take_up() && has_room_for_replay()) {
    if (!replay.held_back) replay.held_back = replay.follower->pop();
    if (!replay.held_back) break;
    const LogRecord& record = *replay.held_back->record;
    const Offset until = replay.order().until[record.partition];
    if (record.offset >= until) {
      replay.held_back.reset();
      continue;
    }
    route::Progress& progress = replay.partitions().at(record.partition).progress;
    progress.see(record.offset);
    park_far_behind(record.partition, progress, replay_);
    if (!progress.has_room_for(record.offset)) return;
    const FollowedRecord followed = *std::exchange(replay.held_back, std::nullopt);
    take_replayed(followed);
  }
  if (replay.held_back) return;
  replay.see(replay.follower->next_offsets());
  if (replay.dirty()) commit_soon(false);
}

// Of one event: what the route would do with it as it is now, and whether it is sent at all.
void Lane::take_replayed(const FollowedRecord& followed) {
  const LogRecord& record = *followed.record;
  route::Progress& progress = replay_->partitions().at(record.partition).progress;
  if (progress.was_settled(record.offset)) {
    progress.see(record.offset + 1);
    return;
  }
  progress.take(record.offset);
  ItemPtr item = replayed(followed);
  if (!item || passes_by(*item)) {
    progress.settle(record.offset);
    return;
  }
  item->replay = replay_;
  if (replay_->order().again) item->new_key = replay_->order().number;
  if (item->request == nullptr) {
    hold(*item);
    park(item, ParkedState::dead, "`when` failed", "when failed");
    return;
  }
  enqueue(std::move(item));
}

Lane::ItemPtr Lane::replayed(const FollowedRecord& followed) {
  const LogRecord& record = *followed.record;
  auto event = route::acted_on(*text_.config, route(), record);
  if (!event || !*event) return nullptr;
  const std::string& only = replay_->order().record;
  if (!only.empty() && (*event)->event.record != only) return nullptr;
  auto item = std::make_shared<Item>();
  item->config = text_.config;
  item->route = text_.route;
  item->event = *std::move(event);
  item->partition = record.partition;
  item->offset = record.offset;
  item->appended_at = record.appended_at;
  item->taken_at = context_.clock.boot_now();
  item->record = hash64(item->event->event.record);
  item->cost = sizeof(Item) + record.payload.size() * kDecodedFactor;
  const config::ConfigHost host(*item->config, nullptr);
  const auto selection = route::select(*item->route, host, *item->event);
  if (selection) item->request = selection->request;
  return item;
}

bool Lane::passes_by(Item& item) {
  ReplayCounts& counts = replay_->counts(item.partition);
  switch (replay_->judge(item.record, item.partition, item.offset)) {
    case Replay::Verdict::superseded:
      ++counts.superseded;
      return true;
    case Replay::Verdict::overtaken:
      ++counts.overtaken;
      return true;
    case Replay::Verdict::send:
      break;
  }
  if (parked_.has_other_than(item.record, replay_->order().number)) {
    ++counts.held;
    return true;
  }
  if (const auto decided = parked_.decided(item.record, item.offset)) {
    if (decided->given_up) ++counts.decided;
    if (decided->given_up) return true;
    item.send = decided->send;
  }
  return false;
}

void Lane::put_replay_rows() {
  if (!replay_) return;
  for (const Partition partition : replay_->take_dirty()) {
    writes_.put(Table::cursors, row_key(replay_owner(id_), fmt::format("{:02x}", partition)),
                encode(replay_->partitions().at(partition), context_.stream_id));
  }
}

}  // namespace millrace::deliver
