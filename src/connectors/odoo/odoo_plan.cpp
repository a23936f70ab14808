#include "connectors/odoo/odoo_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::connectors {
namespace {

constexpr std::size_t kDatetimeSize = 19;  // "2026-11-21 22:05:48"

Json decode_datetime(const boost::json::string& text) {
  if (text.size() < kDatetimeSize || text[10] != ' ') return Json(text);
  std::string moment(text);
  moment[10] = 'T';
  moment.push_back('Z');
  return Json(moment);
}

Json decode_ids(const Json& raw) {
  JsonArray ids;
  if (!raw.is_array()) return ids;
  for (const Json& one : raw.get_array()) {
    if (const std::int64_t id = many2one_id(one); id != 0) ids.emplace_back(id);
  }
  return ids;
}

Error no_field(std::string_view model, std::string_view field) {
  return Error(Errc::config, fmt::format("{} has no field `{}` that our login may read; check the "
                                         "name in `read:` and the rights of the login",
                                         model, field));
}

}  // namespace

std::vector<std::string> OdooPlan::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries) {
    if (entry.field.name != "id") names.push_back(entry.field.name);
  }
  if (names.empty()) names.emplace_back(has_write_date ? "write_date" : "id");
  return names;
}

std::int64_t many2one_id(const Json& raw) {
  if (raw.is_int64()) return raw.get_int64();
  if (raw.is_array() && !raw.get_array().empty() && raw.get_array().front().is_int64()) {
    return raw.get_array().front().get_int64();
  }
  return 0;
}

Json decode_value(const OdooField& field, const Json& raw) {
  if (field.type == "boolean") return raw.is_bool() ? raw : Json(false);
  if (field.is_many()) return decode_ids(raw);
  if (raw.is_bool() && !raw.get_bool()) return nullptr;
  if (raw.is_string() && raw.get_string().empty()) return nullptr;  // some forms store ''
  if (field.is_many2one()) {
    const std::int64_t id = many2one_id(raw);
    return id == 0 ? Json(nullptr) : Json(id);
  }
  if (field.type == "datetime" && raw.is_string()) return decode_datetime(raw.get_string());
  if ((field.type == "float" || field.type == "monetary") && raw.is_int64()) {
    return static_cast<double>(raw.get_int64());
  }
  return raw;
}

Awaitable<Result<std::shared_ptr<const OdooFields::Fields>>> OdooFields::fields(std::string model) {
  if (const auto known = models_.find(model); known != models_.end()) co_return known->second;
  JsonObject kwargs;
  kwargs["attributes"] = JsonArray{"type", "relation", "company_dependent"};
  JsonArray none;
  auto answer = co_await rpc_.call(model, "fields_get", std::move(none), std::move(kwargs));
  if (!answer) {
    Error error = std::move(answer).error().error;
    if (error.code == Errc::peer_rejected || error.code == Errc::hidden) {
      error.code = Errc::config;
      error.message = fmt::format(
          "the fields of {} cannot be read; check `model:` and the rights "
          "of the login: {}",
          model, error.message);
    }
    co_return std::unexpected(std::move(error));
  }
  if (!answer->is_object()) {
    co_return fail(Errc::protocol, fmt::format("fields_get of {} returned no object", model));
  }
  auto fields = std::make_shared<Fields>();
  for (const auto& [name, about] : answer->get_object()) {
    OdooField field;
    field.name = std::string(name);
    field.type = std::string(string_or(about, "type", ""));
    field.relation = std::string(string_or(about, "relation", ""));
    field.company_dependent = bool_or(about, "company_dependent", false);
    fields->emplace(field.name, std::move(field));
  }
  models_[model] = fields;
  co_return std::shared_ptr<const Fields>(fields);
}

Awaitable<Result<OdooPlanPtr>> OdooFields::resolve(std::string model, FieldPlan plan, int depth) {
  if (depth > kDepthMax) {
    co_return fail(Errc::config, fmt::format("`read:` nests deeper than {} relations", kDepthMax));
  }
  MILLRACE_CO_TRY(known, co_await fields(model));
  const auto is_unknown = [&](const FieldPlan::Field& field) {
    return !field.optional && known->find(field.name) == known->end();
  };
  if (std::any_of(plan.fields.begin(), plan.fields.end(), is_unknown)) {
    // A module may have been installed since; what was learnt before is not asked twice in a row.
    forget(model);
    MILLRACE_CO_TRY(again, co_await fields(model));
    known = again;
  }
  auto resolved = std::make_shared<OdooPlan>();
  resolved->model = model;
  resolved->has_write_date = known->find("write_date") != known->end();
  for (FieldPlan::Field& wanted : plan.fields) {
    const auto found = known->find(wanted.name);
    if (found == known->end() && wanted.optional) continue;
    if (found == known->end()) co_return std::unexpected(no_field(model, wanted.name));
    OdooPlan::Entry entry{found->second, nullptr};
    if (entry.field.company_dependent) {
      co_return fail(Errc::config,
                     fmt::format("`{}` of {} has another value in each company; such fields cannot "
                                 "be read yet, take it out of `read:`",
                                 wanted.name, model));
    }
    if (!wanted.nested.empty()) {
      if (!entry.field.is_many2one() && !entry.field.is_many()) {
        co_return fail(Errc::config,
                       fmt::format("`{}` of {} is of type {} and has no fields below "
                                   "it; write `{}:` alone in `read:`",
                                   wanted.name, model, entry.field.type, wanted.name));
      }
      auto nested = co_await resolve(entry.field.relation, std::move(wanted.nested), depth + 1);
      if (!nested) co_return std::unexpected(std::move(nested).error());
      entry.nested = *std::move(nested);
      resolved->has_nested = true;
    }
    resolved->entries.push_back(std::move(entry));
  }
  co_return OdooPlanPtr(std::move(resolved));
}

}  // namespace millrace::connectors
