#include "route/selection.hpp"

#include <algorithm>

namespace millrace::route {

using config::RouteRequest;

Result<DecodedEventPtr> decode(std::string_view payload) {
  MILLRACE_TRY(event, read_event(payload));
  return std::make_shared<const DecodedEvent>(std::move(event));
}

RouteBindings::RouteBindings(const DecodedEvent& event, WallTime appended_at)
    : record_(event.event.record), now_(to_rfc3339(appended_at)) {
  bindings_.set("event", &event.input);
  bindings_.set("record", &record_);
  bindings_.set("now", &now_);
}

Result<Selection> select(const config::Route& route, const config::ConfigHost& host,
                         const DecodedEvent& event) {
  const auto named = std::ranges::find(route.requests, event.event.name(), &RouteRequest::event);
  if (named == route.requests.end()) return Selection{};
  const auto happened = [&event](const RouteRequest& request) {
    return std::ranges::any_of(event.event.types, [&](std::string_view type) {
      const std::size_t dot = type.rfind('.');
      return type.substr(dot == type.npos ? 0 : dot + 1) == request.event;
    });
  };
  const auto chosen = std::find_if(route.requests.begin(), named, happened);
  if (chosen != named) return Selection{Verdict::covered, &*chosen};
  if (route.when) {
    const RouteBindings bindings(event, event.event.time);
    const ExpressionContext context{&bindings.bindings(), &host, {}};
    MILLRACE_TRY(wanted, route.when->compiled->test(event.input, context));
    if (!wanted) return Selection{Verdict::filtered, nullptr};
  }
  return Selection{Verdict::act, &*named};
}

Result<DecodedEventPtr> acted_on(const config::Config& config, const config::Route& route,
                                 const LogRecord& record) {
  if (record.topic != route.entity) return DecodedEventPtr();
  MILLRACE_TRY(decoded, decode(record.payload));
  return acts_on(config, route, *decoded) ? decoded : DecodedEventPtr();
}

bool acts_on(const config::Config& config, const config::Route& route, const DecodedEvent& event) {
  if (!route.only_event.empty() && event.event.name() != route.only_event) return false;
  const config::ConfigHost host(config, nullptr);
  const auto selection = select(route, host, event);
  return !selection || selection->verdict == Verdict::act;
}

}  // namespace millrace::route
