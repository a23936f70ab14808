// Shards with pump, projector and collector on a real log and a real state store in a temporary
// directory, between a fake source and a clock that tests move.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "canon/collector.hpp"
#include "canon/inbox_pump.hpp"
#include "canon/projector.hpp"
#include "fake_source.hpp"
#include "log/tail_feed.hpp"
#include "net/reader_pool.hpp"
#include "storage/posix_disk.hpp"
#include "watched_log.hpp"
#include "watched_state.hpp"

namespace millrace::canon::test {

/// Begins at 2026-01-01T00:00:00Z.
class ManualClock final : public Clock {
 public:
  static constexpr std::int64_t kStart = 1'767'225'600'000'000;
  WallTime wall_now() const override { return WallTime(microseconds(kStart + passed_.load())); }
  BootTime boot_now() const override {
    return BootTime(microseconds(3'600'000'000 + passed_.load()));
  }
  void advance(microseconds by) { passed_ += by.count(); }

 private:
  std::atomic<std::int64_t> passed_{0};
};

class SilentTrail final : public Trail {
 public:
  void note(const Hop&) override {}
};

/// Compiled as the loader would.
config::Program program(const std::string& text, std::vector<std::string> variables = {});

/// One read-back connection "erp" and one hook "shop"; entity "order" from erp's sale.order with
/// events created, changed; entity "parcel" from shop with changed.
std::shared_ptr<config::Config> orders_config();
config::EntitySource& order_source(config::Config& config);

class CanonWorld : public ::testing::Test {
 protected:
  CanonWorld();
  ~CanonWorld() override;

  /// Makes the shards on the directory as it is and starts them.
  void start(std::size_t shards = 1);
  /// Ends them as a crash would: what was not committed is lost.
  void crash();
  void reload();
  /// A row of Table::marks is written by hand, and the watches look.
  void put_mark(const std::string& key, const std::string& value);
  std::string mark(const std::string& key);

  /// A doorbell or a payload arrives; returns when it is taken up.
  void ring(std::int64_t id, const std::string& write_date = "", const std::string& origin = "hook",
            const std::string& model = "sale.order");
  void post_payload(const std::string& record, const Json& body);
  /// As these two do, but without waiting until it is taken up; payloads together, in this order.
  void send_doorbell(std::int64_t id, const std::string& origin, WallTime received_at);
  void send_payloads(const std::string& record, const std::vector<Json>& bodies);
  /// Until that is so, whoever else has something to do.
  void await(const std::function<bool()>& condition);
  /// Until what the first shard had handed to the state is stored.
  void await_stored();
  /// Time passes; whatever becomes due on the way happens at its time.
  void advance(milliseconds by);
  /// Until nobody has anything to do before time passes.
  void settle();

  CollectorStatus status();
  /// "order.created 7 {...}", one per event, in log order.
  std::vector<std::string> events();
  std::vector<std::string> event_types();
  std::vector<Event> whole_events();
  std::vector<std::string> keys(Table table);
  std::vector<ParkedRow> parked();
  Projection projection(const std::string& entity, const std::string& record);
  /// Projects straight, on the record's shard.
  std::vector<ProjectResult> project(std::vector<SourceChange> changes);
  /// From start() to crash().
  WatchedState& state() { return *state_; }
  WatchedLog& log() { return *log_; }

  std::shared_ptr<config::Config> config_;
  FakeSource source_;
  ManualClock clock_;
  DroppedMessages dropped_;

 private:
  struct Unit;
  struct Wait {
    BootTime until;
    Notifier* wake = nullptr;
    std::uint64_t number = 0;
  };

  template <typename F>
  auto on_shard(Unit& unit, F work);
  Awaitable<void> wait(Unit& unit, Notifier& wake, milliseconds limit);
  bool is_settled();
  std::vector<LogRecord> records(Journal journal, std::vector<RecordBatchPtr>& kept);
  RawMessage doorbell(std::int64_t id, const std::string& origin, const std::string& model);
  void append(const std::vector<RawMessage>& messages);
  /// As the daemon does before it uses a configuration.
  PastPrograms keep_programs();

  std::filesystem::path directory_;
  PosixDisk disk_;
  SilentTrail trail_;
  std::unique_ptr<WatchedLog> log_;
  std::unique_ptr<WatchedState> state_;
  std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<ShardSet> shards_;
  std::vector<std::unique_ptr<Unit>> units_;
  PartitionOffsets reached_{};  ///< durable inbox cursors, as last seen
};

}  // namespace millrace::canon::test
