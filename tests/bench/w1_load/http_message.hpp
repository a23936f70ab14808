// As much of HTTP/1.1 as two ends that trust each other need: finds one message in a buffer.
// Not for input from outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace w1 {

struct HttpMessage {
  enum class State : std::uint8_t { incomplete, complete, malformed };
  State state = State::incomplete;
  int status = 0;        ///< answers only
  std::size_t size = 0;  ///< bytes of the buffer it takes
  std::string body;      ///< without chunk framing
  bool close = false;    ///< the sender closes after it
  bool interim = false;  ///< a 1xx answer: another follows
};

enum class Side : std::uint8_t { request, answer };

/// The message at the start of the buffer.
HttpMessage read_http_message(std::string_view buffer, Side side);

}  // namespace w1
