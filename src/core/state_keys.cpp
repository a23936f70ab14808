#include "millrace/state_keys.hpp"

#include <algorithm>

namespace millrace {

namespace {

constexpr std::size_t kIndexedNameBytesMax = 512;

}  // namespace

bool is_identifier(std::string_view text) {
  if (text.empty() || text.size() > kIdentifierBytesMax) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) != 0x7F;
  });
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
