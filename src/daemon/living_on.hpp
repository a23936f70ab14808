// What lives on a shard dies there: its deadlines and sockets belong to the shard's thread, and the
// last who holds it may be on any.
#pragma once

#include <memory>
#include <utility>

#include "net/shard.hpp"

namespace millrace::daemon {

template <typename T>
std::shared_ptr<T> living_on(Shard& home, std::unique_ptr<T> made) {
  return std::shared_ptr<T>(made.release(), [&home](T* last) {
    std::unique_ptr<T> owned(last);
    if (!home.on_thread()) home.post([owned = std::move(owned)] {});
  });
}

}  // namespace millrace::daemon
