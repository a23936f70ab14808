// What a connector is to the broker: a Sink that makes one call, and a harmless check. No retry, no
// journal, no expressions inside; those belong to deliver.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/http.hpp"
#include "millrace/record_reader.hpp"
#include "millrace/result.hpp"
#include "millrace/share.hpp"
#include "millrace/spec.hpp"

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

/// What a connection gives its connector, beside the connector's own options.
struct ConnectionContext {
  std::string name;
  std::string url;  ///< empty for connectors without one
  std::vector<std::pair<std::int64_t, std::string>> companies;  ///< id -> code
  int in_flight = 8;
  HttpClientFactory http;                      ///< clients live on the connection's home shard
  SharePtr share = std::make_shared<Share>();  ///< of a pace that the connector keeps itself
};

/// One kind of connection: its options and what it can be. Stateless; one instance a type.
class ConnectorType {
 public:
  virtual ~ConnectorType() = default;
  virtual std::string_view name() const = 0;
  /// Options of this type beyond the common keys of every connection.
  virtual const AnySpec& spec() const = 0;
  /// Errc::not_supported where the type is no target.
  virtual Result<std::unique_ptr<Sink>> make_sink(const std::any& options,
                                                  ConnectionContext context) const = 0;
  /// Errc::not_supported where the type is not read back.
  virtual Result<std::unique_ptr<RecordReader>> make_reader(const std::any& options,
                                                            ConnectionContext context) const = 0;
};

class ConnectorRegistry {
 public:
  void add(std::unique_ptr<ConnectorType> type) { types_.push_back(std::move(type)); }
  const ConnectorType* find(std::string_view name) const {
    for (const auto& type : types_) {
      if (type->name() == name) return type.get();
    }
    return nullptr;
  }
  const std::vector<std::unique_ptr<ConnectorType>>& types() const { return types_; }

 private:
  std::vector<std::unique_ptr<ConnectorType>> types_;
};

}  // namespace millrace
