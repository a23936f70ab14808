#include "http_message.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace w1 {
namespace {

constexpr std::size_t kHeaderBytesMax = 65'536;
constexpr std::string_view kLineEnd = "\r\n";

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

bool parse_number(std::string_view text, std::size_t& number, int base = 10) {
  const char* end = text.data() + text.size();
  return std::from_chars(text.data(), end, number, base).ec == std::errc{};
}

struct Framing {
  std::size_t length = 0;
  bool chunked = false;
  bool malformed = false;
};

void read_field(std::string_view line, HttpMessage& message, Framing& framing) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  if (equal_without_case(name, "content-length")) {
    framing.malformed = !parse_number(value, framing.length);
  } else if (equal_without_case(name, "transfer-encoding")) {
    framing.chunked = equal_without_case(value, "chunked");
  } else if (equal_without_case(name, "connection")) {
    message.close = equal_without_case(value, "close");
  }
}

/// Fills body, size and state from the chunks that begin at `at`.
void read_chunks(std::string_view buffer, std::size_t at, HttpMessage& message) {
  while (true) {
    const auto line_end = buffer.find(kLineEnd, at);
    if (line_end == std::string_view::npos) return;
    std::size_t length = 0;
    if (!parse_number(buffer.substr(at, line_end - at), length, 16)) {
      message.state = HttpMessage::State::malformed;
      return;
    }
    at = line_end + kLineEnd.size();
    if (buffer.size() < at + length + kLineEnd.size()) return;
    message.body.append(buffer.substr(at, length));
    at += length + kLineEnd.size();
    if (length > 0) continue;
    message.size = at;
    message.state = HttpMessage::State::complete;
    return;
  }
}

}  // namespace

HttpMessage read_http_message(std::string_view buffer, Side side) {
  HttpMessage message;
  const auto head_end = buffer.find("\r\n\r\n");
  if (head_end == std::string_view::npos) {
    if (buffer.size() > kHeaderBytesMax) message.state = HttpMessage::State::malformed;
    return message;
  }
  auto line_end = buffer.find(kLineEnd);
  if (side == Side::answer) {
    std::size_t status = 0;
    if (line_end < 12 || !parse_number(buffer.substr(9, 3), status)) {
      message.state = HttpMessage::State::malformed;
      return message;
    }
    message.status = static_cast<int>(status);
  }
  Framing framing;
  while (line_end < head_end) {
    const auto begin = line_end + kLineEnd.size();
    line_end = buffer.find(kLineEnd, begin);
    read_field(buffer.substr(begin, line_end - begin), message, framing);
  }
  const auto body_begin = head_end + 4;
  if (framing.malformed) {
    message.state = HttpMessage::State::malformed;
    return message;
  }
  if (framing.chunked) {
    read_chunks(buffer, body_begin, message);
    return message;
  }
  if (buffer.size() < body_begin + framing.length) return message;
  message.body = buffer.substr(body_begin, framing.length);
  message.size = body_begin + framing.length;
  message.interim = side == Side::answer && message.status < 200;
  message.state = HttpMessage::State::complete;
  return message;
}

}  // namespace w1
