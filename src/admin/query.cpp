#include "admin/query.hpp"

#include "net/ascii.hpp"

namespace millrace::admin {

std::optional<std::string> decode_component(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text.front() != '%') {
      out.push_back(plus_is_space && text.front() == '+' ? ' ' : text.front());
      text.remove_prefix(1);
      continue;
    }
    if (text.size() < 3 || !is_hex_digit(text[1]) || !is_hex_digit(text[2])) return std::nullopt;
    out.push_back(static_cast<char>(hex_value(text[1]) << 4 | hex_value(text[2])));
    text.remove_prefix(3);
  }
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(
    std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view item = query.substr(0, end);
    query = end == query.npos ? std::string_view() : query.substr(end + 1);
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    auto name = decode_component(item.substr(0, equals), true);
    auto value = equals == item.npos ? std::optional<std::string>("")
                                     : decode_component(item.substr(equals + 1), true);
    if (!name || !value) return std::nullopt;
    pairs.emplace_back(*std::move(name), *std::move(value));
  }
  return pairs;
}

}  // namespace millrace::admin
