// What a connector is to the broker: a Sink that makes one call, and a harmless check. No retry, no
// journal, no expressions inside; those belong to deliver.
#pragma once

#include <optional>
#include <string>

#include "millrace/http.hpp"
#include "millrace/result.hpp"

namespace millrace {

/// One attempt of one rendered request.
struct Delivery {
  HttpRequest request;  ///< without authentication: the sink adds it
  std::string idempotency_key;
  std::string event_id;
  int attempt = 1;
  milliseconds timeout{30'000};
};

/// What became of one attempt, before routes' `treat` rules.
struct Outcome {
  enum class Kind : std::uint8_t {
    delivered,      ///< applied
    again,          ///< not applied; worth repeating
    rejected,       ///< not applied; repeating changes nothing
    unknown,        ///< sent and unanswered: may have been applied
    needs_decision  ///< a person must say
  };
  /// Whose fault a failure is: one record's, or the whole target's (the lane pauses).
  enum class Scope : std::uint8_t { record, target };

  Kind kind = Kind::delivered;
  Scope scope = Scope::record;
  std::string reason;  ///< for the operator
  std::optional<milliseconds> retry_after;
  std::optional<HttpResponse> answer;  ///< when the target answered
};
std::string_view to_string(Outcome::Kind kind);

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Awaitable<Outcome> deliver(Delivery delivery) = 0;
  /// Does the target answer? Changes nothing there.
  virtual Awaitable<Outcome> check() = 0;
};

}  // namespace millrace
