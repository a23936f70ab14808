// How far a walk through all records of a model is, as a row of Table::marks. A backfill's row is
// written by whoever asks for it; the watch of the model carries it out.
#pragma once

#include <cstdint>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace::canon {

struct BackfillMark {
  enum class State : std::uint8_t { running, stopped, done } state = State::running;
  std::string entity;
  std::string connection;
  std::string model;
  std::int64_t after_id = 0;     ///< everything up to here was rung
  std::int64_t rung = 0;         ///< records so far
  std::int64_t about = 0;        ///< how many there may be
  std::int64_t per_second = 0;   ///< pace; 0: as fast as records are read
  WallTime since;                ///< begun, or gone on
  std::int64_t rung_before = 0;  ///< at `since`: the pace is measured from there
};

/// "backfill\0<connection>\0<model>\0<entity>"
std::string backfill_key(const BackfillMark& mark);
std::string backfill_prefix();
std::string backfill_prefix(const std::string& model_key);
std::string_view to_string(BackfillMark::State state);

std::string encode(const BackfillMark& mark);
Result<BackfillMark> decode_backfill(std::string_view text);

}  // namespace millrace::canon
