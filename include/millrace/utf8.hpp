// Bytes of others as text: rows of the state store, events and requests hold valid UTF-8 alone.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

/// Length of the character at `at`; 0 when no valid one begins there.
std::size_t utf8_length(std::string_view bytes, std::size_t at);
/// What is no UTF-8 becomes U+FFFD, a byte each; at most `bytes_max` of the result, and no half
/// character at its end.
std::string valid_utf8(std::string_view bytes, std::size_t bytes_max = std::string::npos);

}  // namespace millrace
