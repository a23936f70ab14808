#include "ingress/intake.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "net/callback.hpp"
#include "net/deadlines.hpp"

namespace millrace::ingress {
namespace {

std::int64_t microseconds_of(BootTime time) {
  return time.time_since_epoch().count();
}

}  // namespace

/// Whichever comes first resumes the request: the log's completion or the deadline. Lives on the
/// shard; the log holds it until the append is decided.
class Intake::Wait final : public Deadline {
 public:
  using Done = std::move_only_function<void(Result<void>)>;

  Wait(Intake& intake, Shard& shard, std::size_t bytes, Settled settled)
      : Deadline(shard.deadlines()),
        intake_(intake),
        bytes_(bytes),
        started_(BootClock::now()),
        settled_(std::move(settled)) {
    intake_.begin(bytes_);
  }

  void start(Done done) {
    done_ = std::move(done);
    set_deadline_after(intake_.limits_.wait_max);
  }

  void complete(Result<void> result) {
    clear_deadline();
    intake_.end(bytes_, started_);
    if (settled_) std::exchange(settled_, nullptr)(result.has_value());
    if (!done_) return;
    if (!result && result.error().code == Errc::disk_full) ++intake_.counters_.disk_full;
    std::exchange(done_, nullptr)(std::move(result));
  }

 private:
  void on_deadline() override {
    if (!done_) return;
    ++intake_.counters_.late;
    Done done = std::exchange(done_, nullptr);
    done(fail(Errc::overloaded, "the log takes longer than allowed; the message may still arrive"));
  }

  Intake& intake_;
  const std::size_t bytes_;
  const BootTime started_;
  Settled settled_;
  Done done_;
};

/// A value that comes from another thread, or the deadline: whichever is first resumes the request.
/// Lives and dies on the shard, whose deadlines it is linked into; whoever finds the value hands it
/// back there.
template <typename T>
class Intake::Race final : public Deadline {
 public:
  using Done = std::move_only_function<void(Result<T>)>;

  Race(Shard& shard, std::string_view late) : Deadline(shard.deadlines()), late_(late) {}

  void start(Done done, milliseconds wait_max) {
    done_ = std::move(done);
    set_deadline_after(wait_max);
  }
  void complete(Result<T> value) {
    clear_deadline();
    finish(std::move(value));
  }
  /// Nobody waits any more; from any thread.
  bool is_over() const { return over_.load(std::memory_order_relaxed); }

 private:
  void on_deadline() override { finish(fail(Errc::overloaded, std::string(late_))); }
  void finish(Result<T> value) {
    over_ = true;
    if (Done done = std::exchange(done_, nullptr)) done(std::move(value));
  }

  const std::string_view late_;
  std::atomic<bool> over_{false};
  Done done_;
};

Intake::Intake(EventLog& log, Counters& counters, Limits limits)
    : log_(log), counters_(counters), limits_(limits), min_free_(limits.min_free_fraction) {}

void Intake::begin(std::size_t bytes) {
  if (appends_.fetch_add(1, std::memory_order_relaxed) == 0) {
    progress_us_.store(microseconds_of(BootClock::now()), std::memory_order_relaxed);
  }
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void Intake::end(std::size_t bytes, BootTime started) {
  const BootTime now = BootClock::now();
  const std::int64_t took = (now - started).count();
  const std::int64_t before = latency_us_.load(std::memory_order_relaxed);
  // Two shards may overwrite each other's sample: it is an estimate, and the next one corrects it.
  latency_us_.store(before + (took - before) / 8, std::memory_order_relaxed);
  progress_us_.store(microseconds_of(now), std::memory_order_relaxed);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  appends_.fetch_sub(1, std::memory_order_relaxed);
}

Result<void> Intake::admit() {
  if (stopping_.load(std::memory_order_relaxed)) {
    ++counters_.overloaded;
    return fail(Errc::stopping, "this broker is stopping; send again");
  }
  if (disk_free_.load(std::memory_order_relaxed) < min_free_.load(std::memory_order_relaxed)) {
    ++counters_.disk_full;
    return fail(Errc::disk_full, "the disk of the log is nearly full; send again later");
  }
  const std::uint64_t outstanding = appends_.load(std::memory_order_relaxed);
  // With nothing under way one message goes ahead whatever the past was: it measures anew.
  if (outstanding == 0) return {};
  const std::int64_t wait_max = std::chrono::microseconds(limits_.wait_max).count();
  const std::int64_t silent =
      microseconds_of(BootClock::now()) - progress_us_.load(std::memory_order_relaxed);
  if (outstanding >= limits_.appends_max ||
      bytes_.load(std::memory_order_relaxed) >= limits_.bytes_max || silent > wait_max ||
      latency_us_.load(std::memory_order_relaxed) > wait_max) {
    ++counters_.overloaded;
    return fail(Errc::overloaded, "the log cannot keep up; send again later");
  }
  return {};
}

template <typename Start>
Awaitable<Result<void>> Intake::take(std::vector<LogEntry> group, Shard& shard, Settled settled,
                                     Start start) {
  if (auto admitted = admit(); !admitted) {
    if (settled) settled(false);
    co_return std::unexpected(std::move(admitted).error());
  }
  std::size_t bytes = 0;
  for (const LogEntry& entry : group) bytes += entry.payload.size();
  auto wait = std::make_shared<Wait>(*this, shard, bytes, std::move(settled));
  auto starter = [wait, start, &group](Wait::Done done) {
    wait->start(std::move(done));
    start(std::move(group), wait);
  };
  auto answer = co_await await_callback<Result<void>>(shard, std::move(starter));
  co_return answer;
}

Awaitable<Result<void>> Intake::accept(Journal journal, std::vector<LogEntry> group, Shard& shard,
                                       Settled settled) {
  const auto start = [this, journal, &shard](std::vector<LogEntry> taken, const WaitPtr& wait) {
    log_.accept(journal, std::move(taken), shard,
                [wait](Result<void> result) { wait->complete(std::move(result)); });
  };
  return take(std::move(group), shard, std::move(settled), start);
}

Awaitable<Result<void>> Intake::append(Journal journal, std::vector<LogEntry> group, Shard& shard,
                                       Settled settled) {
  const auto start = [this, journal, &shard](std::vector<LogEntry> taken, const WaitPtr& wait) {
    log_.append(journal, std::move(taken), shard, [wait](Result<std::vector<Offset>> offsets) {
      if (offsets) return wait->complete({});
      wait->complete(std::unexpected(std::move(offsets).error()));
    });
  };
  return take(std::move(group), shard, std::move(settled), start);
}

Awaitable<Result<std::vector<bool>>> Intake::look_into_side_files(Journal journal,
                                                                  std::vector<RecordId> ids,
                                                                  WallTime since, Shard& shard) {
  using Known = std::vector<bool>;
  if (readers_->waiting() >= limits_.look_ups_max) {
    ++counters_.overloaded;
    co_return fail(Errc::overloaded, "too many messages are being looked up; send again later");
  }
  auto race = std::make_shared<Race<Known>>(
      shard, "older messages take too long to look through; send again");
  auto starter = [this, journal, &ids, since, &shard,
                  race = std::move(race)](Race<Known>::Done done) mutable {
    race->start(std::move(done), limits_.wait_max);
    // Handed on, not copied: it must die on the shard.
    readers_->next().post(
        [this, journal, ids = std::move(ids), since, &shard, race = std::move(race)]() mutable {
          Result<Known> known;
          // Reading for those who left would make those late who still wait.
          if (!race->is_over()) known = log_.known_ids(journal, ids, since);
          shard.post([race = std::move(race), known = std::move(known)]() mutable {
            race->complete(std::move(known));
          });
        });
  };
  auto known = co_await await_callback<Result<Known>>(shard, std::move(starter));
  if (!known) ++counters_.overloaded;
  co_return known;
}

Awaitable<Result<std::vector<Claim>>> Intake::claim(DedupeIndex& index, std::vector<RecordId> ids,
                                                    Clock& clock, Shard& shard) {
  const WallTime now = clock.wall_now();
  std::vector<Claim> claims(ids.size());
  std::vector<RecordId> unknown;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    claims[i].seen = index.begin(ids[i], now);
    if (claims[i].seen != Seen::fresh) continue;
    claims[i].pending.emplace(index, ids[i], clock);
    unknown.push_back(ids[i]);
  }
  if (unknown.empty() || !log_.archives_ids(index.journal())) co_return claims;
  auto known = co_await look_into_side_files(index.journal(), std::move(unknown),
                                             now - index.window(), shard);
  if (!known) co_return std::unexpected(std::move(known).error());
  std::size_t at = 0;
  for (Claim& claim : claims) {
    if (claim.seen != Seen::fresh || !(*known)[at++]) continue;
    claim.seen = Seen::duplicate_durable;
    claim.pending->settle_known();
    claim.pending.reset();
  }
  co_return claims;
}

Awaitable<Result<std::vector<bool>>> Intake::look_up(DedupeIndex& index, std::vector<RecordId> ids,
                                                     Clock& clock, Shard& shard) {
  const WallTime now = clock.wall_now();
  std::vector<bool> known(ids.size());
  bool all = true;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    known[i] = index.contains(ids[i], now);
    all = all && known[i];
  }
  if (all || !log_.archives_ids(index.journal())) co_return known;
  auto found =
      co_await look_into_side_files(index.journal(), std::move(ids), now - index.window(), shard);
  if (!found) co_return std::unexpected(std::move(found).error());
  for (std::size_t i = 0; i < known.size(); ++i) known[i] = known[i] || (*found)[i];
  co_return known;
}

Awaitable<Result<void>> Intake::await_settled(DedupeIndex& index, RecordId key, Shard& shard) {
  auto race = std::make_shared<Race<void>>(
      shard, "the log takes longer than allowed; the message may still arrive");
  auto starter = [&index, key, &shard, race, limit = limits_.wait_max](Race<void>::Done done) {
    race->start(std::move(done), limit);
    index.when_settled(key, shard, [race](bool durable) {
      race->complete(durable ? Result<void>()
                             : fail(Errc::overloaded, "the message could not be kept; send again"));
    });
  };
  auto answer = co_await await_callback<Result<void>>(shard, std::move(starter));
  co_return answer;
}

}  // namespace millrace::ingress
