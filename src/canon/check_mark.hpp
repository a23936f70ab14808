// When a model was last compared with what is stored, and what such a check found, as a row of
// Table::marks. People ask for a check, and accept what it would delete, by writing the row.
#pragma once

#include <cstdint>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace::canon {

struct CheckMark {
  enum class Asked : std::uint8_t { nothing, recent, whole } asked = Asked::nothing;
  std::string connection;
  std::string model;
  WallTime recent_at;  ///< what was written in the last 26 hours
  WallTime whole_at;   ///< every record
  std::int64_t held =
      0;                ///< records that are gone there and wait for a person before they are here
  std::int64_t of = 0;  ///< stored
  bool accepted = false;  ///< the next check may delete them
};

/// Deletes of one check that need no person: 100, and 1 % of the model, but always 10.
std::int64_t deletes_max(std::int64_t stored);

std::string check_prefix();
std::string check_key(const std::string& model_key);
std::string encode(const CheckMark& mark);
Result<CheckMark> decode_check(std::string_view text);

}  // namespace millrace::canon
