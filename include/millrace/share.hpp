// What one instance may take of a budget that several instances share (semantics 6).
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

namespace millrace {

struct Share {
  std::atomic<int> instances{1};    ///< that work
  std::function<bool()> may_begin;  ///< whether a request may begin now; set before the first one

  /// Our part of what all may have in flight together; never nothing.
  int of(int all) const { return std::max(1, all / instances.load(std::memory_order_relaxed)); }
  bool allows() const { return !may_begin || may_begin(); }
};
using SharePtr = std::shared_ptr<const Share>;

}  // namespace millrace
