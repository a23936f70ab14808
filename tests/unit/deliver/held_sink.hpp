// A target that answers a call when the test says so.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/connector.hpp"
#include "net/shard.hpp"
#include "net/tasks.hpp"

namespace millrace::deliver::test {

/// Everything on the shard's thread.
class HeldSink final : public Sink {
 public:
  explicit HeldSink(Shard& shard) : shard_(shard) {}
  Awaitable<Outcome> deliver(Delivery delivery) override {
    if (at_once) {
      if (auto outcome = at_once(delivery)) co_return *std::move(outcome);
    }
    const auto gate = std::make_shared<Notifier>(shard_.context());
    gates_[delivery.event_id] = gate;
    on_wire.push_back(delivery.event_id);
    co_await gate->wait();
    std::erase(on_wire, delivery.event_id);
    co_return answers;
  }
  Awaitable<Outcome> check() override {
    ++checks;
    co_return check_answers;
  }
  bool has(const std::string& event) const {
    return std::ranges::find(on_wire, event) != on_wire.end();
  }
  void answer(const std::string& event) { gates_.at(event)->notify(); }

  std::vector<std::string> on_wire;  ///< ids of events
  Outcome answers;
  Outcome check_answers;
  int checks = 0;
  /// What is answered without being told to; nullopt: nothing. May be empty.
  std::function<std::optional<Outcome>(const Delivery&)> at_once;

 private:
  Shard& shard_;
  std::map<std::string, std::shared_ptr<Notifier>> gates_;
};

}  // namespace millrace::deliver::test
