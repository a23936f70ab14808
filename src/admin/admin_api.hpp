// The admin plane over HTTP: operations under /admin with a token, /healthz, /readyz and /metrics
// without. How the daemon uses it:
//   AdminApi api({token, probes});
//   api.add(operation("status", [&](Json args) { return status(std::move(args)); }));
//   make_http_server(shards, options, api.handler());
// A handler gets one JSON object: path parameters and query (texts) and the members of the JSON
// body. It runs on a shard of the server; its Error becomes problem+json with a fitting status.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/operations.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"
#include "net/http_server.hpp"

namespace millrace::admin {

using OperationHandler = std::function<Awaitable<Result<Json>>(Json args)>;

struct AdminOperation {
  std::string name;
  std::string method;
  std::string path;  ///< pattern: "/admin/v1/routes/{name}/pause"
  OperationHandler handler;
};
/// The operation of that name from the table; a name that is not there is a broken invariant.
AdminOperation operation(std::string_view name, OperationHandler handler);

/// What the daemon says of itself; called on any shard, must not block. Empty functions: always
/// well.
struct Probes {
  std::function<Result<void>()> health;  ///< /healthz: the process works
  /// /readyz: it takes messages in. What is wrong all the same, a line each.
  std::function<Result<std::string>()> ready;
  /// /metrics: Prometheus text format 0.0.4.
  std::function<Awaitable<std::string>()> metrics;
};

class AdminApi {
 public:
  struct Options {
    std::string token;
    Probes probes;
    /// Why operations that change something are refused now; nullopt: they are not. May be empty.
    std::function<std::optional<Error>()> refuse_changes;
    bool probes_need_token = false;  ///< set where the plane does not listen on loopback
  };

  explicit AdminApi(Options options) : options_(std::move(options)) {}
  /// Before `handler`.
  void add(AdminOperation operation);
  /// The api outlives the server.
  HttpHandler handler();

 private:
  Awaitable<HttpResponse> handle(IncomingRequest request);
  Awaitable<HttpResponse> probe(IncomingRequest request) const;
  bool is_authorized(const HttpHeaders& headers) const;

  Options options_;
  std::vector<AdminOperation> operations_;
};

/// The status an Error is answered with.
int http_status(Errc code);
/// problem+json with the member `code`, the Errc's name.
HttpResponse problem_of(const Error& error);

}  // namespace millrace::admin
