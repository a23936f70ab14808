// Ids seen lately, in memory: a message repeated by its sender is answered and not appended again
// (semantics 3). Promise: `fresh` is said once per id until it is abandoned or forgotten; an id is
// forgotten only by age, or earlier when a bound is reached (counted). Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "millrace/executor.hpp"

namespace millrace::ingress {

/// 128 bits of SHA-256: two ids that share them do not occur, whoever chooses the ids.
struct DedupeKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const DedupeKey&, const DedupeKey&) = default;
};
/// Of a hook's id on its connection.
DedupeKey hook_key(std::string_view connection, std::string_view id);
/// Of an event sent to /events: CloudEvents are unique by source and id.
DedupeKey event_key(std::string_view source, std::string_view id);

enum class Seen : std::uint8_t {
  fresh,              ///< now pending: the caller must `settle` it
  duplicate_durable,  ///< on disk: answer as the first time
  duplicate_pending   ///< being written: `when_settled` tells
};

class DedupeIndex {
 public:
  struct Options {
    std::chrono::seconds window{7 * 24 * 3600};
    std::uint64_t ids_max = 50'000'000;
    std::size_t bytes_max = std::size_t{512} << 20;  ///< about 13 million ids
  };
  /// Called with true when the id became durable, with false when it was not written after all.
  using Settled = std::move_only_function<void(bool durable)>;

  explicit DedupeIndex(Options options);
  ~DedupeIndex();
  DedupeIndex(const DedupeIndex&) = delete;
  DedupeIndex& operator=(const DedupeIndex&) = delete;

  Seen begin(DedupeKey key, WallTime now);
  /// Ends a `fresh`: durable, or forgotten so that a repeat is fresh again. Wakes who waits.
  void settle(DedupeKey key, bool durable, WallTime now);
  /// Posts the outcome of a pending id to `home`; at once when it is settled already.
  void when_settled(DedupeKey key, Executor& home, Settled settled);

  /// Start: takes in one durable record of journal inbox or events, in log order. Records without
  /// an id, and events that were not sent to /events, are passed over.
  void feed(Journal journal, const LogRecord& record);
  /// An id known to be durable since `at`.
  void remember(DedupeKey key, WallTime at);

  std::uint64_t size() const;
  std::uint64_t forgotten_early() const { return forgotten_early_.load(std::memory_order_relaxed); }

 private:
  struct Stripe;
  static constexpr std::size_t kStripes = 16;
  Stripe& stripe(DedupeKey key);

  Options options_;
  std::array<std::unique_ptr<Stripe>, kStripes> stripes_;
  std::atomic<std::uint64_t> forgotten_early_{0};
};

}  // namespace millrace::ingress
