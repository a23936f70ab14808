// Which partitions this instance works on, and how that changes while it runs (semantics 6,
// decision 31): the work of every shard is held between two records, its partitions change, and it
// goes on from what the state says. A route's lanes begin anew one route after another, each once
// nothing of it is on the wire, so that a target that hangs holds up its own routes alone.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <thread>

#include "daemon/broker.hpp"
#include "daemon/recovery.hpp"
#include "millrace/group.hpp"
#include "state/partition_reigns.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kRestPoll{10};
constexpr std::size_t kPausesMax = 10'000;

}  // namespace

InstanceNote Broker::instance_note() const {
  const config::ConfigPtr running = config();
  const auto spooled = log_->spooled();
  return {.session = {},
          .admin = running->installation.admin,
          .version = MILLRACE_VERSION,
          .generation = generation_.load(),
          .content_hash = running->content_hash,
          .spooled = spooled ? std::optional(spooled->records) : std::nullopt,
          .at = clock_.wall_now()};
}

void Broker::join_group() {
  Group* group = state_->group();
  if (group == nullptr) return;
  membership_ = std::make_unique<Membership>(
      Membership::Parts{.state = *state_,
                        .group = *group,
                        .clock = clock_,
                        .home = shards_->at(0),
                        .own = [this](PartitionSet wanted) { return own(wanted); },
                        .control = control_->next(),
                        .note = [this] { return instance_note(); },
                        .working = [this](int count) { share_budgets(count); },
                        .look_around = [this] { hear_others(); }});
  membership_->start();
}

// On the control thread. May be called again after an error: it goes on where it was.
Result<void> Broker::own(PartitionSet wanted) {
  MILLRACE_TRY(lock, begin_control());
  const PartitionSet before = owned();
  const PartitionSet fresh = wanted - before;
  if (wanted == before && !held_) return {};
  held_ = true;
  MILLRACE_CHECK_OK(stop_foreign_sources(wanted));
  MILLRACE_CHECK_OK(hold_units());
  std::set<Partition> followed;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if ((before | wanted).contains(p)) followed.insert(p);
  }
  MILLRACE_CHECK_OK(log_->follow(followed));
  // The ends are known: what those who had these partitions append from here on is too late.
  MILLRACE_CHECK_OK(begin_reigns(*state_, *log_, fresh, owner_word(state_->group())));
  MILLRACE_TRY(folded, fold_projections(*state_, *log_, fresh));
  if (folded > 0) spdlog::info("projections caught up with the log events={}", folded);
  MILLRACE_CHECK_OK(read_again());
  // Before the tail of what is new moves here: the lanes that hold it come only later.
  for (const auto& [id, life] : lives_) MILLRACE_CHECK_OK(leave_tail(id, fresh));
  MILLRACE_TRY(from, inbox_start(*state_, *log_, wanted));
  for (const auto& unit : units_) {
    auto go_on = [this, &unit = *unit, wanted, &from] { return resume_unit(unit, wanted, from); };
    MILLRACE_CHECK_OK(run_on(unit->shard, go_on));
  }
  owned_ = wanted;
  MILLRACE_CHECK_OK(begin_lanes_anew(before | wanted));
  MILLRACE_CHECK_OK(start_kafka_sources());
  held_ = false;
  return {};
}

// All are asked first: one may work for another until it is held itself.
Result<void> Broker::hold_units() {
  std::vector<std::future<Result<void>>> held;
  for (const auto& unit : units_) {
    auto hold = [&unit = *unit]() -> Awaitable<Result<void>> {
      co_await unit.pump->hold();
      co_await unit.collector->hold();
      co_return Result<void>{};
    };
    held.push_back(begin_on(unit->shard, std::move(hold)));
  }
  for (auto& one : held) MILLRACE_CHECK_OK(await_begun(std::move(one)));
  // Only now does nobody project anything on any shard.
  for (const auto& unit : units_) {
    auto forget = [&unit = *unit]() -> Awaitable<Result<void>> {
      while (!unit.projector->saved()) co_await unit.projector->durable();
      unit.projector->forget();
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, forget));
  }
  return {};
}

Awaitable<Result<void>> Broker::resume_unit(ShardUnit& unit, PartitionSet wanted,
                                            const PartitionOffsets& inbox_from) {
  unit.owned = wanted & PartitionSet::of_shard(unit.shard.index(), shards_->size());
  for (auto& [stream, tail] : unit.tails) tail.dispatcher->own(unit.owned, log_->ends(stream));
  unit.projector->set_past(past_);
  auto resumed = co_await unit.collector->resume();
  MILLRACE_CO_CHECK_OK(std::move(resumed));
  unit.pump->resume(only(unit.owned, inbox_from));
  co_return Result<void>{};
}

Result<void> Broker::look_at_ends() {
  if (!shares()) return {};
  for (const LogStream& stream : log_->streams(Journal::events)) {
    MILLRACE_CHECK_OK(log_->look(stream));
  }
  return {};
}

// What other instances may have changed since this one read it, or a commit that was not answered.
Result<void> Broker::read_again() {
  MILLRACE_TRY(past, canon::load_programs(*state_));
  past_ = std::move(past);
  return read_lives_again();
}

// While no lane of a route holds the tail, none of its rows may say that the tail's row stands for
// it.
Result<void> Broker::begin_lanes_anew(PartitionSet partitions) {
  std::vector<std::string> waiting;
  for (const auto& [id, route] : running_routes()->routes) waiting.push_back(id);
  while (!waiting.empty()) {
    MILLRACE_CHECK_OK(not_stopping());
    std::vector<std::string> still;
    for (const std::string& id : waiting) {
      MILLRACE_TRY(at_rest, lanes_at_rest(id));
      if (!at_rest) {
        still.push_back(id);
        continue;
      }
      MILLRACE_CHECK_OK(retire_lanes(id));
      MILLRACE_CHECK_OK(leave_tail(id, partitions));
      MILLRACE_CHECK_OK(remove_lanes(id));
      MILLRACE_CHECK_OK(start_lanes(id));
    }
    waiting = std::move(still);
    if (!waiting.empty()) std::this_thread::sleep_for(kRestPoll);
  }
  return {};
}

Result<bool> Broker::lanes_at_rest(const std::string& id) {
  bool still = true;
  for (const auto& unit : units_) {
    auto ask = [&unit = *unit, &id, &still]() -> Awaitable<Result<void>> {
      const auto lane = unit.lanes.find(id);
      if (lane != unit.lanes.end()) still = lane->second->rest() && still;
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, ask));
  }
  return still;
}

void Broker::share_budgets(int instances) {
  if (share_->instances.exchange(instances) == instances) return;
  spdlog::info("limits are divided by the instances that work instances={}", instances);
}

void Broker::hear_others() {
  const auto heard = hear_pauses();
  const auto loaded = heard ? keys_->load() : heard;
  if (!loaded && loaded.error().code != Errc::state_away) {
    spdlog::warn("what other instances were told is not known error={}", loaded.error().message);
  }
}

Result<void> Broker::hear_pauses() {
  const std::string prefix = pause_key("");
  MILLRACE_TRY(rows, state_->scan(Table::routes, prefix, "", kPausesMax));
  std::map<std::string, std::string> pauses;
  for (const Row& row : rows) pauses.emplace(row.key.substr(prefix.size()), row.value);
  const auto tell = [this](const std::string& id, const std::optional<std::string>& reason) {
    for (const auto& unit : units_) {
      unit->shard.post([&unit = *unit, id, reason] {
        const auto lane = unit.lanes.find(id);
        if (lane == unit.lanes.end()) return;
        reason ? lane->second->pause(*reason) : lane->second->resume();
      });
    }
  };
  for (const auto& [id, text] : pauses) {
    const auto known = heard_pauses_.find(id);
    if (known != heard_pauses_.end() && known->second == text) continue;
    MILLRACE_TRY(json, parse_json(text));
    tell(id, std::string(string_or(json, "reason", "paused")));
  }
  for (const auto& [id, text] : heard_pauses_) {
    if (!pauses.contains(id)) tell(id, std::nullopt);
  }
  heard_pauses_ = std::move(pauses);
  return {};
}

Result<void> Broker::need_all_partitions() const {
  if (!shares() || owned() == PartitionSet::all()) return {};
  return fail(Errc::conflict,
              fmt::format("other instances work on this route, too; this one has {} of {} "
                          "partitions: stop the others, and ask again once it has them all "
                          "(`millrace status` shows the group)",
                          owned().size(), kPartitionCount));
}

Result<void> Broker::need_partition(Partition partition) const {
  if (owned().contains(partition)) return {};
  const GroupView view = membership_ ? membership_->view() : GroupView();
  const PartitionLease* lease = view.held(partition);
  if (lease == nullptr) {
    return fail(Errc::conflict, fmt::format("no instance works on partition {} right now: ask "
                                            "again in a moment",
                                            partition));
  }
  const auto note = view.notes.find(lease->instance);
  return fail(
      Errc::conflict,
      fmt::format("instance {} works on partition {}: ask there (admin {})", lease->instance,
                  partition, note == view.notes.end() ? "unknown" : note->second.admin));
}

}  // namespace millrace::daemon
