// What must not run side by side (semantics 5, `exclusive`). It is exclusion, not order: taken once
// an event is the first of its record, held while its request is in flight, let go between retries.
// Here one item of the lane at a time goes to the target with a value, so that those that wait take
// no place there; the target sees to it over the route's lanes. Nobody who has a value waits for
// another, and after a crash nobody has any.
#include "deliver/item.hpp"
#include "deliver/lane.hpp"

namespace millrace::deliver {

// False: it waits, or was parked; somebody else goes on with it.
bool Lane::has_its_turn(const ItemPtr& item) {
  const auto& program = item->route->exclusive;
  if (!program || item->has_exclusive) return true;
  if (!item->exclusive) {
    config::ConfigHost host(*item->config, nullptr);
    host.set_fetched(&item->references);
    host.set_missing(item->request->missing);
    const auto value = route::exclusive(*program, host, *item->event, item->appended_at);
    if (!value) {
      on_unrendered(item, value.error(), host.wanted());
      return false;
    }
    // Per route: values of two routes may be equal by chance.
    item->exclusive = value->empty() ? 0 : hash64(row_key(id_, *value));
  }
  if (*item->exclusive == 0) return true;
  const auto [found, free] = exclusive_.try_emplace(*item->exclusive);
  if (!free) {
    found->second.push_back(item);
    if (item->row) ++parked_in_turn_;
    return false;
  }
  item->has_exclusive = true;
  return true;
}

void Lane::end_turn(const ItemPtr& item) {
  if (!std::exchange(item->has_exclusive, false)) return;
  const auto found = exclusive_.find(*item->exclusive);
  if (found->second.empty()) {
    exclusive_.erase(found);
    return;
  }
  const ItemPtr next = std::move(found->second.front());
  found->second.pop_front();
  next->has_exclusive = true;
  if (next->row) --parked_in_turn_;
  ready_of(next).push_front(next);
}

}  // namespace millrace::deliver
