// How far a consumer has come in one partition: everything below the cursor is settled, and beyond
// it a bounded window says what is settled and what is not. No row per event: only what is taken up
// and not settled is remembered one by one. A crash repeats what is not settled and loses nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/ids.hpp"
#include "millrace/result.hpp"

namespace millrace::route {

inline constexpr Offset kWindowMax = 4096;  ///< offsets beyond the cursor (semantics 5)

class Progress {
 public:
  Progress() = default;
  explicit Progress(Offset cursor) : seen_(cursor) {}

  /// Everything below `next` that was not taken up concerns nobody.
  void see(Offset next);
  /// Takes up one offset; offsets rise. It is unsettled until settle().
  void take(Offset offset);
  void settle(Offset offset);
  /// For a consumer that is at rest: it goes on at `next`, over what is left open or back to what
  /// was settled, but not over `settled` and what is settled beyond its cursor.
  void move_to(Offset next, const std::vector<Offset>& settled);
  /// Whether a record read again after a restart was settled before it.
  bool was_settled(Offset offset) const;

  /// The first offset that is not settled.
  Offset cursor() const { return open_.empty() ? seen_ : open_.front(); }
  /// Whether `offset` may be taken up: it lies within the window.
  bool has_room_for(Offset offset) const { return offset < cursor() + kWindowMax; }
  /// The first offset beyond everything seen in this life.
  Offset seen() const { return seen_; }
  /// Below it anything may have been taken up, in this life or an earlier one; at or above it
  /// nothing was.
  Offset taken_through() const { return seen_ > taken_before_ ? seen_ : taken_before_; }
  /// Whether the row says that the tail's row of the partition stands for this one.
  enum class Row : std::uint8_t { own, on_tail, unknown };
  Row row() const { return row_; }
  /// Nothing is known of what the store has: its commit failed.
  void forget_row() { row_ = Row::unknown; }
  /// Of a row that is on the tail: everything below `through` was seen and concerned nobody.
  void lift(Offset through);
  /// Whether encode() would say something new.
  bool unsaved() const { return cursor() != saved_cursor_ || taken_through() != saved_taken_; }
  /// Settled offsets beyond the cursor.
  Offset beyond() const { return seen_ - cursor() - open_.size(); }

  /// {"log":"...","next":12,"settled":[[14,16],[20,20]],"taken":24}: inclusive ranges beyond the
  /// cursor; `taken` is taken_through() where it is not `next`; `"tail":true` when the row is on
  /// the tail.
  std::string encode(std::string_view log_uuid, Row row = Row::own);
  /// Errc::wrong_environment when the row belongs to another log.
  static Result<Progress> decode(std::string_view text, std::string_view log_uuid);

 private:
  Offset seen_ = 0;  ///< everything below was seen
  /// Taken up and not settled, ascending. A vector: there are 64 a route, and empty it is nothing.
  std::vector<Offset> open_;
  std::vector<std::pair<Offset, Offset>> before_;  ///< settled before a restart, inclusive
  Offset taken_before_ = 0;                        ///< taken_through() before a restart
  Offset saved_cursor_ = 0;                        ///< as last encoded
  Offset saved_taken_ = 0;
  Row row_ = Row::own;  ///< as last encoded
};

}  // namespace millrace::route
