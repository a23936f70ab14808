// An Odoo in a few lines, for one model tree at a time: rows by model, calls counted, one hook to
// change something between calls.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "connectors/odoo/odoo_reader.hpp"
#include "fake_http.hpp"

namespace millrace::test {

struct FakeOdoo {
  FakeOdoo();

  /// A reader over this Odoo; both must outlive its calls.
  std::unique_ptr<connectors::OdooReader> reader(std::vector<std::int64_t> companies = {});

  /// {"name":"char", "partner_id":"many2one:res.partner"}; "float!" depends on the company,
  /// "float~partner_id.limit" is computed from other fields and not stored.
  std::map<std::string, std::map<std::string, std::string>> fields;
  std::map<std::string, std::map<std::int64_t, std::string>> rows;  ///< JSON object texts
  std::set<std::pair<std::string, std::int64_t>> forbidden;
  std::set<std::pair<std::string, std::int64_t>> poisoned;
  std::set<std::string> denied;  ///< models our login may not read
  std::string user_companies = "[1]";
  std::string key = "key";
  std::function<void(const std::string& call)> before;  ///< "sale.order.read"
  std::map<std::string, std::string> raw;               ///< call -> body instead of an answer

  std::vector<std::string> calls;
  Json last_context;
  Json last_kwargs;
  FakeHttp http;

  int count(std::string_view call) const;

 private:
  Result<HttpResponse> answer(const HttpRequest& request);
  std::string execute(const JsonArray& args);
  std::string read(const std::string& model, const JsonArray& ids, const JsonObject& kwargs);
  std::string describe(const std::string& model) const;
};

std::string odoo_error(std::string_view name, std::string_view message);

}  // namespace millrace::test
