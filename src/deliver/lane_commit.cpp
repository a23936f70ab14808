// How a lane records its progress: outcomes, identities and parked rows together with the cursors,
// one commit at a time. A record stays locked until the commit of its outcome returned.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"

namespace millrace::deliver {
namespace {

constexpr milliseconds kDiskFullPause{500};
constexpr std::size_t kUnrecordedMax = 1024;
constexpr std::size_t kUnrecordedMaxNotIdempotent = 64;

}  // namespace

void Lane::settle(Partition partition, Offset offset) {
  progress_.at(partition).settle(offset);
  dirty_.insert(partition);
  commit_soon(false);
}

// What the route does not want is not worth a row: after a crash it is passed by again. The tail's
// row says so for all, and join_tail() for a lane that has something else under way.
void Lane::pass_by(const Item& item) {
  progress_.at(item.partition).settle(item.offset);
}

std::size_t Lane::unrecorded_max() const {
  const auto& limits = text_.config->connections.find(route().to)->second.limits;
  if (limits.unrecorded) return static_cast<std::size_t>(*limits.unrecorded);
  return target_->idempotent() ? kUnrecordedMax : kUnrecordedMaxNotIdempotent;
}

std::size_t Lane::unrecorded_share() const {
  return std::max<std::size_t>(1, unrecorded_max() / context_.shard_count);
}

void Lane::finish(const ItemPtr& item) {
  end_turn(item);
  if (item->row_is_final) writes_.erase(Table::parked, item->row->key());
  // A retry of a parked row was settled when it was parked; settling twice changes nothing.
  if (item->replay) {
    item->replay->settle(item->partition, item->offset);
  } else {
    progress_.at(item->partition).settle(item->offset);
    dirty_.insert(item->partition);
  }
  finished_.push_back(item);
  const auto queue = records_.find(item->record);
  const bool somebody_waits = queue != records_.end() && queue->second.size() > 1;
  // A commit waits for company, but not so long that nothing more may be taken up or started.
  const std::size_t enough = std::min(unrecorded_share(), kItemsMax) / 4;
  commit_soon(somebody_waits || finished_.size() >= enough);
}

void Lane::commit_soon(bool urgent) {
  if (!commit_under_way_) {
    commit_now();
  }
  if (urgent && !nudged_) {
    // What waits for company in the store's writer goes at once.
    nudged_ = true;
    context_.state.commit(Batch{}, Urgency::now, context_.shard, [](Result<void>) {});
  }
}

void Lane::flush() {
  see_what_passed();
  for (const auto& [partition, progress] : progress_) {
    if (progress.unsaved()) dirty_.insert(partition);
  }
  if (has_writes()) commit_soon(true);
}

bool Lane::has_writes() const {
  return !dirty_.empty() || !writes_.writes.empty() || (replay_ && replay_->dirty());
}

bool Lane::holds_tail(Partition partition) const {
  const auto found = progress_.find(partition);
  return found != progress_.end() && found->second.row() != route::Progress::Row::own &&
         (stopping_ || frozen_ || dirty_.contains(partition));
}

// What is settled and not committed yet is in `dirty_`, or in a batch under way that has the
// partition's own row: neither may be overtaken by the tail.
std::vector<Partition> Lane::join_tail(const PartitionOffsets& tail, Batch& batch) {
  using Row = route::Progress::Row;
  std::vector<Partition> changed;
  if (stopping_ || frozen_) return changed;
  see_what_passed();
  for (auto& [partition, progress] : progress_) {
    if (tail[partition] == kSkipPartition) continue;
    const bool passed = progress.cursor() >= tail[partition];
    const bool quiet = !commit_under_way_ && !dirty_.contains(partition);
    const Row wanted =
        passed && (quiet || progress.row() == Row::on_tail) ? Row::on_tail : Row::own;
    if (progress.row() == wanted) {
      if (wanted == Row::own && progress.unsaved()) dirty_.insert(partition);
      continue;
    }
    batch.put(Table::cursors, row_key("route/" + id_, fmt::format("{:02x}", partition)),
              progress.encode(context_.stream_id, wanted));
    changed.push_back(partition);
  }
  if (!dirty_.empty()) commit_soon(false);
  return changed;
}

void Lane::forget_rows(const std::vector<Partition>& partitions) {
  for (const Partition partition : partitions) progress_.at(partition).forget_row();
}

void Lane::commit_now() {
  if (retired_ || (!has_writes() && finished_.empty())) return;
  for (const Partition partition : dirty_) {
    writes_.put(Table::cursors, row_key("route/" + id_, fmt::format("{:02x}", partition)),
                progress_.at(partition).encode(context_.stream_id));
  }
  dirty_.clear();
  put_replay_rows();
  commit_under_way_ = true;
  nudged_ = false;
  batch_ = std::exchange(writes_, Batch{});
  committing_ = std::exchange(finished_, {});
  bound_committing_ = std::exchange(bound_, {});
  context_.state.commit(*batch_, Urgency::soon, context_.shard,
                        [weak = weak_from_this()](Result<void> result) {
                          if (const auto self = weak.lock()) self->committed(result);
                        });
}

Awaitable<void> Lane::commit_again(std::shared_ptr<Lane> self) {
  co_await sleep_for(kDiskFullPause);
  if (retired_) co_return;  // its rows are another's by now
  context_.state.commit(*batch_, Urgency::now, context_.shard,
                        [self](Result<void> result) { self->committed(result); });
}

void Lane::committed(const Result<void>& result) {
  if (!result) {
    // No space: the lane holds what it has and starts nothing new until the rows are saved.
    if (!std::exchange(commit_stuck_, true)) {
      spdlog::warn("progress cannot be saved, the lane waits route={} error={}", id_,
                   result.error().message);
    }
    context_.shard.spawn("commit", commit_again(shared_from_this()));
    return;
  }
  commit_under_way_ = false;
  commit_stuck_ = false;
  batch_.reset();
  for (const ItemPtr& item : std::exchange(committing_, {})) {
    let_go(*item);
    row_committed(item);
    const auto found = records_.find(item->record);
    if (found == records_.end() || found->second.front() != item) continue;
    found->second.pop_front();
    if (found->second.empty()) {
      records_.erase(found);
    } else {
      ready_of(found->second.front()).push_back(found->second.front());
    }
  }
  for (const std::string& key : std::exchange(bound_committing_, {})) context_.reference_bound(key);
  if (std::exchange(announce_, false)) context_.announced();
  recorded_.notify();
  if (!finished_.empty() || has_writes()) commit_now();
  start_ready();
  pump();
  retry_parked();
}

}  // namespace millrace::deliver
