// The trail: every hop of every record, for `where KEY`. Noted in memory, written behind; a power
// cut may take lines that were not yet synced (decision 34).
#pragma once

#include <string_view>

namespace millrace {

/// One hop. `stage` is inbox, collect, project, deliver or operator; `what` is a word such as
/// "emitted", "delivered", "phantom", "parked"; `detail` is short text for a person.
struct Hop {
  std::string_view record;
  std::string_view stage;
  std::string_view owner;  ///< entity, route or connection
  std::string_view what;
  std::string_view event;  ///< event id or empty
  std::string_view detail;
};

class Trail {
 public:
  virtual ~Trail() = default;
  /// Never blocks and never fails; call on the shard that made the trail.
  virtual void note(const Hop& hop) = 0;
};

}  // namespace millrace
