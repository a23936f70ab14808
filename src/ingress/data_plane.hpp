// The data plane's dispatcher: /hooks/... and /events; everything else is 404.
#pragma once

#include <string_view>

#include "ingress/events_endpoint.hpp"
#include "ingress/hook_endpoint.hpp"

namespace millrace::ingress {

class DataPlane {
 public:
  /// Both outlive the plane, and the plane outlives the server.
  DataPlane(HookEndpoint& hooks, EventsEndpoint& events) : hooks_(hooks), events_(events) {}

  HttpHandler handler();
  /// For HttpServerOptions::body_max_of.
  std::size_t body_max_of(std::string_view target) const { return hooks_.body_max_of(target); }

 private:
  HookEndpoint& hooks_;
  EventsEndpoint& events_;
};

}  // namespace millrace::ingress
