// What a lane knows of its parked rows without reading them: which records they block and when they
// are due. 64-bit hashes of records, keys of rows; the rows themselves stay in the state store.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "millrace/event_log.hpp"
#include "millrace/parking.hpp"

namespace millrace::deliver {

/// Rows of a route that wait, over all its lanes.
using ParkedTotal = std::shared_ptr<std::atomic<std::int64_t>>;

class ParkedIndex {
 public:
  struct Ref {
    std::string key;  ///< rows of one record sort by offset, then send
    ParkedState state = ParkedState::retrying;
    BootTime due{};
    std::string waits_for;
    WallTime since{};       ///< of an undelivered event: appended, or replayed and parked
    BootTime held_since{};  ///< the same, as far as this process knows
    /// Of the target, at the last attempt in this process.
    std::optional<microseconds> odometer;
    std::uint64_t replay = 0;  ///< that parked it; 0: none
    bool taken = false;        ///< being tried now
    bool on_wire = false;      ///< loaded at the start: it may have been on the wire before
    /// Not in the store yet: it blocks its record, and is due once committed() names it.
    bool uncommitted = false;

    /// `appended_at` is of its event.
    static Ref of(const ParkedRow& row, WallTime appended_at, BootTime due, BootTime held_since);
  };

  /// `total` counts what waits in all lanes of the route; it may be null.
  explicit ParkedIndex(bool hold_after_dead, ParkedTotal total = nullptr)
      : hold_after_dead_(hold_after_dead), total_(std::move(total)) {}
  ~ParkedIndex();
  ParkedIndex(const ParkedIndex&) = delete;
  ParkedIndex& operator=(const ParkedIndex&) = delete;

  /// Whether dead rows hold back their record from now on.
  void set_hold(bool hold_after_dead);
  /// Where the row is known already, it is held since then.
  void put(std::uint64_t record, Ref ref);
  /// Of a row that is known; it is not taken any more.
  void set_state(std::uint64_t record, const std::string& key, ParkedState state);
  void erase(std::uint64_t record, const std::string& key);
  /// The row is in the store, and due at `due`, or sooner when what it waits for came meanwhile.
  void committed(std::uint64_t record, const std::string& key, BootTime due);
  /// A row that was taken and could not be tried is due again.
  void give_back(std::uint64_t record, const std::string& key, BootTime due);

  /// Whether a person gave this row up, or sent it again as another.
  bool is_decided(std::uint64_t record, const std::string& key) const;
  bool is_taken(std::uint64_t record, const std::string& key) const;
  /// Whether what the store has of this row is about to be overwritten.
  bool is_uncommitted(const std::string& key) const { return uncommitted_.contains(key); }
  std::optional<microseconds> odometer(std::uint64_t record, const std::string& key) const;
  bool may_be_on_wire(std::uint64_t record, const std::string& key) const;
  /// Whether an undecided row of the record stands before `offset`.
  bool has_before(std::uint64_t record, Offset offset) const;
  /// Whether the event has a row, whatever became of it.
  bool has_row(std::uint64_t record, Offset offset) const;
  /// Whether an undecided row of the record was not parked by this replay.
  bool has_other_than(std::uint64_t record, std::uint64_t replay) const;
  /// Of an event that was parked once: whether a person gave it up, and the `send` it went with
  /// last. nullopt: it has no row.
  struct Decided {
    bool given_up = false;
    int send = 0;
  };
  std::optional<Decided> decided(std::uint64_t record, Offset offset) const;
  /// The last offset of the record that was delivered while an earlier one was parked. True when
  /// this raised it.
  bool set_delivered(std::uint64_t record, Offset offset);
  std::optional<Offset> delivered(std::uint64_t record) const;
  /// Forgets it when the record has no undecided row left; true when there was one.
  bool forget_delivered(std::uint64_t record);

  /// What a later event of `record` becomes: nothing (it flows), behind, or held.
  std::optional<ParkedState> blocks(std::uint64_t record) const;
  /// The key of a row that may be tried now: due, and first of its record. It counts as taken until
  /// put or erase names it again.
  std::optional<std::pair<std::uint64_t, std::string>> take_due(BootTime now);
  /// When the next row is due; nullopt: none.
  std::optional<BootTime> next_due() const;
  /// Rows that wait for this key of the identity map become due now.
  std::size_t reference_bound(const std::string& key, BootTime now);
  /// Rows waiting for a reference or a table become due (reload).
  std::size_t release_waiting(BootTime now);

  /// Forgets decided rows of events before `begins`, and names their keys.
  std::vector<std::string> take_decided(const PartitionOffsets& begins);

  /// The row whose event has been undelivered for longest: neither decided nor dead. nullptr: none.
  const Ref* oldest() const;
  std::size_t ages() const { return ages_.size(); }  ///< kept for that

  std::size_t size() const { return size_; }
  /// Rows that are not decided for good: neither resubmitted nor discarded.
  std::size_t waiting() const;
  std::size_t count(ParkedState state) const;

 private:
  /// What oldest() finds without looking at all rows: earliest first, some of what is over among
  /// it.
  struct Age {
    WallTime since;
    std::uint64_t record;
    Offset offset;
    auto operator<=>(const Age&) const = default;
  };

  bool blocking(ParkedState state) const;
  const Ref* undelivered(const Age& age) const;
  void note_age(std::uint64_t record, const Ref& ref);
  void forget_ages();
  const Ref* find(std::uint64_t record, const std::string& key) const;
  Ref* find(std::uint64_t record, const std::string& key);
  void count(ParkedState state, int change);
  void schedule(std::uint64_t record);

  bool hold_after_dead_;
  ParkedTotal total_;
  std::unordered_map<std::uint64_t, Offset> delivered_;
  std::unordered_map<std::uint64_t, std::vector<Ref>> records_;  ///< refs sorted by key
  std::set<std::pair<BootTime, std::uint64_t>> due_;             ///< first row of each record
  std::unordered_map<std::uint64_t, BootTime> scheduled_;
  std::vector<Age> ages_;  ///< a heap; its first is of a row that is undelivered
  std::map<ParkedState, std::size_t> counts_;
  std::unordered_set<std::string> uncommitted_;
  std::size_t size_ = 0;
};

}  // namespace millrace::deliver
