#include "state/moved.hpp"

#include <fmt/format.h>

#include "millrace/json.hpp"

namespace millrace {

std::string encode(const Moved& moved) {
  return write_json(Json(
      JsonObject{{"to", moved.to}, {"log_uuid", moved.log_uuid}, {"at", to_rfc3339(moved.at)}}));
}

Result<std::optional<Moved>> read_moved(StateReader& store) {
  MILLRACE_TRY(text, store.get(Table::meta, kMovedKey));
  if (!text) return std::optional<Moved>();
  MILLRACE_TRY(row, parse_json(*text));
  MILLRACE_TRY(at, parse_rfc3339(string_or(row, "at", "")));
  return Moved{std::string(string_or(row, "to", "")), std::string(string_or(row, "log_uuid", "")),
               at};
}

Result<void> refuse_moved(StateReader& store) {
  MILLRACE_TRY(copying, store.get(Table::meta, kCopyingKey));
  if (copying) {
    return fail(Errc::conflict,
                "the state is a copy that is not complete: say `millrace state copy` once more "
                "before anything starts on it");
  }
  MILLRACE_TRY(moved, read_moved(store));
  if (!moved) return {};
  return fail(Errc::conflict,
              fmt::format("this installation was moved to {} on {}: start it there. Here nothing "
                          "is read or sent any more; to come back, copy log and state from there "
                          "to new places",
                          moved->to, to_rfc3339(moved->at)));
}

}  // namespace millrace
