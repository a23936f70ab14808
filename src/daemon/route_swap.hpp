// How a reload replaces routes: lanes hold still while the offsets are committed from which the new
// texts hold; then they go on with them. Removed routes begin to drain.
#pragma once

#include <map>
#include <string>

#include "daemon/broker.hpp"

namespace millrace::daemon {

class RouteSwap {
 public:
  RouteSwap(Broker& broker, config::ConfigPtr wanted)
      : broker_(broker), wanted_(std::move(wanted)) {}
  /// Lanes that were not swapped go on as they were.
  ~RouteSwap();

  /// Blocking. When it fails nothing has changed. What it commits holds from then on.
  Result<void> prepare();
  /// After the connections and the configuration were replaced.
  Result<void> swap();

 private:
  Result<void> freeze();
  Result<RouteLives> adopt_routes(Batch& batch);
  void thaw();
  Result<void> keep_connections();
  void swap_lane(deliver::Lane& lane, const RunningRoute& running);

  Broker& broker_;
  const config::ConfigPtr wanted_;
  std::map<std::string, PartitionOffsets> frozen_;  ///< by id: from where a new text holds
  RouteLives lives_;
  bool swapped_ = false;
};

}  // namespace millrace::daemon
