// `millrace state copy`: a state store into another one, beside the copy of its log. Promises: the
// new store is an installation only when all of it is there; the old one is left for good before
// that, so that no two of them ever run; stopped at any moment it can be said once more.
#pragma once

#include "stores/log_copy.hpp"

namespace millrace::stores {

/// Blocking, with the daemon stopped, after copy_log. Errors as there; Errc::conflict when the log
/// was not copied, or went on since then.
Result<CopyReport> copy_state(const config::Config& from, const config::Config& to,
                              const ProgressListener& listener);

}  // namespace millrace::stores
