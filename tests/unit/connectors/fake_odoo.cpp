#include "fake_odoo.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::test {
namespace {

std::string text(const Json& value) {
  return std::string(value.as_string());
}

std::string result(std::string_view json) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":1,"result":{}}})", json);
}

}  // namespace

std::string odoo_error(std::string_view name, std::string_view message) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":1,"error":{{"code":200,"message":"Odoo Server Error",
      "data":{{"name":"{}","message":"{}"}}}}}})",
                     name, message);
}

FakeOdoo::FakeOdoo() {
  http.handler = [this](const HttpRequest& request) { return answer(request); };
}

std::unique_ptr<connectors::OdooReader> FakeOdoo::reader(std::vector<std::int64_t> companies) {
  static const FakeClock clock;
  connectors::OdooOptions options{"prod", "broker", "key", {}, "fr_FR", ""};
  connectors::OdooPacer pacer(milliseconds(0), clock, {});
  return std::make_unique<connectors::OdooReader>(std::make_unique<connectors::OdooRpc>(
      http.client(), parse_url("http://odoo.example/base").value(), options, std::move(companies),
      std::move(pacer)));
}

int FakeOdoo::count(std::string_view call) const {
  return static_cast<int>(std::count(calls.begin(), calls.end(), call));
}

Result<HttpResponse> FakeOdoo::answer(const HttpRequest& request) {
  const Json envelope = parse_json(request.body).value();
  const JsonObject& params = envelope.at("params").as_object();
  const JsonArray& args = params.at("args").as_array();
  std::string body;
  if (text(params.at("service")) == "common") {
    const std::string method = text(params.at("method"));
    calls.push_back(method);
    if (before) before(method);
    const bool known = method != "authenticate" || args.at(2).as_string() == key;
    body = method == "version" ? result(R"({"server_version":"18.0-20250421"})")
                               : result(known ? "2" : "false");
  } else {
    const std::string call = text(args.at(3)) + "." + text(args.at(4));
    calls.push_back(call);
    if (before) before(call);
    const auto scripted = raw.find(call);
    body = scripted != raw.end() ? scripted->second : execute(args);
  }
  return HttpResponse{200, {{"Content-Type", "application/json; charset=utf-8"}}, body};
}

std::string FakeOdoo::execute(const JsonArray& args) {
  if (args.at(2).as_string() != key) return odoo_error("odoo.exceptions.AccessDenied", "Denied");
  const std::string model = text(args.at(3));
  const std::string method = text(args.at(4));
  const JsonArray& positional = args.at(5).as_array();
  const JsonObject& kwargs = args.at(6).as_object();
  if (model == "res.users") {
    return result(fmt::format(R"([{{"id":2,"company_ids":{},"login_date":"2026-11-21 22:05:48"}}])",
                              user_companies));
  }
  last_kwargs = kwargs;
  last_context = kwargs.at("context");
  if (!fields.contains(model)) {
    return odoo_error("odoo.exceptions.UserError", fmt::format("Object {} doesn't exist", model));
  }
  if (method == "fields_get") return describe(model);
  if (method == "check_access_rights") return result(denied.contains(model) ? "false" : "true");
  return read(model, positional.at(0).as_array(), kwargs);
}

std::string FakeOdoo::describe(const std::string& model) const {
  std::string list;
  for (const auto& [name, about] : fields.at(model)) {
    const bool per_company = about.ends_with('!');
    const std::size_t computed = about.find('~');
    const std::string kind = about.substr(0, per_company ? about.size() - 1 : computed);
    const auto colon = kind.find(':');
    const std::string relation = colon == std::string::npos ? "" : kind.substr(colon + 1);
    list += fmt::format(R"({}"{}":{{"type":"{}","relation":"{}","company_dependent":{}{}}})",
                        list.empty() ? "" : ",", name, kind.substr(0, colon), relation, per_company,
                        computed == about.npos ? ""
                                               : fmt::format(R"(,"store":false,"depends":["{}"])",
                                                             about.substr(computed + 1)));
  }
  return result("{" + list + "}");
}

std::string FakeOdoo::read(const std::string& model, const JsonArray& ids,
                           const JsonObject& kwargs) {
  if (denied.contains(model)) return odoo_error("odoo.exceptions.AccessError", "not allowed");
  for (const Json& name : kwargs.at("fields").as_array()) {
    if (!fields.at(model).contains(text(name)) && name != "write_date" && name != "create_date") {
      return odoo_error("builtins.ValueError",
                        fmt::format("Invalid field '{}' on model '{}'", text(name), model));
    }
  }
  std::string list;
  for (const Json& id : ids) {
    const auto row = rows[model].find(id.as_int64());
    if (row == rows[model].end()) continue;
    if (forbidden.contains({model, id.as_int64()})) {
      return odoo_error("odoo.exceptions.AccessError", "top-secret");
    }
    if (poisoned.contains({model, id.as_int64()})) {
      return odoo_error("builtins.ValueError", "Expected singleton");
    }
    list += (list.empty() ? "" : ",") + row->second;
  }
  return result("[" + list + "]");
}

}  // namespace millrace::test
