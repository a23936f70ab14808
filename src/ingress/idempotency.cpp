#include "ingress/idempotency.hpp"

#include <algorithm>

namespace millrace::ingress {
namespace {

constexpr std::size_t kKeyBytesMax = 255;

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view value) {
  std::string key;
  if (value.starts_with('"')) {
    // RFC 8941 3.3.3: visible ASCII and spaces; a backslash escapes itself and the quote.
    std::size_t i = 1;
    for (; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\') {
        if (++i == value.size() || (value[i] != '"' && value[i] != '\\')) return std::nullopt;
      }
      if (value[i] < 0x20 || value[i] > 0x7E) return std::nullopt;
      key.push_back(value[i]);
    }
    if (i + 1 != value.size()) return std::nullopt;
  } else {
    const bool visible = std::all_of(value.begin(), value.end(), [](char c) {
      return c > 0x20 && c < 0x7F && c != '"' && c != '\\';
    });
    if (!visible) return std::nullopt;
    key = value;
  }
  if (key.empty() || key.size() > kKeyBytesMax) return std::nullopt;
  return key;
}

void IdempotencyKeys::expire(WallTime now) {
  while (!order_.empty() &&
         (order_.size() > options_.keys_max || order_.front().first < now - options_.window)) {
    entries_.erase(order_.front().second);
    order_.pop_front();
  }
}

IdempotencyKeys::Found IdempotencyKeys::begin(const std::string& scope, std::string_view body_hash,
                                              WallTime now) {
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto [entry, inserted] = entries_.try_emplace(scope, Entry{std::string(body_hash), now});
  if (inserted) return Found::fresh;
  if (entry->second.body_hash != body_hash) return Found::other_body;
  return entry->second.done ? Found::done : Found::in_flight;
}

void IdempotencyKeys::finish(const std::string& scope) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(scope);
  if (found == entries_.end() || found->second.done) return;
  found->second.done = true;
  order_.emplace_back(found->second.since, scope);
}

void IdempotencyKeys::forget(const std::string& scope) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(scope);
  if (found != entries_.end() && !found->second.done) entries_.erase(found);
}

}  // namespace millrace::ingress
