#include "daemon/membership.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/thread_name.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kTurn{500};
constexpr milliseconds kBeatEvery{1500};
/// Who did not look for so long knows nothing about how long others were silent.
constexpr milliseconds kBlindAfter{3000};
constexpr milliseconds kAgainAfter{500};
constexpr milliseconds kPoll{10};
constexpr std::chrono::hours kForgottenAfter{24};

}  // namespace

Membership::Membership(Parts parts)
    : parts_(std::move(parts)), mine_{parts_.group.instance(), parts_.group.session()} {}

Membership::~Membership() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Membership::start() {
  thread_ = std::thread([this] { run(); });
}

void Membership::run() {
  name_this_thread("membership");
  BootTime next_beat{};
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const BootTime now = parts_.clock.boot_now();
    if (now >= next_beat) {
      beat();
      next_beat = now + kBeatEvery;
    }
    look();
    lock.lock();
    wake_.wait_for(lock, kTurn, [this] { return ending_; });
  }
}

bool Membership::may_begin() const {
  const auto confirmed = parts_.group.confirmed_at();
  return confirmed && parts_.clock.boot_now() < *confirmed + (kLeaseTerm - kLeaseMargin);
}

GroupView Membership::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

void Membership::beat() {
  if (beating_->exchange(true)) return;  // the store is away: one waits for it
  InstanceNote note = parts_.note();
  note.session = mine_.session;
  Batch batch;
  batch.writes.push_back(note_row(mine_.instance, note));
  parts_.state.commit(std::move(batch), Urgency::now, parts_.home,
                      [beating = beating_](const Result<void>&) { *beating = false; });
}

void Membership::look() {
  const bool settled_down = !moving_;
  auto view = read_group(parts_.state, parts_.group);
  const BootTime now = parts_.clock.boot_now();
  if (!view) return;  // the store says itself that it is away
  // Nobody could say that it lives while nobody could look.
  if (now - looked_at_ > kBlindAfter) seen_.clear();
  looked_at_ = now;
  expel_silent(*view, now);
  const auto working = static_cast<int>(view->working().size());
  {
    const std::lock_guard lock(mutex_);
    view_ = *view;
  }
  parts_.working(std::max(working, 1));
  parts_.look_around();
  // A view that was read while partitions moved is of no time.
  if (settled_down && !settled_) move(*view);
  if (owned_.load().contains(0)) forget_gone(*view);
}

void Membership::expel_silent(const GroupView& view, BootTime now) {
  std::erase_if(seen_, [&view](const auto& entry) {
    return std::ranges::find(view.members, entry.second.member) == view.members.end();
  });
  const std::vector<std::string> working = view.working();
  for (const GroupMember& member : view.members) {
    if (member.session == mine_.session) continue;
    const auto [at, fresh] = seen_.try_emplace(member.instance, Seen{member, now});
    if (fresh || now - at->second.since < kLeaseTerm) continue;
    const auto expelled = parts_.group.expel(member);
    const bool worked = std::ranges::count(working, member.instance) > 0;
    if (expelled && *expelled && worked) {
      spdlog::warn("instance does not answer, its partitions go to others instance={} silent_s={}",
                   member.instance, kLeaseTerm / std::chrono::seconds(1));
    }
    seen_.erase(at);
  }
}

void Membership::forget_gone(const GroupView& view) {
  const WallTime now = parts_.clock.wall_now();
  const std::vector<std::string> working = view.working();
  Batch batch;
  for (const auto& [name, note] : view.notes) {
    const bool works = std::ranges::find(working, name) != working.end();
    if (note.spooled.value_or(0) > 0) continue;  // whoever finds the spool ends that
    if (!works && now - note.at > kForgottenAfter) batch.writes.push_back(no_note_row(name));
  }
  if (batch.writes.empty()) return;
  parts_.state.commit(std::move(batch), Urgency::soon, parts_.home, [](const Result<void>&) {});
}

void Membership::move(const GroupView& view) {
  const LeaseMoves moves = lease_moves(view, mine_.instance, mine_.session);
  // Taken with a commit that nobody heard of.
  const bool more = !(view.held_by(mine_.session) - owned_.load()).empty();
  if (moves.take.empty() && moves.give.empty() && !more) return;
  moving_ = true;
  parts_.control.post([this, view, moves] {
    carry_out(view, moves);
    moving_ = false;
  });
}

// What was taken is worked on, whatever it takes: nobody else does.
void Membership::carry_out(const GroupView& view, const LeaseMoves& moves) {
  while (!settled_) {
    const auto done = carry_out_once(view, moves);
    if (done || done.error().code == Errc::stopping) return;
    if (done.error().code == Errc::precondition_failed) return;  // others were quicker
    spdlog::warn("partitions cannot be moved yet error={}", done.error().message);
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, kAgainAfter, [this] { return ending_; })) return;
  }
}

Result<void> Membership::carry_out_once(const GroupView& view, const LeaseMoves& moves) {
  owned_ = owned_.load() | view.held_by(mine_.session);
  const PartitionSet take = moves.take - owned_.load();
  const PartitionSet give = moves.give & owned_.load();
  if (!take.empty()) {
    MILLRACE_CHECK_OK(commit_blocking(parts_.state, take_leases(view, take, mine_)));
    owned_ = owned_.load() | take;
  }
  MILLRACE_CHECK_OK(parts_.own(owned_.load() - give));
  if (!give.empty()) {
    const auto given = commit_blocking(parts_.state, give_leases(give, mine_));
    // Nobody but us ends our leases: that they are not there means that we did.
    if (!given && given.error().code != Errc::precondition_failed) return given;
    owned_ = owned_.load() - give;
  }
  spdlog::info("partitions moved taken={} given={} has={}", moves.take.size(), moves.give.size(),
               owned_.load().size());
  return {};
}

void Membership::settle() {
  settled_ = true;
}

void Membership::await_moves(milliseconds limit) const {
  const BootTime until = parts_.clock.boot_now() + limit;
  while (moving_ && parts_.clock.boot_now() < until) std::this_thread::sleep_for(kPoll);
}

void Membership::leave(milliseconds limit) {
  settle();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  await_moves(limit);
  Batch batch = give_leases(owned_, mine_);
  // What senders were told is safe lies here alone: that is not forgotten.
  const InstanceNote last = parts_.note();  // of no session: it works no more
  batch.writes.push_back(last.spooled.value_or(0) > 0 ? note_row(mine_.instance, last)
                                                      : no_note_row(mine_.instance));
  // The session stays until it is expelled: what comes after this is refused by nobody, and
  // harmless.
  const auto given = commit_blocking(parts_.state, std::move(batch), limit);
  if (!given) spdlog::warn("the group is not told of the end error={}", given.error().message);
}

}  // namespace millrace::daemon
