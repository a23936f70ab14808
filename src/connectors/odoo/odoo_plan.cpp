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

Error one_per_company(std::string_view model, std::string_view field, std::string_view origin) {
  const std::string own = fmt::format("{}.{}", model, field);
  return Error(
      Errc::config,
      fmt::format("`{}` of {} has another value in each company{}: which one is read would "
                  "be chance; take it out of `read:`",
                  field, model, origin == own ? "" : fmt::format(" (it comes from {})", origin)));
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
  kwargs["attributes"] = JsonArray{"type", "relation", "company_dependent", "store", "depends"};
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
    field.stored = bool_or(about, "store", true);
    const Json* depends = find(about, "depends");
    if (depends != nullptr && depends->is_array()) {
      for (const Json& path : depends->get_array()) {
        if (path.is_string()) field.depends.emplace_back(path.get_string());
      }
    }
    fields->emplace(field.name, std::move(field));
  }
  models_[model] = fields;
  co_return std::shared_ptr<const Fields>(fields);
}

// Inherited and computed fields do not say so themselves; what they are made of does. A stored
// value is one value, whatever it was made of.
Awaitable<Result<std::string>> OdooFields::per_company(std::string model, OdooField field,
                                                       int depth) {
  std::string name = fmt::format("{}.{}", model, field.name);
  if (field.company_dependent) co_return name;
  if (field.stored || field.depends.empty() || depth >= kDepthMax) co_return "";
  // Noted before it is known: fields may depend on each other in a circle.
  const auto [known, fresh] = per_company_.emplace(name, "");
  if (!fresh) co_return known->second;
  for (const std::string& path : field.depends) {
    auto origin = co_await per_company_on(model, path, depth + 1);
    if (!origin) per_company_.erase(name);
    if (!origin || !origin->empty()) {
      if (origin) per_company_[name] = *origin;
      co_return origin;
    }
  }
  co_return "";
}

// Of a path through relations. What our login cannot look up is not held against it.
Awaitable<Result<std::string>> OdooFields::per_company_on(std::string model, std::string path,
                                                          int depth) {
  for (std::size_t at = 0; at < path.size() && !model.empty();) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    auto known = co_await fields(model);
    if (!known && known.error().code == Errc::config) break;
    if (!known) co_return std::unexpected(std::move(known).error());
    const auto field = (*known)->find(path.substr(at, dot - at));
    if (field == (*known)->end()) break;
    auto origin = co_await per_company(model, field->second, depth);
    if (!origin || !origin->empty()) co_return origin;
    model = field->second.relation;
    at = dot + 1;
  }
  co_return "";
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
    models_.erase(model);
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
    MILLRACE_CO_TRY(origin, co_await per_company(model, entry.field));
    if (!origin.empty()) co_return std::unexpected(one_per_company(model, wanted.name, origin));
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
