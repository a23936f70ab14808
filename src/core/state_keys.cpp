#include "millrace/state_keys.hpp"

#include <algorithm>

#include "millrace/utf8.hpp"

namespace millrace {

namespace {

constexpr std::size_t kIndexedNameBytesMax = 512;

}  // namespace

bool is_identifier(std::string_view text) {
  if (text.empty() || text.size() > kIdentifierBytesMax) return false;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = utf8_length(text, at);
    if (byte < 0x20 || byte == 0x7F || length == 0) return false;
    at += length;
  }
  return true;
}

std::string indexed_name(std::string_view name) {
  name = name.substr(0, name.find('\0'));
  std::size_t size = std::min(name.size(), kIndexedNameBytesMax);
  // Not within a character: people read keys.
  while (size < name.size() && size > 0 && (static_cast<unsigned char>(name[size]) & 0xC0) == 0x80)
    --size;
  return std::string(name.substr(0, size));
}

}  // namespace millrace
