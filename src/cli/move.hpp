// Commands that carry a stopped installation over to another log and another state store.
#pragma once

#include <string>

#include "cli/session.hpp"

namespace millrace::cli {

/// Copies the log of the configuration into the one that the configuration in `to` names.
int run_log_copy(const Session& session, const std::string& to);
/// Copies the state likewise, after the log; the old installation starts no more.
int run_state_copy(const Session& session, const std::string& to);

}  // namespace millrace::cli
