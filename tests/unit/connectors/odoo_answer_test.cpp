#include "connectors/odoo/odoo_answer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace millrace::connectors {
namespace {

using Kind = OdooFault::Kind;

HttpResponse json(std::string body) {
  return {200, {{"Content-Type", "application/json; charset=utf-8"}}, std::move(body)};
}

OdooFault fault_of(const HttpResponse& answer) {
  const auto result = read_answer(answer);
  EXPECT_FALSE(result);
  return result ? OdooFault{Kind::call, Error(Errc::internal, "")} : result.error();
}

OdooFault odoo_error(std::string_view name, std::string_view message, int code = 200) {
  return fault_of(json(fmt::format(R"({{"jsonrpc":"2.0","id":7,"error":{{"code":{},"message":"m",
      "data":{{"name":"{}","debug":"","message":"{}","arguments":[],"context":{{}}}}}}}})",
                                   code, name, message)));
}

TEST(OdooAnswer, ReturnsTheResultWhateverItIs) {
  EXPECT_EQ(write_json(*read_answer(json(R"({"jsonrpc": "2.0", "id": 7, "result": [1, 3.0]})"))),
            "[1,3.0]");
  EXPECT_EQ(*read_answer(json(R"({"jsonrpc": "2.0", "id": 7, "result": false})")), Json(false));
}

TEST(OdooAnswer, TellsErrorsApartByTheNameOfTheException) {
  EXPECT_EQ(odoo_error("odoo.exceptions.AccessError", "no").kind, Kind::access);
  for (const auto* name : {"builtins.ValueError", "odoo.exceptions.UserError", "builtins.TypeError",
                           "odoo.exceptions.MissingError", "odoo.exceptions.ValidationError",
                           "psycopg2.errors.NumericValueOutOfRange"}) {
    const OdooFault fault = odoo_error(name, "no");
    EXPECT_EQ(fault.kind, Kind::record) << name;
    EXPECT_EQ(fault.error.message, fmt::format("{}: no", name));
  }
  for (const auto* name :
       {"psycopg2.errors.SerializationFailure", "psycopg2.OperationalError",
        "psycopg2.errors.LockNotAvailable", "psycopg2.errors.DeadlockDetected"}) {
    const OdooFault fault = odoo_error(name, "later");
    EXPECT_EQ(fault.kind, Kind::call) << name;
    EXPECT_EQ(fault.error.code, Errc::peer_unavailable) << name;
  }
  EXPECT_EQ(odoo_error("odoo.exceptions.AccessDenied", "Access Denied").error.code,
            Errc::peer_auth);
  EXPECT_EQ(odoo_error("odoo.http.SessionExpiredException", "x", 100).kind, Kind::session);
  EXPECT_EQ(odoo_error("psycopg2.OperationalError", "FATAL: database x does not exist").error.code,
            Errc::config);
  const OdooFault language =
      odoo_error("odoo.exceptions.UserError", "Invalid language code: xx_XX");
  EXPECT_EQ(language.kind, Kind::call) << "no record is guilty of it";
  EXPECT_EQ(language.error.code, Errc::config);
}

TEST(OdooAnswer, TakesAProxysTroubleForAPassingOne) {
  for (const int status : {429, 502, 503, 504}) {
    EXPECT_EQ(fault_of({status, {{"Content-Type", "text/html"}}, "<h1>"}).error.code,
              Errc::peer_unavailable);
  }
}

TEST(OdooAnswer, RefusesWhatIsNotOdooSpeaking) {
  const HttpHeaders html{{"Content-Type", "text/html; charset=utf-8"}};
  const OdooFault redirect =
      fault_of({303, {{"Location", "/web/login?redirect=/jsonrpc"}}, "<title>Redirecting"});
  EXPECT_EQ(redirect.error.code, Errc::protocol);
  EXPECT_NE(redirect.error.message.find("redirects are not followed"), std::string::npos);
  for (const HttpResponse& answer :
       {HttpResponse{200, html, "<html>"}, HttpResponse{404, html, "<html>"},
        HttpResponse{200, {}, "{}"}, json(R"({"jsonrpc":"2.0","id":7})"), json("{\"result\": NaN}"),
        json("[]"), json("")}) {
    const OdooFault fault = fault_of(answer);
    EXPECT_EQ(fault.kind, Kind::call);
    EXPECT_EQ(fault.error.code, Errc::protocol) << answer.body;
  }
}

TEST(OdooAnswer, CutsLongMessagesToOneLine) {
  const std::string message =
      odoo_error("builtins.ValueError", std::string(2000, 'x')).error.message;
  EXPECT_LT(message.size(), 600U);
  EXPECT_EQ(odoo_error("builtins.ValueError", "a\\nb\\n").error.message,
            "builtins.ValueError: a b");
}

}  // namespace
}  // namespace millrace::connectors
