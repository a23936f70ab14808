// Idempotency-Key of /events (draft-ietf-httpapi-idempotency-key-header): a repeat with the same
// body gets the same answer, another body is refused, and so is a second request while the first is
// under way. What was answered lies in the log: the first event appended under a key carries two
// ids, one of the key and one of key and request together, which are found like the ids of events.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "millrace/record_id.hpp"

namespace millrace::ingress {

/// The value of the header: a structured-field string ("...") or a bare word of visible ASCII.
/// nullopt when it is neither, empty, or longer than 255.
std::optional<std::string> parse_idempotency_key(std::string_view value);

/// Who is on record as having used a key, and for what.
struct RequestIds {
  RecordId key;   ///< of credential and key
  RecordId same;  ///< of credential, key and what was asked

  static RequestIds of(std::string_view credential, std::string_view key, std::string_view request);
  /// 64 hex digits: the event's attribute `request`.
  std::string text() const;
  static std::optional<RequestIds> parse(std::string_view text);
};

/// Keys of requests under way. Thread-safe.
class IdempotencyKeys {
 public:
  enum class Found : std::uint8_t {
    fresh,      ///< now in flight: `end` it
    in_flight,  ///< 409
    other_body  ///< 422
  };
  Found begin(const RequestIds& ids);
  void end(const RequestIds& ids);

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, RequestIds> under_way_;  ///< by the first half of the key
};

/// A key in flight that ends with its request.
class PendingKey {
 public:
  PendingKey() = default;
  PendingKey(IdempotencyKeys& keys, const RequestIds& ids) : keys_(&keys), ids_(ids) {}
  PendingKey(PendingKey&& other) noexcept
      : keys_(std::exchange(other.keys_, nullptr)), ids_(other.ids_) {}
  PendingKey& operator=(PendingKey&& other) noexcept {
    std::swap(keys_, other.keys_);
    std::swap(ids_, other.ids_);
    return *this;
  }
  ~PendingKey() {
    if (keys_ != nullptr) keys_->end(ids_);
  }
  /// The request's ids, if it has a key.
  const RequestIds* ids() const { return keys_ == nullptr ? nullptr : &ids_; }

 private:
  IdempotencyKeys* keys_ = nullptr;
  RequestIds ids_;
};

}  // namespace millrace::ingress
