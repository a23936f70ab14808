// A log on a faulty disk whose inbox has side files, and the ids that are still in memory.
#pragma once

#include <condition_variable>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log_test_support.hpp"

namespace millrace::test {

inline RecordId id_of(std::uint64_t number) {
  std::mt19937_64 random(number);
  return {random(), random()};
}

/// Ids are the payloads' first eight bytes; waits until told that they are archived.
class Memory final : public IdMemory {
 public:
  void ids_of(const LogRecord& record, std::vector<RecordId>& out) const override {
    out.push_back(id_of(std::stoull(std::string(record.payload.substr(0, 8)))));
  }
  void remember(RecordId id, WallTime) override {
    std::lock_guard guard(mutex);
    active.insert(id);
  }
  void begin_segment(std::uint64_t position) override {
    std::lock_guard guard(mutex);
    segment = position;
  }
  void archived_below(std::uint64_t position) override {
    std::lock_guard guard(mutex);
    archived = position;
    changed.notify_all();
  }
  /// All sealed segments have their side files.
  void await_archive() {
    std::unique_lock guard(mutex);
    EXPECT_TRUE(changed.wait_for(guard, seconds(60), [this] { return archived == segment; }));
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::set<RecordId> active;
  std::uint64_t segment = 0;
  std::uint64_t archived = 0;
};

class SideFiles : public ::testing::Test {
 protected:
  std::unique_ptr<EventLog> open() {
    memory_ = std::make_unique<Memory>();
    FileLogOptions options = options_on(disk_, clock_);
    options.side_files = true;
    options.id_memories[0] = memory_.get();
    options.bloom_bytes_max = bloom_bytes_max_;
    options.ids_max = ids_max_;
    options.expiry_clock = expiry_clock_;
    options.side_retry = milliseconds(1);
    options.fatal = [](const Error& error) { ADD_FAILURE() << error.message; };
    auto log = open_file_log(std::move(options));
    EXPECT_TRUE(log) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }
  /// Ids 0 to `count` - 1, a second apart; 24 of them fill a segment.
  void fill(EventLog& log, int count) {
    for (int i = 0; i < count; ++i) {
      std::string payload = std::to_string(100'000'000 + i).substr(1) + std::string(400, 'p');
      ASSERT_TRUE(append_and_wait(log, Journal::inbox, one(std::move(payload))));
      clock_.advance(seconds(1));
    }
  }
  std::vector<std::filesystem::path> names(std::string_view ending) {
    std::vector<std::filesystem::path> found;
    const auto all = disk_.list("/log/inbox");
    for (const std::string& name : *all) {
      if (name.ends_with(ending)) found.push_back("/log/inbox/" + name);
    }
    return found;
  }
  bool knows(EventLog& log, std::uint64_t number, WallTime since = {}) {
    const RecordId id = id_of(number);
    const auto known = log.known_ids(Journal::inbox, std::span(&id, 1), since);
    EXPECT_TRUE(known) << known.error().message;
    return known && known->front();
  }

  /// The same, of ids whose segment is given up or made again meanwhile.
  bool knows_in_the_end(EventLog& log, std::uint64_t number) {
    const RecordId id = id_of(number);
    for (;;) {
      const auto known = log.known_ids(Journal::inbox, std::span(&id, 1), {});
      if (known) return known->front();
      EXPECT_EQ(known.error().code, Errc::overloaded);
      std::this_thread::yield();
    }
  }

  std::size_t bloom_bytes_max_ = std::size_t{64} << 20;
  std::uint64_t ids_max_ = 50'000'000;
  const Clock* expiry_clock_ = nullptr;
  FaultDisk disk_;
  ManualClock clock_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace millrace::test
