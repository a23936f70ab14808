#include "ingress/data_plane.hpp"

#include "ingress/answers.hpp"

namespace millrace::ingress {
namespace {

Awaitable<HttpResponse> answer(HttpResponse response) {
  co_return response;
}

}  // namespace

HttpHandler DataPlane::handler() {
  // Hands the endpoints' coroutines on as they are: a frame of its own would cost an allocation.
  return [this](IncomingRequest request) -> Awaitable<HttpResponse> {
    if (request.path.starts_with("/hooks/")) return hooks_.handle(std::move(request));
    if (request.path == "/events") return events_.handle(std::move(request));
    return answer(not_found());
  };
}

}  // namespace millrace::ingress
