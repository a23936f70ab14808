#include <algorithm>

#include "net/ascii.hpp"
#include "net/http_wire.hpp"

namespace millrace {

namespace {

constexpr std::size_t kSizeDigitsMax = 15;  // stays within 64 bits

/// Field text: no control bytes but tabs.
bool is_clean(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

/// Takes `"..."` with its backslash pairs off the front of `text`.
bool take_quoted(std::string_view& text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

std::size_t token_length(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_token_char) - text.begin());
}

/// *( BWS ";" BWS name [ BWS "=" BWS value ] ), RFC 9112 7.1.1.
bool is_extension_list(std::string_view text) {
  while (!text.empty()) {
    text = trim_blanks(text);
    if (!text.starts_with(';')) return false;
    text = trim_blanks(text.substr(1));
    const std::size_t name = token_length(text);
    if (name == 0) return false;
    const std::string_view after = trim_blanks(text.substr(name));
    text.remove_prefix(name);
    if (!after.starts_with('=')) continue;
    text = trim_blanks(after.substr(1));
    if (text.starts_with('"')) {
      if (!take_quoted(text)) return false;
      continue;
    }
    const std::size_t value = token_length(text);
    if (value == 0) return false;
    text.remove_prefix(value);
  }
  return true;
}

}  // namespace

ChunkDecoder::State ChunkDecoder::refuse(int status, std::string_view reason) {
  refusal_ = {status, reason};
  return State::refused;
}

/// Moves one line without its CRLF into line_; `done` when it is whole.
ChunkDecoder::State ChunkDecoder::take_line(std::string_view& input, std::size_t bytes_max) {
  const auto end = input.find('\n');
  const bool whole = end != std::string_view::npos;
  const std::string_view part = input.substr(0, whole ? end + 1 : input.size());
  if (line_.size() + part.size() > bytes_max + 2) {
    return refuse(400, "a line of the chunked body is too long");
  }
  line_ += part;
  input.remove_prefix(part.size());
  if (!whole) return State::more;
  if (!line_.ends_with("\r\n"))
    return refuse(400, "a line of the chunked body ends with a bare LF");
  line_.resize(line_.size() - 2);
  if (!is_clean(line_)) return refuse(400, "the chunked body has control bytes in its framing");
  return State::done;
}

ChunkDecoder::State ChunkDecoder::begin_chunk(const std::string& body) {
  const std::string_view line = line_;
  std::size_t digits = 0;
  std::uint64_t size = 0;
  while (digits < line.size() && is_hex_digit(line[digits])) {
    if (digits == kSizeDigitsMax) return refuse(400, "a chunk's size is malformed");
    size = size * 16 + hex_value(line[digits]);
    ++digits;
  }
  const std::string_view extensions = line.substr(digits);
  if (digits == 0 || !is_extension_list(extensions)) {
    return refuse(400, "a chunk's size is malformed");
  }
  extension_bytes_ += extensions.size();
  if (extension_bytes_ > limits_.extension_bytes_max) {
    return refuse(400, "there are too many chunk extensions");
  }
  if (++chunks_ > limits_.chunks_max) return refuse(400, "there are too many chunks");
  if (size > limits_.body_max - body.size()) return refuse(413, "the body is too large");
  left_ = size;
  step_ = size == 0 ? Step::trailer : Step::data;
  line_.clear();
  return State::more;
}

ChunkDecoder::State ChunkDecoder::take_trailer() {
  if (line_.empty()) return State::done;
  trailer_bytes_ += line_.size() + 2;
  ++trailer_fields_;
  if (trailer_bytes_ > limits_.trailer_bytes_max || trailer_fields_ > limits_.trailer_fields_max) {
    return refuse(431, "there are too many trailer fields");
  }
  const std::string_view line = line_;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return refuse(400, "a trailer field is malformed");
  }
  line_.clear();
  return State::more;
}

ChunkDecoder::State ChunkDecoder::feed(std::string_view& input, std::string& body) {
  while (!input.empty()) {
    State state = State::more;
    switch (step_) {
      case Step::size:
        state = take_line(input, limits_.extension_bytes_max + kSizeDigitsMax);
        if (state == State::done) state = begin_chunk(body);
        break;
      case Step::data: {
        const auto part =
            input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
        body += part;
        left_ -= part.size();
        input.remove_prefix(part.size());
        if (left_ == 0) step_ = Step::data_end;
        break;
      }
      case Step::data_end:
        state = take_line(input, 0);
        if (state != State::done) break;
        line_.clear();
        step_ = Step::size;
        state = State::more;
        break;
      case Step::trailer:
        state = take_line(input, limits_.trailer_bytes_max);
        if (state == State::done) state = take_trailer();
        if (state == State::done) return State::done;
        break;
    }
    if (state == State::refused) return state;
  }
  return State::more;
}

}  // namespace millrace
