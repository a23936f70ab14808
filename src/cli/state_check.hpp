// `millrace state verify` beyond the file itself: does a state fit its log?
#pragma once

#include <string>
#include <vector>

#include "config/model.hpp"
#include "millrace/result.hpp"
#include "millrace/state_store.hpp"

namespace millrace::cli {

/// What does not fit, in words, at most 100 findings. Reads only, also beside a running daemon: the
/// state first, because the log only grows.
Result<std::vector<std::string>> check_state_against_log(const config::Installation& installation,
                                                         const StateChoice& choice);

}  // namespace millrace::cli
