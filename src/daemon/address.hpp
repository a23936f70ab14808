// Listening addresses as the configuration writes them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace millrace::daemon {

/// "127.0.0.1:8480" or "[::1]:8480" taken apart; the loader has checked the form.
std::pair<std::string, std::uint16_t> split_address(const std::string& text);

}  // namespace millrace::daemon
