// Ids of one journal that no side file holds yet, in memory: a message repeated by its sender is
// answered and not appended again (semantics 3). Promise: `fresh` is said once per id until it is
// settled as not durable or forgotten; an id is forgotten when a side file has it, by age, or
// earlier when the bound is reached (counted). What is in side files, the log knows (`known_ids`).
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "millrace/executor.hpp"
#include "millrace/record_id.hpp"

namespace millrace::ingress {

/// Of a hook's id on its connection.
RecordId hook_key(std::string_view connection, std::string_view id);
/// Of an event sent to /events: CloudEvents are unique by source and id.
RecordId event_key(std::string_view source, std::string_view id);

enum class Seen : std::uint8_t {
  fresh,              ///< now pending: the caller must settle it
  duplicate_durable,  ///< on disk: answer as the first time
  duplicate_pending   ///< being written: `when_settled` tells
};

class DedupeIndex final : public IdMemory {
 public:
  struct Options {
    Journal journal = Journal::inbox;
    std::chrono::seconds window{7 * 24 * 3600};
    std::size_t bytes_max = std::size_t{256} << 20;  ///< about 6 million ids: some ten segments
  };
  /// Called with true when the id became durable, with false when it was not written after all.
  using Settled = std::move_only_function<void(bool durable)>;

  explicit DedupeIndex(Options options);
  ~DedupeIndex() override;
  DedupeIndex(const DedupeIndex&) = delete;
  DedupeIndex& operator=(const DedupeIndex&) = delete;

  Journal journal() const { return options_.journal; }
  std::chrono::seconds window() const { return options_.window; }

  Seen begin(RecordId key, WallTime now);
  /// Ends a `fresh`: durable, or forgotten so that a repeat is fresh again. Wakes who waits.
  void settle(RecordId key, bool durable, WallTime now);
  /// Ends a `fresh` that a side file knows. Wakes who waits.
  void settle_known(RecordId key);
  /// Posts the outcome of a pending id to `home`; at once when it is settled already.
  void when_settled(RecordId key, Executor& home, Settled settled);
  bool contains(RecordId key, WallTime now) const;

  void ids_of(const LogRecord& record, std::vector<RecordId>& out) const override;
  void remember(RecordId id, WallTime at) override;
  void begin_segment(std::uint64_t position) override { segment_ = position; }
  void archived_below(std::uint64_t position) override;

  std::uint64_t size() const;
  std::uint64_t forgotten_early() const { return forgotten_early_.load(std::memory_order_relaxed); }

 private:
  struct Stripe;
  static constexpr std::size_t kStripes = 16;
  Stripe& stripe(RecordId key) const { return *stripes_[key.high % kStripes]; }
  void end(RecordId key, bool durable, bool insert, WallTime now);

  Options options_;
  std::array<std::unique_ptr<Stripe>, kStripes> stripes_;
  std::atomic<std::uint64_t> segment_{0};  ///< where the segment begins that is being written
  std::atomic<std::uint64_t> forgotten_early_{0};
};

}  // namespace millrace::ingress
