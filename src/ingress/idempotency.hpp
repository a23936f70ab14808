// Idempotency-Key of /events (draft-ietf-httpapi-idempotency-key-header): a repeat with the same
// body gets the same answer, another body is refused, and so is a second request while the first is
// under way. In memory and bounded; across a restart (source, id) still protects. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "millrace/clock.hpp"

namespace millrace::ingress {

/// The value of the header: a structured-field string ("...") or a bare word of visible ASCII.
/// nullopt when it is neither, empty, or longer than 255.
std::optional<std::string> parse_idempotency_key(std::string_view value);

class IdempotencyKeys {
 public:
  struct Options {
    std::size_t keys_max = 100'000;
    std::chrono::seconds window{24 * 3600};
  };
  enum class Found : std::uint8_t {
    fresh,       ///< now in flight: `finish` or `forget` it
    in_flight,   ///< 409
    other_body,  ///< 422
    done         ///< the same request was accepted: answer it again
  };

  explicit IdempotencyKeys(Options options) : options_(options) {}

  /// `scope` joins credential and key; `body_hash` says what was asked.
  Found begin(const std::string& scope, std::string_view body_hash, WallTime now);
  void finish(const std::string& scope);
  void forget(const std::string& scope);

 private:
  struct Entry {
    std::string body_hash;
    WallTime since;
    bool done = false;
  };
  void expire(WallTime now);

  const Options options_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::pair<WallTime, std::string>> order_;  ///< done ones, the oldest first
};

/// An in-flight key that ends with its request: kept when the event became durable.
class PendingKey {
 public:
  PendingKey() = default;
  PendingKey(IdempotencyKeys& keys, std::string scope) : keys_(&keys), scope_(std::move(scope)) {}
  PendingKey(PendingKey&& other) noexcept
      : keys_(std::exchange(other.keys_, nullptr)), scope_(std::move(other.scope_)) {}
  PendingKey& operator=(PendingKey&& other) noexcept {
    std::swap(keys_, other.keys_);
    std::swap(scope_, other.scope_);
    return *this;
  }
  ~PendingKey() { end(false); }
  void end(bool durable) {
    IdempotencyKeys* keys = std::exchange(keys_, nullptr);
    if (keys == nullptr) return;
    durable ? keys->finish(scope_) : keys->forget(scope_);
  }

 private:
  IdempotencyKeys* keys_ = nullptr;
  std::string scope_;
};

}  // namespace millrace::ingress
