// Which of a route's requests an event asks for.
#pragma once

#include <memory>

#include "config/host.hpp"
#include "config/model.hpp"
#include "millrace/event.hpp"
#include "millrace/event_log.hpp"

namespace millrace::route {

/// Decodes an events payload. Errc::malformed or corrupt when it is none.
Result<DecodedEventPtr> decode(std::string_view payload);

enum class Verdict : std::uint8_t {
  act,      ///< send `request`
  covered,  ///< the request of another event of the same change is sent, see `request`
  unnamed,  ///< no request of the route names it
  filtered  ///< `when` is false
};

struct Selection {
  Verdict verdict = Verdict::unnamed;
  const config::RouteRequest* request = nullptr;  ///< of `act`; of `covered`, what covers it
};

/// On one change a route sends one request: the first its `requests` name, in their order. `when`
/// is evaluated only for an event that would act; its failure is the caller's to park.
Result<Selection> select(const config::Route& route, const config::ConfigHost& host,
                         const DecodedEvent& event);

/// Whether the route would send a request for it or cannot say.
bool acts_on(const config::Config& config, const config::Route& route, const DecodedEvent& event);
/// The event, when the route acts on it; nullptr otherwise.
Result<DecodedEventPtr> acted_on(const config::Config& config, const config::Route& route,
                                 const LogRecord& record);

/// The bindings $event, $record and $now of a request's expressions. `.` is the event.
class RouteBindings {
 public:
  RouteBindings(const DecodedEvent& event, WallTime appended_at);
  const ExpressionBindings& bindings() const { return bindings_; }

 private:
  Json record_;
  Json now_;
  ExpressionBindings bindings_;
};

}  // namespace millrace::route
