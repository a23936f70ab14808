// A state store that was copied to another place. The one that was left says where it went, so that
// nobody starts both; the one that is being made says that it is not complete. Meta rows "moved"
// and "copying".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "millrace/clock.hpp"
#include "millrace/state_store.hpp"

namespace millrace {

inline constexpr std::string_view kMovedKey = "moved";
inline constexpr std::string_view kCopyingKey = "copying";

/// Of the store that was left.
struct Moved {
  std::string to;        ///< where the state lies now, in words
  std::string log_uuid;  ///< the log that it belongs to there
  WallTime at;
};

std::string encode(const Moved& moved);
/// nullopt: it was not moved.
Result<std::optional<Moved>> read_moved(StateReader& store);

/// Errc::conflict for a store that was moved, or a copy that is not complete.
Result<void> refuse_moved(StateReader& store);

}  // namespace millrace
