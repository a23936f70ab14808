// The known name an operator most likely meant.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

/// The candidate within a third of the word's length in edits (swaps count one); empty: none.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "; did you mean `name`?" or "".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// "a, b and c"; at most `max` names, then "...".
std::string list_names(std::span<const std::string> names, std::size_t max = 20);

template <typename Map>
std::vector<std::string> keys_of(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

}  // namespace millrace::config
