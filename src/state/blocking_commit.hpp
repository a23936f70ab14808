// One commit, waited for. For the daemon's start and for commands: never call it on a shard, nor on
// an executor that the store's completions need.
#pragma once

#include <optional>

#include "millrace/state_store.hpp"

namespace millrace {

/// Returns when the batch is durable, or why it is not. Errc::disk_failed when the store failed for
/// good and will never answer.
/// With a limit: Errc::unanswered when it is reached; the batch may still become durable.
Result<void> commit_blocking(StateStore& store, Batch batch,
                             std::optional<milliseconds> limit = {});

}  // namespace millrace
