#include "admin/admin_api.hpp"

#include <fmt/format.h>

#include "admin/query.hpp"
#include "millrace/ids.hpp"
#include "net/ascii.hpp"
#include "net/problem.hpp"

namespace millrace::admin {
namespace {

HttpResponse text_answer(int status, std::string_view type, std::string body) {
  HttpResponse answer;
  answer.status = status;
  answer.headers.emplace_back("Content-Type", type);
  answer.headers.emplace_back("Cache-Control", "no-store");
  answer.body = std::move(body);
  return answer;
}

Result<void> merge(JsonObject& args, std::string_view name, Json value) {
  if (args.emplace(name, std::move(value)).second) return {};
  return fail(Errc::invalid_argument, fmt::format("the argument {} is given twice", name));
}

Result<void> merge_body(JsonObject& args, const IncomingRequest& request) {
  if (request.body.empty()) return {};
  MILLRACE_TRY(body, parse_json(request.body));
  if (!body.is_object()) return fail(Errc::malformed, "the body is not a JSON object");
  for (auto& member : body.get_object()) {
    MILLRACE_CHECK_OK(
        merge(args, {member.key().data(), member.key().size()}, std::move(member.value())));
  }
  return {};
}

Result<Json> read_arguments(const IncomingRequest& request,
                            std::vector<std::pair<std::string, std::string>> path_values) {
  JsonObject args;
  for (auto& [name, value] : path_values) MILLRACE_CHECK_OK(merge(args, name, Json(value)));
  const auto query = parse_query(request.query);
  if (!query) return fail(Errc::malformed, "the query has a broken percent escape");
  for (const auto& [name, value] : *query) MILLRACE_CHECK_OK(merge(args, name, Json(value)));
  MILLRACE_CHECK_OK(merge_body(args, request));
  return Json(std::move(args));
}

bool is_json(const HttpHeaders& headers) {
  const std::string_view type = header(headers, "content-type").value_or("");
  return equal_ignoring_case(trim_blanks(type.substr(0, type.find(';'))), "application/json");
}

HttpResponse not_allowed(std::string_view allow) {
  HttpResponse answer = problem(405, "", "");
  answer.headers.emplace_back("Allow", allow);
  return answer;
}

HttpResponse json_answer(const Json& value) {
  return text_answer(200, "application/json", write_json(value) + "\n");
}

Awaitable<HttpResponse> answer(HttpResponse response) {
  co_return response;
}

}  // namespace

AdminOperation operation(std::string_view name, OperationHandler handler) {
  const OperationSpec* spec = find_operation(name);
  MILLRACE_INVARIANT(spec != nullptr);
  return {std::string(spec->name), std::string(spec->method), std::string(spec->path),
          std::move(handler)};
}

void AdminApi::add(AdminOperation operation) {
  operations_.push_back(std::move(operation));
}

HttpHandler AdminApi::handler() {
  MILLRACE_INVARIANT(options_.token.size() >= 32);
  return [this](IncomingRequest request) -> Awaitable<HttpResponse> {
    // Everything under /admin needs the token, also what does not exist.
    const bool open = !request.path.starts_with("/admin") && !options_.probes_need_token;
    if (!open && !is_authorized(request.headers)) {
      HttpResponse refused =
          problem(401, "", "send Authorization: Bearer and the content of admin.token");
      refused.headers.emplace_back("WWW-Authenticate", "Bearer");
      return answer(std::move(refused));
    }
    if (!request.path.starts_with("/admin/")) return probe(std::move(request));
    return handle(std::move(request));
  };
}

bool AdminApi::is_authorized(const HttpHeaders& headers) const {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view given = header(headers, "authorization").value_or("");
  if (!equal_ignoring_case(given.substr(0, kScheme.size()), kScheme)) return false;
  return equal_constant_time(given.substr(kScheme.size()), options_.token);
}

Awaitable<HttpResponse> AdminApi::probe(IncomingRequest request) const {
  const Probes& probes = options_.probes;
  const bool is_health = request.path == "/healthz";
  if (!is_health && request.path != "/readyz" && request.path != "/metrics") {
    co_return problem(404, "", "");
  }
  if (request.method != "GET" && request.method != "HEAD") co_return not_allowed("GET, HEAD");
  if (request.path == "/metrics") {
    std::string text;
    if (probes.metrics) text = co_await probes.metrics();
    co_return text_answer(200, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
  }
  Result<std::string> well;
  if (is_health && probes.health) {
    const auto health = probes.health();
    if (!health) well = std::unexpected(health.error());
  }
  if (!is_health && probes.ready) well = probes.ready();
  if (well) co_return text_answer(200, "text/plain; charset=utf-8", "ok\n" + *well);
  co_return text_answer(503, "text/plain; charset=utf-8", well.error().message + "\n");
}

Awaitable<HttpResponse> AdminApi::handle(IncomingRequest request) {
  const AdminOperation* wanted = nullptr;
  std::string allow;
  std::vector<std::pair<std::string, std::string>> values;
  for (const AdminOperation& candidate : operations_) {
    std::vector<std::pair<std::string, std::string>> found;
    if (!match_path(candidate.path, request.path, found)) continue;
    if (candidate.method == request.method) {
      wanted = &candidate;
      values = std::move(found);
      break;
    }
    allow += (allow.empty() ? "" : ", ") + candidate.method;
  }
  if (wanted == nullptr && allow.empty()) {
    co_return problem(404, "", "the admin API has no such operation");
  }
  if (wanted == nullptr) co_return not_allowed(allow);
  if (!request.body.empty() && !is_json(request.headers)) {
    co_return problem(415, "", "send the arguments as application/json");
  }
  if (options_.refuse_changes && wanted->method != "GET") {
    if (const auto refused = options_.refuse_changes()) co_return problem_of(*refused);
  }
  auto args = read_arguments(request, std::move(values));
  if (!args) co_return problem_of(args.error());
  auto result = co_await wanted->handler(*std::move(args));
  if (!result) co_return problem_of(result.error());
  co_return json_answer(*result);
}

int http_status(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::malformed:
    case Errc::too_deep:
      return 400;
    case Errc::unauthorized:
      return 401;
    case Errc::forbidden:
      return 403;
    case Errc::not_found:
    case Errc::hidden:
      return 404;
    case Errc::conflict:
    case Errc::precondition_failed:
    case Errc::locked:
    case Errc::wrong_environment:
      return 409;
    case Errc::too_large:
      return 413;
    case Errc::schema_violation:
    case Errc::config:
    case Errc::expression_compile:
    case Errc::expression_failed:
    case Errc::budget_exceeded:
    case Errc::missing_reference:
      return 422;
    case Errc::not_supported:
      return 501;
    case Errc::not_connected:
    case Errc::name_resolution:
    case Errc::tls:
    case Errc::egress_denied:
    case Errc::protocol:
    case Errc::peer_rejected:
    case Errc::peer_unavailable:
    case Errc::peer_auth:
      return 502;
    case Errc::disk_full:
    case Errc::stopping:
    case Errc::overloaded:
    case Errc::state_away:
      return 503;
    case Errc::timeout_before_send:
    case Errc::unanswered:
      return 504;
    case Errc::needs_lookup:
    case Errc::disk_failed:
    case Errc::corrupt:
    case Errc::newer_format:
    case Errc::internal:
      return 500;
  }
  return 500;
}

HttpResponse problem_of(const Error& error) {
  HttpResponse answer = problem(http_status(error.code), "", error.message);
  answer.body.resize(answer.body.rfind('}'));
  answer.body += R"(,"code":)";
  append_json_string(answer.body, to_string(error.code));
  answer.body += "}\n";
  if (answer.status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

}  // namespace millrace::admin
