#include "log/tail_dispatcher.hpp"

#include <algorithm>

namespace millrace {
namespace {

/// Of a larger batch only what someone takes is kept, in copies of about this size: a follower that
/// lags would otherwise hold whole batches for single records.
constexpr std::size_t kKeptBytes = 64u << 10;

void drop(std::vector<TailSubscriber*>& from, TailSubscriber& subscriber) {
  std::erase(from, &subscriber);
}

}  // namespace

void TailDispatcher::subscribe(TailSubscriber& subscriber, const std::vector<std::string>& topics) {
  everyone_.push_back(&subscriber);
  if (topics.empty()) to_all_topics_.push_back(&subscriber);
  for (const std::string& topic : topics) by_topic_[topic].push_back(&subscriber);
}

void TailDispatcher::unsubscribe(TailSubscriber& subscriber) {
  drop(everyone_, subscriber);
  drop(to_all_topics_, subscriber);
  for (auto& [topic, subscribers] : by_topic_) drop(subscribers, subscriber);
  std::erase_if(by_topic_, [](const auto& entry) { return entry.second.empty(); });
}

std::vector<TailDispatcher::Match> TailDispatcher::matches_in(const RecordBatchPtr& batch) const {
  static const Subscribers kNobody;
  std::vector<Match> matches;
  for (std::size_t i = 0; i < batch->records.size(); ++i) {
    const LogRecord& record = batch->records[i];
    const Offset next = next_[record.partition];
    if (next == kSkipPartition || record.offset < next) continue;
    const auto found = by_topic_.find(record.topic);
    if (found == by_topic_.end() && to_all_topics_.empty()) continue;
    matches.push_back({i, found == by_topic_.end() ? &kNobody : &found->second, batch, i});
  }
  if (batch->bytes.size() <= kKeptBytes) return matches;
  std::vector<const LogRecord*> chosen;
  std::size_t bytes = 0;
  for (std::size_t begin = 0, end = 0; end < matches.size(); begin = end, bytes = 0) {
    chosen.clear();
    for (; end < matches.size() && bytes < kKeptBytes; ++end) {
      chosen.push_back(&batch->records[matches[end].index]);
      bytes += text_bytes(*chosen.back());
    }
    const RecordBatchPtr copy = copy_records(chosen);
    for (std::size_t i = begin; i < end; ++i) {
      matches[i].batch = copy;
      matches[i].kept = i - begin;
    }
  }
  return matches;
}

// Matches of one batch stand together.
void TailDispatcher::count(std::vector<Match>& matches) const {
  const RecordBatch* last = nullptr;
  RecordBatchPtr counted;
  for (Match& match : matches) {
    if (match.batch.get() != last) {
      last = match.batch.get();
      counted = budget_->count(std::move(match.batch), memory_of(*last));
    }
    match.batch = counted;
  }
}

void TailDispatcher::advance(const LogRecord& record) {
  Offset& next = next_[record.partition];
  if (next == kSkipPartition || record.offset < next) return;
  if (record.offset > next) {
    for (TailSubscriber* subscriber : everyone_) subscriber->fall_behind();
  }
  next = record.offset + 1;
}

void TailDispatcher::dispatch(const RecordBatchPtr& batch) {
  std::vector<Match> matches = matches_in(batch);
  count(matches);
  auto match = matches.begin();
  // Record by record: a subscriber that falls behind in the middle reads `next()` of that moment.
  for (std::size_t i = 0; i < batch->records.size(); ++i) {
    const bool taken = match != matches.end() && match->index == i;
    advance(batch->records[i]);
    if (!taken) continue;
    const FollowedRecord record{match->batch, &match->batch->records[match->kept],
                                std::make_shared<SharedSlot>(batch->records[i].decoded)};
    for (TailSubscriber* subscriber : *match->by_topic) subscriber->offer(record);
    for (TailSubscriber* subscriber : to_all_topics_) subscriber->offer(record);
    ++match;
  }
}

void TailDispatcher::skip_to(const PartitionOffsets& ends) {
  bool missed = false;
  for (Partition partition = 0; partition < kPartitionCount; ++partition) {
    missed = missed || (next_[partition] != kSkipPartition && ends[partition] > next_[partition]);
  }
  if (!missed) return;
  for (TailSubscriber* subscriber : everyone_) subscriber->fall_behind();
  for (Partition partition = 0; partition < kPartitionCount; ++partition) {
    if (next_[partition] == kSkipPartition) continue;
    next_[partition] = std::max(next_[partition], ends[partition]);
  }
}

void TailDispatcher::own(PartitionSet partitions, const PartitionOffsets& ends) {
  for (Partition partition = 0; partition < kPartitionCount; ++partition) {
    if (!partitions.contains(partition)) {
      next_[partition] = kSkipPartition;
    } else if (next_[partition] == kSkipPartition) {
      next_[partition] = ends[partition];
    }
  }
}

}  // namespace millrace
