// Which store a configuration names, and how it is opened: the one place that knows both.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "millrace/state_store.hpp"

namespace millrace {

/// Opens the store to write to, creating it when there is none. `on_fatal` is called at most once,
/// on one of the store's threads, when the process must stop.
Result<std::unique_ptr<StateStore>> open_state(const StateChoice& choice,
                                               std::function<void(Error)> on_fatal);

/// Committed rows alone, also beside a running daemon.
Result<std::unique_ptr<StateReader>> open_state_reader(const StateChoice& choice);

/// What is wrong with the store in itself, in words.
Result<std::vector<std::string>> verify_state(const StateChoice& choice);

}  // namespace millrace
