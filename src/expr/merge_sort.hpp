// A stable sort that stays safe when its comparison gives up in the middle (budget reached), which
// std::sort does not promise. `before(left, right)` may become false for everything at any time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace millrace::expr {

template <typename T, typename Before>
void merge_sort(std::vector<T>& items, const Before& before) {
  std::vector<T> merged;
  merged.reserve(items.size());
  for (std::size_t width = 1; width < items.size(); width *= 2) {
    merged.clear();
    for (std::size_t from = 0; from < items.size(); from += 2 * width) {
      const std::size_t middle = std::min(from + width, items.size());
      const std::size_t to = std::min(from + 2 * width, items.size());
      std::size_t left = from;
      std::size_t right = middle;
      while (left < middle && right < to) {
        std::size_t& next = before(items[right], items[left]) ? right : left;
        merged.push_back(std::move(items[next++]));
      }
      while (left < middle) merged.push_back(std::move(items[left++]));
      while (right < to) merged.push_back(std::move(items[right++]));
    }
    items.swap(merged);
  }
}

}  // namespace millrace::expr
