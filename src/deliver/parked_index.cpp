#include "deliver/parked_index.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace millrace::deliver {
namespace {

constexpr std::size_t kAgesMin = 64;

bool undecided(ParkedState state) {
  return state != ParkedState::resubmitted && state != ParkedState::discarded;
}

// Still to be delivered: a dead letter is told of as such.
bool is_undelivered(ParkedState state) {
  return undecided(state) && state != ParkedState::dead;
}

Offset offset_of(const ParkedIndex::Ref& ref) {
  return parked_offset(ref.key);
}

}  // namespace

ParkedIndex::Ref ParkedIndex::Ref::of(const ParkedRow& row, WallTime appended_at, BootTime due,
                                      BootTime held_since) {
  Ref ref;
  ref.key = row.key();
  ref.state = row.state;
  ref.due = due;
  ref.waits_for = row.waits_for;
  // What a replay sends was delivered in its time.
  ref.since = row.replay != 0 ? row.since : appended_at;
  ref.held_since = held_since;
  ref.replay = row.replay;
  return ref;
}

ParkedIndex::~ParkedIndex() {
  if (total_) *total_ -= static_cast<std::int64_t>(waiting());
}

void ParkedIndex::count(ParkedState state, int change) {
  counts_[state] += static_cast<std::size_t>(change);
  if (total_ && undecided(state)) *total_ += change;
}

const ParkedIndex::Ref* ParkedIndex::find(std::uint64_t record, const std::string& key) const {
  const auto found = records_.find(record);
  if (found == records_.end()) return nullptr;
  const auto at = std::ranges::lower_bound(found->second, key, {}, &Ref::key);
  return at != found->second.end() && at->key == key ? &*at : nullptr;
}

ParkedIndex::Ref* ParkedIndex::find(std::uint64_t record, const std::string& key) {
  return const_cast<Ref*>(std::as_const(*this).find(record, key));
}

bool ParkedIndex::is_decided(std::uint64_t record, const std::string& key) const {
  const Ref* ref = find(record, key);
  return ref != nullptr && !undecided(ref->state);
}

bool ParkedIndex::is_taken(std::uint64_t record, const std::string& key) const {
  const Ref* ref = find(record, key);
  return ref != nullptr && ref->taken;
}

std::optional<microseconds> ParkedIndex::odometer(std::uint64_t record,
                                                  const std::string& key) const {
  const Ref* ref = find(record, key);
  return ref == nullptr ? std::nullopt : ref->odometer;
}

bool ParkedIndex::may_be_on_wire(std::uint64_t record, const std::string& key) const {
  const Ref* ref = find(record, key);
  return ref != nullptr && ref->on_wire;
}

bool ParkedIndex::has_before(std::uint64_t record, Offset offset) const {
  const auto found = records_.find(record);
  return found != records_.end() && std::ranges::any_of(found->second, [offset](const Ref& ref) {
           return undecided(ref.state) && parked_offset(ref.key) < offset;
         });
}

bool ParkedIndex::has_row(std::uint64_t record, Offset offset) const {
  const auto found = records_.find(record);
  return found != records_.end() &&
         std::ranges::binary_search(found->second, offset, {}, offset_of);
}

std::vector<std::string> ParkedIndex::take_decided(const PartitionOffsets& begins) {
  std::vector<std::pair<std::uint64_t, std::string>> taken;
  for (const auto& [record, refs] : records_) {
    for (const Ref& ref : refs) {
      const bool gone = parked_offset(ref.key) < begins[parked_partition(ref.key)];
      if (gone && !undecided(ref.state)) taken.emplace_back(record, ref.key);
    }
  }
  std::vector<std::string> keys;
  for (auto& [record, key] : taken) {
    erase(record, key);
    keys.push_back(std::move(key));
  }
  return keys;
}

bool ParkedIndex::has_other_than(std::uint64_t record, std::uint64_t replay) const {
  const auto found = records_.find(record);
  return found != records_.end() && std::ranges::any_of(found->second, [replay](const Ref& ref) {
           return undecided(ref.state) && ref.replay != replay;
         });
}

std::optional<ParkedIndex::Decided> ParkedIndex::decided(std::uint64_t record,
                                                         Offset offset) const {
  const auto found = records_.find(record);
  if (found == records_.end()) return std::nullopt;
  std::optional<Decided> last;
  for (const Ref& ref : found->second) {
    if (undecided(ref.state) || parked_offset(ref.key) != offset) continue;
    // A row that was sent again has gone by now, unless it is the next.
    last = {ref.state == ParkedState::discarded, parked_send(ref.key) + 1};
  }
  return last;
}

bool ParkedIndex::set_delivered(std::uint64_t record, Offset offset) {
  const auto [at, fresh] = delivered_.try_emplace(record, offset);
  if (!fresh && at->second >= offset) return false;
  at->second = offset;
  return true;
}

std::optional<Offset> ParkedIndex::delivered(std::uint64_t record) const {
  const auto found = delivered_.find(record);
  return found == delivered_.end() ? std::nullopt : std::optional(found->second);
}

bool ParkedIndex::forget_delivered(std::uint64_t record) {
  if (delivered_.empty() || has_before(record, ~Offset{0})) return false;
  return delivered_.erase(record) > 0;
}

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
  count(ref.state, 1);
  if (ref.uncommitted) {
    uncommitted_.insert(ref.key);
  } else {
    uncommitted_.erase(ref.key);
  }
  const bool known = at != refs.end() && at->key == ref.key;
  const bool has_age = known && is_undelivered(at->state);
  if (!has_age && is_undelivered(ref.state)) note_age(record, ref);
  if (known) {
    count(at->state, -1);
    ref.held_since = std::min(ref.held_since, at->held_since);
    if (!ref.odometer) ref.odometer = at->odometer;
    *at = std::move(ref);
  } else {
    refs.insert(at, std::move(ref));
    ++size_;
  }
  forget_ages();
  schedule(record);
}

void ParkedIndex::set_state(std::uint64_t record, const std::string& key, ParkedState state) {
  const Ref* known = find(record, key);
  if (known == nullptr) return;
  Ref ref = *known;
  ref.state = state;
  ref.taken = ref.uncommitted = false;
  put(record, std::move(ref));
}

void ParkedIndex::erase(std::uint64_t record, const std::string& key) {
  const auto found = records_.find(record);
  if (found == records_.end()) return;
  auto& refs = found->second;
  const auto at = std::ranges::lower_bound(refs, key, {}, &Ref::key);
  if (at == refs.end() || at->key != key) return;
  count(at->state, -1);
  uncommitted_.erase(key);
  --size_;
  refs.erase(at);
  schedule(record);
  if (refs.empty()) records_.erase(record);
  forget_ages();
}

void ParkedIndex::committed(std::uint64_t record, const std::string& key, BootTime due) {
  Ref* ref = find(record, key);
  if (ref == nullptr || !ref->uncommitted) return;  // a person decided it meanwhile
  ref->uncommitted = false;
  uncommitted_.erase(key);
  ref->due = std::min(ref->due, due);
  schedule(record);
}

void ParkedIndex::give_back(std::uint64_t record, const std::string& key, BootTime due) {
  Ref* ref = find(record, key);
  if (ref == nullptr || !ref->taken) return;
  ref->taken = false;
  ref->due = due;
  schedule(record);
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
    if (ref.taken || ref.uncommitted) return;
    const bool by_itself = ref.state == ParkedState::retrying || ref.state == ParkedState::behind ||
                           ref.state == ParkedState::held ||
                           ref.state == ParkedState::waiting_reference;
    if (!by_itself) return;
    due_.emplace(ref.due, record);
    scheduled_.emplace(record, ref.due);
    return;
  }
}

std::optional<std::pair<std::uint64_t, std::string>> ParkedIndex::take_due(BootTime now) {
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

std::optional<BootTime> ParkedIndex::next_due() const {
  return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
}

std::size_t ParkedIndex::reference_bound(const std::string& key, BootTime now) {
  if (counts_[ParkedState::waiting_reference] == 0) return 0;
  std::size_t released = 0;
  for (auto& [record, refs] : records_) {
    bool touched = false;
    for (Ref& ref : refs) {
      if (ref.state != ParkedState::waiting_reference || ref.waits_for != key) continue;
      ref.due = now;
      touched = true;
    }
    if (!touched || !scheduled_.contains(record)) continue;
    schedule(record);
    ++released;
  }
  return released;
}

std::size_t ParkedIndex::release_waiting(BootTime now) {
  std::size_t released = 0;
  for (auto& [record, refs] : records_) {
    for (Ref& ref : refs) {
      if (ref.state != ParkedState::waiting_reference) continue;
      ref.due = now;
      ++released;
    }
    if (scheduled_.contains(record)) schedule(record);
  }
  return released;
}

const ParkedIndex::Ref* ParkedIndex::oldest() const {
  return ages_.empty() ? nullptr : undelivered(ages_.front());
}

const ParkedIndex::Ref* ParkedIndex::undelivered(const Age& age) const {
  const auto found = records_.find(age.record);
  if (found == records_.end()) return nullptr;
  for (const Ref& ref : std::ranges::equal_range(found->second, age.offset, {}, offset_of)) {
    if (is_undelivered(ref.state)) return &ref;
  }
  return nullptr;
}

void ParkedIndex::note_age(std::uint64_t record, const Ref& ref) {
  ages_.push_back({ref.since, record, offset_of(ref)});
  std::ranges::push_heap(ages_, std::greater());
}

// One row that waits for weeks must not keep the ages of all that came and went meanwhile.
void ParkedIndex::forget_ages() {
  while (!ages_.empty() && undelivered(ages_.front()) == nullptr) {
    std::ranges::pop_heap(ages_, std::greater());
    ages_.pop_back();
  }
  if (ages_.size() <= std::max(kAgesMin, 2 * waiting())) return;
  std::erase_if(ages_, [this](const Age& age) { return undelivered(age) == nullptr; });
  std::ranges::sort(ages_);  // which is a heap
  ages_.erase(std::ranges::unique(ages_).begin(), ages_.end());
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
