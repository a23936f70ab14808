// One commit, waited for. For the daemon's start and for commands: never call it on a shard, nor on
// an executor that the store's completions need.
#pragma once

#include "millrace/state_store.hpp"

namespace millrace {

/// Returns when the batch is durable, or why it is not. Errc::disk_failed when the store failed for
/// good and will never answer.
/// Errc::unanswered at the limit: a store that is away may yet make it durable.
Result<void> commit_blocking(StateStore& store, Batch batch,
                             milliseconds limit = milliseconds(60'000));

}  // namespace millrace
