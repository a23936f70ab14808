#include "deliver/parked_index.hpp"

#include <algorithm>
#include <utility>

namespace millrace::deliver {

bool ParkedIndex::blocking(ParkedState state) const {
  switch (state) {
    case ParkedState::resubmitted:
    case ParkedState::discarded:
      return false;
    case ParkedState::dead:
      return hold_after_dead_;
    default:
      return true;
  }
}

void ParkedIndex::put(std::uint64_t record, Ref ref) {
  auto& refs = records_[record];
  const auto at = std::ranges::lower_bound(refs, ref.key, {}, &Ref::key);
  ++counts_[ref.state];
  if (at != refs.end() && at->key == ref.key) {
    --counts_[at->state];
    *at = std::move(ref);
  } else {
    refs.insert(at, std::move(ref));
    ++size_;
  }
  schedule(record);
}

void ParkedIndex::erase(std::uint64_t record, const std::string& key) {
  const auto found = records_.find(record);
  if (found == records_.end()) return;
  auto& refs = found->second;
  const auto at = std::ranges::lower_bound(refs, key, {}, &Ref::key);
  if (at == refs.end() || at->key != key) return;
  --counts_[at->state];
  --size_;
  refs.erase(at);
  schedule(record);
  if (refs.empty()) records_.erase(record);
}

std::optional<ParkedState> ParkedIndex::blocks(std::uint64_t record) const {
  const auto found = records_.find(record);
  if (found == records_.end()) return std::nullopt;
  std::optional<ParkedState> verdict;
  for (const Ref& ref : found->second) {
    if (!blocking(ref.state)) continue;
    if (ref.state == ParkedState::dead || ref.state == ParkedState::held) return ParkedState::held;
    verdict = ParkedState::behind;
  }
  return verdict;
}

// Only the first blocking row of a record can be tried; `behind` with nothing before it is due.
void ParkedIndex::schedule(std::uint64_t record) {
  if (const auto old = scheduled_.find(record); old != scheduled_.end()) {
    due_.erase({old->second, record});
    scheduled_.erase(old);
  }
  const auto found = records_.find(record);
  if (found == records_.end()) return;
  for (const Ref& ref : found->second) {
    if (!blocking(ref.state)) continue;
    if (ref.taken) return;
    const bool by_itself = ref.state == ParkedState::retrying || ref.state == ParkedState::behind ||
                           ref.state == ParkedState::held ||
                           ref.state == ParkedState::waiting_reference;
    if (!by_itself) return;
    due_.emplace(ref.next_at, record);
    scheduled_.emplace(record, ref.next_at);
    return;
  }
}

std::optional<std::pair<std::uint64_t, std::string>> ParkedIndex::take_due(WallTime now) {
  if (due_.empty() || due_.begin()->first > now) return std::nullopt;
  const std::uint64_t record = due_.begin()->second;
  due_.erase(due_.begin());
  scheduled_.erase(record);
  for (Ref& ref : records_.at(record)) {
    if (!blocking(ref.state)) continue;
    ref.taken = true;
    return std::pair(record, ref.key);
  }
  return std::nullopt;
}

std::optional<WallTime> ParkedIndex::next_due() const {
  return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
}

std::size_t ParkedIndex::reference_bound(const std::string& key, WallTime now) {
  if (counts_[ParkedState::waiting_reference] == 0) return 0;
  std::size_t released = 0;
  for (auto& [record, refs] : records_) {
    bool touched = false;
    for (Ref& ref : refs) {
      if (ref.state != ParkedState::waiting_reference || ref.waits_for != key) continue;
      ref.next_at = now;
      touched = true;
    }
    if (!touched || !scheduled_.contains(record)) continue;
    schedule(record);
    ++released;
  }
  return released;
}

std::size_t ParkedIndex::release_waiting(WallTime now) {
  std::size_t released = 0;
  for (auto& [record, refs] : records_) {
    for (Ref& ref : refs) {
      if (ref.state != ParkedState::waiting_reference) continue;
      ref.next_at = now;
      ++released;
    }
    if (scheduled_.contains(record)) schedule(record);
  }
  return released;
}

std::size_t ParkedIndex::waiting() const {
  return size_ - count(ParkedState::resubmitted) - count(ParkedState::discarded);
}

void ParkedIndex::set_hold(bool hold_after_dead) {
  if (std::exchange(hold_after_dead_, hold_after_dead) == hold_after_dead) return;
  for (const auto& [record, refs] : records_) {
    const bool has_dead =
        std::ranges::any_of(refs, [](const Ref& ref) { return ref.state == ParkedState::dead; });
    if (has_dead) schedule(record);
  }
}

std::size_t ParkedIndex::count(ParkedState state) const {
  const auto found = counts_.find(state);
  return found == counts_.end() ? 0 : found->second;
}

}  // namespace millrace::deliver
