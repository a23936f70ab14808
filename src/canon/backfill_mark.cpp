#include "canon/backfill_mark.hpp"

#include "millrace/json.hpp"
#include "millrace/state_store.hpp"

namespace millrace::canon {

std::string backfill_prefix() {
  return std::string("backfill") + '\0';
}

std::string backfill_prefix(const std::string& model_key) {
  return backfill_prefix() + model_key + '\0';
}

std::string backfill_key(const BackfillMark& mark) {
  return backfill_prefix(row_key(mark.connection, mark.model)) + mark.entity;
}

std::string_view to_string(BackfillMark::State state) {
  switch (state) {
    case BackfillMark::State::running:
      return "running";
    case BackfillMark::State::stopped:
      return "stopped";
    case BackfillMark::State::done:
      return "done";
  }
  return "";
}

std::string encode(const BackfillMark& mark) {
  return write_json(Json(JsonObject{{"state", to_string(mark.state)},
                                    {"entity", mark.entity},
                                    {"connection", mark.connection},
                                    {"model", mark.model},
                                    {"after_id", mark.after_id},
                                    {"rung", mark.rung},
                                    {"about", mark.about},
                                    {"per_second", mark.per_second},
                                    {"since", to_rfc3339(mark.since)},
                                    {"rung_before", mark.rung_before}}));
}

Result<BackfillMark> decode_backfill(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  BackfillMark mark;
  const std::string_view state = string_or(json, "state", "");
  if (state == "stopped") mark.state = BackfillMark::State::stopped;
  if (state == "done") mark.state = BackfillMark::State::done;
  mark.entity = string_or(json, "entity", "");
  mark.connection = string_or(json, "connection", "");
  mark.model = string_or(json, "model", "");
  mark.after_id = int_or(json, "after_id", 0);
  mark.rung = int_or(json, "rung", 0);
  mark.about = int_or(json, "about", 0);
  mark.per_second = int_or(json, "per_second", 0);
  mark.rung_before = int_or(json, "rung_before", 0);
  if (const auto since = parse_rfc3339(string_or(json, "since", ""))) mark.since = *since;
  return mark;
}

}  // namespace millrace::canon
