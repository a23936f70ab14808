#include "connectors/odoo/odoo_rpc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::connectors {

OdooRpc::OdooRpc(std::unique_ptr<HttpClient> client, const Url& url, OdooOptions options,
                 std::vector<std::int64_t> companies, OdooPacer pacer)
    : client_(std::move(client)),
      target_(url.base_path + "/jsonrpc"),
      options_(std::move(options)),
      companies_(std::move(companies)),
      pacer_(std::move(pacer)) {}

JsonObject OdooRpc::context() const {
  JsonObject context;
  context["active_test"] = false;
  context["lang"] = options_.language;
  if (!companies_.empty()) {
    context["allowed_company_ids"] = JsonArray(companies_.begin(), companies_.end());
  }
  return context;
}

Awaitable<OdooResult<Json>> OdooRpc::send(std::string service, std::string method, JsonArray args) {
  JsonObject params;
  params["service"] = service;
  params["method"] = method;
  params["args"] = std::move(args);
  JsonObject envelope;
  envelope["jsonrpc"] = "2.0";
  envelope["method"] = "call";
  envelope["id"] = ++last_id_;
  envelope["params"] = std::move(params);

  HttpRequest request;
  request.method = "POST";
  request.target = target_;
  request.headers.emplace_back("Content-Type", "application/json");
  request.headers.emplace_back("User-Agent", "millrace/" MILLRACE_VERSION);
  request.body = write_json(Json(std::move(envelope)));

  auto turn = co_await pacer_.turn();
  if (!turn) co_return call_fault(std::move(turn).error());
  auto answer = co_await client_->send(std::move(request), kOdooCallTimeout);
  if (!answer) co_return call_fault(std::move(answer).error());
  co_return read_answer(*answer);
}

Awaitable<OdooResult<Json>> OdooRpc::call(std::string model, std::string method, JsonArray args,
                                          JsonObject kwargs) {
  kwargs["context"] = context();
  for (bool first = true;; first = false) {
    if (!user_) {
      auto user = co_await log_in();
      if (!user) co_return call_fault(std::move(user).error());
    }
    JsonArray all{
        options_.database, user_.value_or(0), options_.api_key, model, method, args, kwargs};
    auto result = co_await send("object", "execute_kw", std::move(all));
    if (result) co_return result;
    const bool expired = result.error().kind == OdooFault::Kind::session;
    if (expired || result.error().error.code == Errc::peer_auth) user_.reset();
    if (!expired || !first) co_return result;
  }
}

Awaitable<Result<std::string>> OdooRpc::version() {
  JsonArray none;
  auto answer = co_await send("common", "version", std::move(none));
  if (!answer) co_return std::unexpected(std::move(answer).error().error);
  const std::string_view version = string_or(*answer, "server_version", "");
  if (version.empty()) {
    co_return fail(Errc::protocol, "Odoo's answer to `version` has no `server_version`");
  }
  co_return std::string(version);
}

Awaitable<Result<std::int64_t>> OdooRpc::log_in() {
  JsonArray args{options_.database, options_.login, options_.api_key, JsonObject{}};
  auto answer = co_await send("common", "authenticate", std::move(args));
  if (!answer) co_return std::unexpected(std::move(answer).error().error);
  if (!answer->is_int64()) {
    co_return fail(Errc::peer_auth,
                   fmt::format("Odoo refuses the login `{}` for database `{}`; check `login` and "
                               "`api_key` (keys can expire)",
                               options_.login, options_.database));
  }
  user_ = answer->get_int64();
  co_return *user_;
}

Awaitable<Result<void>> OdooRpc::check_companies() {
  if (companies_.empty()) co_return Result<void>();
  if (!user_) {
    auto user = co_await log_in();
    if (!user) co_return std::unexpected(std::move(user).error());
  }
  // Without allowed_company_ids: with a company that is not the user's, Odoo refuses any read.
  JsonObject kwargs;
  kwargs["fields"] = JsonArray{"company_ids"};
  JsonArray args;
  args.emplace_back(JsonArray{*user_});
  JsonArray all{options_.database, *user_,           options_.api_key, "res.users", "read",
                std::move(args),   std::move(kwargs)};
  auto answer = co_await send("object", "execute_kw", std::move(all));
  if (!answer) {
    // A login that may not read its own companies is not thereby wrong about them.
    if (answer.error().kind != OdooFault::Kind::call) co_return Result<void>();
    co_return std::unexpected(std::move(answer).error().error);
  }
  if (!answer->is_array() || answer->get_array().empty()) co_return Result<void>();
  const Json* mine = find(answer->get_array().front(), "company_ids");
  if (mine == nullptr || !mine->is_array()) co_return Result<void>();
  for (const std::int64_t company : companies_) {
    const auto& list = mine->get_array();
    if (std::find(list.begin(), list.end(), Json(company)) == list.end()) {
      co_return fail(Errc::config,
                     fmt::format("the user `{}` does not belong to company {}; add it "
                                 "in Odoo or take it out of `companies`",
                                 options_.login, company));
    }
  }
  co_return Result<void>();
}

}  // namespace millrace::connectors
