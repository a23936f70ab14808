// How far a consumer has come in one partition: everything below the cursor is settled, and a
// bounded window says what is settled beyond it. A crash repeats what is not settled and loses
// nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "millrace/ids.hpp"
#include "millrace/result.hpp"

namespace millrace::route {

inline constexpr Offset kWindowMax = 4096;  ///< offsets beyond the cursor (semantics 5)

class Progress {
 public:
  Progress() = default;
  explicit Progress(Offset cursor) : cursor_(cursor) {}

  /// Marks one offset settled; below the cursor or twice changes nothing.
  void settle(Offset offset);
  bool is_settled(Offset offset) const;
  /// The first offset that is not settled.
  Offset cursor() const { return cursor_; }
  /// Whether `offset` may be taken up: it lies within the window.
  bool has_room_for(Offset offset) const { return offset < cursor_ + kWindowMax; }
  /// Settled offsets beyond the cursor.
  std::size_t beyond() const { return beyond_count_; }
  /// Everything below `offset` is settled or concerns nobody (an idle route's cursor follows).
  void advance_to(Offset offset);

  /// {"next":12,"settled":[[14,16],[20,20]]}: inclusive ranges beyond the cursor.
  std::string encode(std::string_view log_uuid) const;
  /// Errc::wrong_environment when the row belongs to another log.
  static Result<Progress> decode(std::string_view text, std::string_view log_uuid);

 private:
  void slide();

  Offset cursor_ = 0;
  std::deque<bool> beyond_;  ///< beyond_[i]: cursor_ + i is settled
  std::size_t beyond_count_ = 0;
};

}  // namespace millrace::route
