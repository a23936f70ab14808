// Which text an event is rendered with, how far a lane takes events up, and how both change while
// it runs (semantics 5, "Bytes" and "Life of a route").
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"

namespace millrace::deliver {

void Lane::follow() {
  held_back_.reset();
  PartitionOffsets from;
  from.fill(kSkipPartition);
  for (const auto& [partition, progress] : progress_) from[partition] = progress.seen();
  std::vector<std::string> topics{route().entity};
  for (const OlderText& older : older_) {
    const std::string& topic = older.text.route->entity;
    if (std::ranges::find(topics, topic) == topics.end()) topics.push_back(topic);
  }
  mixed_topics_ = topics.size() > 1;
  follower_ = std::make_unique<Follower>(
      FollowerContext{.dispatcher = context_.dispatcher,
                      .log = context_.log,
                      .stream = context_.stream,
                      .shard = context_.shard,
                      .reader = context_.readers.next()},
      from,
      // Each record may hold a decoded event.
      FollowerOptions{.topics = std::move(topics), .records_max = 2 * kItemsMax});
  follower_->set_failed([id = id_, told = false](const Error& error) mutable {
    if (std::exchange(told, true)) return;  // `status` says it as long as it lasts
    spdlog::error("a route cannot read on route={} error={}", id, error.message);
  });
  follower_->set_ready([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump();
  });
}

const RouteText& Lane::text_at(Partition partition, Offset offset) const {
  for (const OlderText& older : older_) {
    if (offset < older.below[partition]) return older.text;
  }
  return text_;
}

bool Lane::beyond_end(const LogRecord& record) const {
  return until_ && record.offset >= (*until_)[record.partition];
}

// What the follower passed over concerns nobody, up to where the lane ends.
void Lane::see_what_passed() {
  if (!follower_) return;
  const PartitionOffsets next = follower_->next_offsets();
  for (auto& [partition, progress] : progress_) {
    Offset passed = next[partition];
    if (held_back_ && held_back_->record->partition == partition) {
      passed = held_back_->record->offset;
    }
    progress.see(until_ ? std::min(passed, (*until_)[partition]) : passed);
  }
}

// Events that were taken up keep their text themselves.
void Lane::forget_older() {
  std::erase_if(older_, [this](const OlderText& older) {
    return std::ranges::all_of(progress_, [&older](const auto& entry) {
      return entry.second.cursor() >= older.below[entry.first];
    });
  });
}

void Lane::look_around() {
  forget_older();
  forget_decided();
  if (replay_ && replay_->read_through()) replay_->follower.reset();
  if (follower_ && follower_->failure()) follower_->retry();
  pump();
}

PartitionOffsets Lane::freeze() {
  frozen_ = true;
  frozen_at_ = taken_through();
  return frozen_at_;
}

PartitionOffsets Lane::taken_through() {
  see_what_passed();
  PartitionOffsets through;
  through.fill(kSkipPartition);
  for (const auto& [partition, progress] : progress_) {
    through[partition] = progress.taken_through();
  }
  return through;
}

void Lane::thaw() {
  frozen_ = false;
  pump();
  start_ready();
  retry_parked();
}

bool Lane::rest() {
  frozen_ = true;
  target_->recall(this);
  flush();
  return outstanding_ == 0 && parked_outstanding_ == 0 && deciding_.empty() && recorded();
}

void Lane::retire() {
  stop();
  retired_ = true;
  target_->recall(this);
}

void Lane::replace(RouteText text, std::shared_ptr<Target> target) {
  const bool other_topic = text.route->entity != route().entity;
  if (text.route->text != route().text) older_.push_back({text_, frozen_at_});
  text_ = std::move(text);
  parked_.set_hold(route().after_dead_letter == config::AfterDeadLetter::hold);
  if (other_topic && !stopping_) follow();
  fails_for_entity();
  retarget(std::move(target));
  thaw();
}

void Lane::retarget(std::shared_ptr<Target> target) {
  if (target_ == target) return;
  // What waits there may never go out any more; it comes back and goes where the route goes now.
  const auto before = std::exchange(target_, std::move(target));
  before->recall(this);
}

void Lane::drain(std::optional<PartitionOffsets> until) {
  const bool goes_on = until_ && !until;
  until_ = until;
  // What lay beyond the end was passed by: it is read again.
  if (goes_on && !stopping_) follow();
  thaw();
}

bool Lane::done() {
  if (!until_ || items_ != 0 || !recorded() || parked_.waiting() != 0 || replay_) return false;
  see_what_passed();
  return std::ranges::all_of(progress_, [this](const auto& entry) {
    return entry.second.cursor() >= (*until_)[entry.first];
  });
}

}  // namespace millrace::deliver
