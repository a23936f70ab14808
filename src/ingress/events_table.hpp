// Which events others may send, whichever way they come.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ingress/cloud_event.hpp"

namespace millrace::config {
struct Config;
}

namespace millrace::ingress {

/// Prepared from one generation of the configuration. Immutable.
class EventsTable {
 public:
  EventsTable() = default;
  explicit EventsTable(const config::Config& config);

  /// Why the event is none of this installation's entities; else it gets its entity's version.
  std::optional<EventRefusal> check(Event& event) const;

 private:
  /// Checks the data of one entity; the refusal's pointer is relative to it. Thread-safe.
  using SchemaCheck = std::function<std::optional<EventRefusal>(const Json& data)>;
  static SchemaCheck make_check(const Json& schema);

  struct EntityRule {
    std::uint32_t version = 1;
    std::set<std::string, std::less<>> types;  ///< "<entity>.<event>"
    SchemaCheck check;                         ///< empty: any data
  };
  std::map<std::string, EntityRule, std::less<>> entities_;
};
using EventsTablePtr = std::shared_ptr<const EventsTable>;

}  // namespace millrace::ingress
