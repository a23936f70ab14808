#include "canon/doorbell_queue.hpp"

#include <algorithm>

namespace millrace::canon {

DoorbellRow* DoorbellQueue::find(std::int64_t id) {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &found->second;
}

DoorbellRow& DoorbellQueue::add(DoorbellRow row) {
  const std::int64_t id = row.id;
  DoorbellRow& kept = rows_.insert_or_assign(id, std::move(row)).first->second;
  waiting(kept).emplace(kept.due, id);
  return kept;
}

void DoorbellQueue::erase(std::int64_t id) {
  const auto found = rows_.find(id);
  if (found == rows_.end()) return;
  waiting(found->second).erase({found->second.due, id});
  rows_.erase(found);
}

void DoorbellQueue::update(DoorbellRow& row, const std::function<void(DoorbellRow&)>& change) {
  waiting(row).erase({row.due, row.id});
  change(row);
  if (!row.reading) waiting(row).emplace(row.due, row.id);
}

std::vector<std::int64_t> DoorbellQueue::take(BootTime now, bool suspects, std::size_t ids_max) {
  Waiting& queue = suspects ? suspects_ : sound_;
  std::vector<std::int64_t> ids;
  while (!queue.empty() && queue.begin()->first <= now && ids.size() < ids_max) {
    const std::int64_t id = queue.begin()->second;
    queue.erase(queue.begin());
    DoorbellRow& row = rows_.at(id);
    row.reading = true;
    row.dirty = false;
    ids.push_back(id);
  }
  return ids;
}

void DoorbellQueue::put_back(DoorbellRow& row) {
  row.reading = false;
  waiting(row).emplace(row.due, row.id);
}

std::optional<BootTime> DoorbellQueue::next(bool suspects) const {
  const Waiting& queue = suspects ? suspects_ : sound_;
  if (queue.empty()) return std::nullopt;
  return queue.begin()->first;
}

std::size_t DoorbellQueue::committed() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(rows_, [](const auto& entry) { return entry.second.committed; }));
}

std::optional<WallTime> DoorbellQueue::oldest() const {
  std::optional<WallTime> oldest;
  for (const auto& [id, row] : rows_) {
    if (!oldest || row.since < *oldest) oldest = row.since;
  }
  return oldest;
}

}  // namespace millrace::canon
