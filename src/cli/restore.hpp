// `millrace restore`: a backup becomes the state and the log of this configuration.
#pragma once

#include <string>

#include "cli/session.hpp"

namespace millrace::cli {

/// With millraced stopped. Refuses to overwrite anything.
int run_restore(const Session& session, const std::string& directory);

}  // namespace millrace::cli
