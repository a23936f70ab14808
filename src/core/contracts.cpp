// The names that operators and files see for the enumerations of the contracts.
#include <algorithm>
#include <array>
#include <utility>

#include "millrace/connector.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"

namespace millrace {

std::string_view to_string(Journal journal) {
  static constexpr std::array<std::string_view, kJournalCount> kNames{"inbox", "events", "trail"};
  return kNames.at(std::to_underlying(journal));
}

std::string to_string(const LogStream& stream) {
  std::string name(to_string(stream.journal));
  return stream.topic.empty() ? name : name + "/" + stream.topic;
}

std::string cursor_owner(std::string_view owner, const LogStream& stream) {
  std::string name(owner);
  return stream.topic.empty() ? name : name + "/" + stream.topic;
}

std::string_view to_string(Table table) {
  static constexpr std::array<std::string_view, kTableCount> kNames{
      "meta",   "cursors", "projections", "doorbells", "parked",
      "outbox", "xref",    "xref_by_id",  "names",     "programs",
      "routes", "marks",   "keys",        "audit",     "generations"};
  return kNames.at(std::to_underlying(table));
}

std::string_view to_string(Outcome::Kind kind) {
  static constexpr std::array<std::string_view, 5> kNames{"delivered", "again", "rejected",
                                                          "unknown", "needs_decision"};
  return kNames.at(std::to_underlying(kind));
}

std::string printable_key(std::string_view key) {
  std::string text(key);
  std::replace(text.begin(), text.end(), '\0', '/');
  return text;
}

}  // namespace millrace
