#include "log/spooling_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "log/spool_forwarder.hpp"
#include "millrace/ids.hpp"
#include "net/deadlines.hpp"
#include "net/shard.hpp"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using SteadyTime = log::SpoolLane::Time;

constexpr milliseconds kTendEvery = 250ms;
constexpr int kMeasureEvery = 4;  // rounds
constexpr int kTrimEvery = 40;    // rounds
/// What waits no longer than this is on its way.
constexpr milliseconds kAlarmAfter = 2s;

SteadyTime steady_now() {
  return std::chrono::steady_clock::now();
}

/// The record is not in the log and never will be.
bool is_final(Errc code) {
  return code == Errc::too_large || code == Errc::not_found || code == Errc::forbidden ||
         code == Errc::peer_rejected || code == Errc::invalid_argument || code == Errc::stopping;
}

/// A group that was accepted, until it is in the log or in the spool.
struct Taken {
  Journal journal = Journal::inbox;
  std::vector<LogEntry> entries;
  Executor* home = nullptr;
  EventLog::AcceptDone done;  ///< empty once the sender was told
  SteadyTime since;           ///< when the log got it
  bool handed = false;        ///< the log got it
  bool reported = false;      ///< and has answered
  std::optional<Error> refused;
  bool kept = false;              ///< it goes to the spool, or is there
  bool kept_handed = false;       ///< `handed`, as its lanes were told
  std::vector<Offset> offsets;    ///< in the spool, once it is there
  std::optional<Error> not_kept;  ///< why it is not
};
using TakenPtr = std::shared_ptr<Taken>;

class SpoolingLog final : public EventLog {
 public:
  SpoolingLog(SpoolingLogOptions options, std::unique_ptr<log::Spool> spool,
              std::unique_ptr<EventLog> log)
      : options_(std::move(options)), spool_(std::move(spool)), log_(std::move(log)) {}
  ~SpoolingLog() override { close(); }
  Result<void> start();

  void accept(Journal journal, std::vector<LogEntry> group, Executor& home,
              AcceptDone done) override;
  std::optional<Spooled> spooled() const override;
  std::vector<Trouble> troubles() const override;
  void close() override;

  void append(Journal journal, std::vector<LogEntry> group, Executor& home,
              AppendDone done) override {
    log_->append(journal, std::move(group), home, std::move(done));
  }
  LogStream stream_of(Journal journal, std::string_view topic) const override {
    return log_->stream_of(journal, topic);
  }
  std::vector<LogStream> streams(Journal journal) const override { return log_->streams(journal); }
  void set_tail_listener(Journal journal, TailListener listener) override {
    log_->set_tail_listener(journal, std::move(listener));
  }
  Result<void> follow(const std::set<Partition>& partitions) override {
    return log_->follow(partitions);
  }
  void set_reigns(TopicReigns reigns) override { log_->set_reigns(std::move(reigns)); }
  std::uint64_t passed_over() const override { return log_->passed_over(); }
  Result<void> look(const LogStream& stream) override { return log_->look(stream); }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                 const PartitionOffsets& from) override {
    return log_->open_reader(stream, from);
  }
  PartitionOffsets ends(const LogStream& stream) const override { return log_->ends(stream); }
  PartitionOffsets begins(const LogStream& stream) const override { return log_->begins(stream); }
  Result<std::vector<bool>> known_ids(Journal journal, std::span<const RecordId> ids,
                                      WallTime since) override {
    return log_->known_ids(journal, ids, since);
  }
  bool archives_ids(Journal journal) const override { return log_->archives_ids(journal); }
  std::string durable_ends() const override { return log_->durable_ends(); }
  Result<void> verify_ends(std::string_view stored) const override {
    return log_->verify_ends(stored);
  }
  std::string uuid() const override { return log_->uuid(); }
  bool empty() const override { return log_->empty(); }
  Usage usage() const override { return log_->usage(); }
  std::vector<SealedPart> sealed_parts(const LogStream& stream) const override {
    return log_->sealed_parts(stream);
  }
  Result<std::vector<StoredFile>> stored_files() const override { return log_->stored_files(); }
  Result<void> trim(const LogStream& stream, WallTime older_than,
                    const PartitionOffsets& keep_from) override {
    return log_->trim(stream, older_than, keep_from);
  }

 private:
  /// Fires when the oldest entry that the log has is late.
  class Late final : public Deadline {
   public:
    explicit Late(SpoolingLog& log) : Deadline(log.shard_.deadlines()), log_(log) {}

   private:
    void on_deadline() override { log_.find_late(); }
    SpoolingLog& log_;
  };

  // On the shard:
  void take(const TakenPtr& taken);
  void hand_over(const TakenPtr& taken);
  void reported(const TakenPtr& taken, Result<std::vector<Offset>> result);
  void forget_reported();
  void find_late();
  void keep_unacknowledged();
  void keep(const TakenPtr& taken);
  void kept(const TakenPtr& taken, Result<std::vector<Offset>> offsets);
  void tell(Taken& taken, Result<void> result);
  log::SpoolLane& lane(const Taken& taken, const LogEntry& entry) {
    return forwarder_->lane(taken.journal, entry.partition);
  }
  Awaitable<void> tend();
  void run_on_shard(std::function<void()> work);

  SpoolingLogOptions options_;
  Shard shard_{"spool"};
  std::unique_ptr<log::Spool> spool_;
  std::unique_ptr<EventLog> log_;
  const std::string process_ = random_hex(8);
  std::atomic<std::uint64_t> next_id_ = 0;
  std::atomic<bool> closed_ = false;

  // What follows belongs to the shard.
  std::unique_ptr<log::SpoolForwarder> forwarder_;
  std::unique_ptr<Late> late_;
  std::deque<TakenPtr> unacknowledged_;  ///< handed over, not in the spool; the oldest first
  double disk_free_ = 1;
  bool stopping_ = false;
};

Result<void> SpoolingLog::start() {
  MILLRACE_CHECK_OK(spool_->belong_to(log_->uuid()));
  disk_free_ = spool_->disk_free_fraction();
  forwarder_ =
      std::make_unique<log::SpoolForwarder>(shard_, *spool_, *log_, options_.refused_again_after);
  late_ = std::make_unique<Late>(*this);
  shard_.start();
  forwarder_->start();
  shard_.spawn("spool", tend());
  return {};
}

void SpoolingLog::accept(Journal journal, std::vector<LogEntry> group, Executor& home,
                         AcceptDone done) {
  auto taken = std::make_shared<Taken>();
  taken->journal = journal;
  taken->entries = std::move(group);
  taken->home = &home;
  taken->done = std::move(done);
  if (closed_) return tell(*taken, fail(Errc::stopping, "the log is closed"));
  for (LogEntry& entry : taken->entries) entry.id = fmt::format("{}-{}", process_, ++next_id_);
  shard_.post([this, taken] { take(taken); });
}

void SpoolingLog::take(const TakenPtr& taken) {
  const SteadyTime now = steady_now();
  const milliseconds within =
      options_.mode == AckMode::log ? milliseconds(1h) : options_.ack_within;
  const bool direct =
      !forwarder_->away() && std::ranges::all_of(taken->entries, [&](const LogEntry& entry) {
        return lane(*taken, entry).keeps_up(now, within);
      });
  if (direct) hand_over(taken);
  if (!direct || options_.mode == AckMode::local) keep(taken);
}

void SpoolingLog::hand_over(const TakenPtr& taken) {
  taken->handed = true;
  taken->since = steady_now();
  if (options_.mode != AckMode::log) {
    if (unacknowledged_.empty()) late_->set_deadline(taken->since + options_.ack_within);
    unacknowledged_.push_back(taken);
  }
  log_->append(
      taken->journal, taken->entries, shard_,
      [this, taken](Result<std::vector<Offset>> result) { reported(taken, std::move(result)); });
}

void SpoolingLog::reported(const TakenPtr& taken, Result<std::vector<Offset>> result) {
  taken->reported = true;
  forget_reported();
  if (result) {
    forwarder_->heard();
    for (std::size_t i = 0; i < taken->offsets.size(); ++i) {
      forwarder_->acknowledged(taken->journal, taken->entries[i].partition, taken->offsets[i]);
    }
    return tell(*taken, {});
  }
  taken->refused = std::move(result).error();
  for (std::size_t i = 0; i < taken->offsets.size(); ++i) {
    forwarder_->refused(taken->journal, taken->entries[i].partition, taken->offsets[i],
                        *taken->refused);
  }
  if (taken->kept && !taken->not_kept) return;
  const bool final = is_final(taken->refused->code) || options_.mode == AckMode::log;
  if (final || taken->not_kept) return tell(*taken, std::unexpected(*taken->refused));
  keep(taken);
}

void SpoolingLog::forget_reported() {
  while (!unacknowledged_.empty() && unacknowledged_.front()->reported) {
    unacknowledged_.pop_front();
  }
}

void SpoolingLog::find_late() {
  if (unacknowledged_.empty()) return;
  const Taken& oldest = *unacknowledged_.front();
  if (oldest.since + options_.ack_within > steady_now()) {
    return late_->set_deadline(oldest.since + options_.ack_within);
  }
  forwarder_->late(oldest.since);
  keep_unacknowledged();
}

// All of them, so that what waits here is in the order in which it came.
void SpoolingLog::keep_unacknowledged() {
  for (const TakenPtr& taken : std::exchange(unacknowledged_, {})) {
    if (!taken->reported && !taken->kept) keep(taken);
  }
}

void SpoolingLog::keep(const TakenPtr& taken) {
  taken->kept = true;
  taken->kept_handed = taken->handed && !taken->reported;
  for (const LogEntry& entry : taken->entries) lane(*taken, entry).expect(taken->kept_handed);
  if (disk_free_ < options_.min_free()) {
    return kept(taken,
                fail(Errc::disk_full, "the disk of the spool is nearly full; send again later"));
  }
  spool_->append(
      taken->journal, taken->entries, shard_,
      [this, taken](Result<std::vector<Offset>> offsets) { kept(taken, std::move(offsets)); });
}

void SpoolingLog::kept(const TakenPtr& taken, Result<std::vector<Offset>> offsets) {
  if (!offsets) {
    for (const LogEntry& entry : taken->entries)
      lane(*taken, entry).not_written(taken->kept_handed);
    taken->not_kept = std::move(offsets).error();
    // The log may still acknowledge it; the sender does not wait for that for ever.
    if (!taken->kept_handed || taken->refused) tell(*taken, std::unexpected(*taken->not_kept));
    return;
  }
  taken->offsets = *std::move(offsets);
  for (std::size_t i = 0; i < taken->entries.size(); ++i) {
    LogEntry& entry = taken->entries[i];
    forwarder_->kept(taken->journal, entry, taken->offsets[i], taken->kept_handed);
    entry.payload = {};  // only its place is needed from here on
    if (!taken->kept_handed || !taken->reported) continue;
    if (taken->refused) {
      forwarder_->refused(taken->journal, entry.partition, taken->offsets[i], *taken->refused);
    } else {
      forwarder_->acknowledged(taken->journal, entry.partition, taken->offsets[i]);
    }
  }
  tell(*taken, {});
}

void SpoolingLog::tell(Taken& taken, Result<void> result) {
  if (!taken.done) return;
  taken.home->post([done = std::exchange(taken.done, nullptr),
                    result = std::move(result)]() mutable { done(std::move(result)); });
}

Awaitable<void> SpoolingLog::tend() {
  for (int round = 1; !stopping_; ++round) {
    forwarder_->look_around();
    if (round % kTrimEvery == 0) co_await forwarder_->trim();
    if (round % kMeasureEvery == 0) disk_free_ = co_await forwarder_->measure();
    co_await sleep_for(kTendEvery);
  }
}

std::optional<EventLog::Spooled> SpoolingLog::spooled() const {
  return forwarder_->status();
}

std::vector<EventLog::Trouble> SpoolingLog::troubles() const {
  std::vector<Trouble> all = log_->troubles();
  const Spooled now = forwarder_->status();
  if (!now.oldest_at || system_clock().wall_now() - *now.oldest_at < kAlarmAfter) return all;
  const std::string refused = forwarder_->refusal();
  all.push_back({fmt::format("{} messages wait in the spool {}{}{}", now.records,
                             spool_->directory().string(), refused.empty() ? "" : ": ", refused),
                 *now.oldest_at,
                 "they go into the log by themselves, in order, once it takes them; keep the "
                 "directory until then"});
  return all;
}

void SpoolingLog::run_on_shard(std::function<void()> work) {
  std::promise<void> done;
  shard_.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void SpoolingLog::close() {
  if (closed_.exchange(true) || !forwarder_) return;
  run_on_shard([this] { keep_unacknowledged(); });
  log_->close();
  // Behind what the log reported last.
  run_on_shard([this] {
    stopping_ = true;
    forwarder_->look_around();
  });
  spool_->close();
  run_on_shard([] {});
  shard_.stop(1s);
}

}  // namespace

Result<std::unique_ptr<EventLog>> open_spooling_log(SpoolingLogOptions options,
                                                    std::unique_ptr<log::Spool> spool,
                                                    std::unique_ptr<EventLog> log) {
  auto made = std::make_unique<SpoolingLog>(std::move(options), std::move(spool), std::move(log));
  MILLRACE_CHECK_OK(made->start());
  return made;
}

}  // namespace millrace
