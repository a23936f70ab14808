#include "connectors/odoo/odoo_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::connectors {
namespace {

using Rows = std::unordered_map<std::int64_t, JsonObject>;

/// What the records of one nested field look like.
struct Related {
  std::unordered_map<std::int64_t, Json> values;
  std::unordered_map<std::int64_t, std::string> hidden;
  std::unordered_map<std::int64_t, std::string> failed;
};

const Json& member(const JsonObject& row, const std::string& name) {
  static const Json empty = false;
  const Json* value = row.if_contains(name);
  return value != nullptr ? *value : empty;
}

std::vector<std::int64_t> related_ids(const OdooField& field, const Rows& rows) {
  std::vector<std::int64_t> ids;
  for (const auto& [id, row] : rows) {
    const Json& raw = member(row, field.name);
    if (field.is_many2one()) {
      ids.push_back(many2one_id(raw));
    } else if (raw.is_array()) {
      for (const Json& one : raw.get_array()) ids.push_back(many2one_id(one));
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (!ids.empty() && ids.front() == 0) ids.erase(ids.begin());
  return ids;
}

/// An object that only has its id: what is known of a record that cannot be seen.
Json bare_object(const OdooPlan& plan, std::int64_t id) {
  JsonObject object;
  object["id"] = id;
  for (const auto& entry : plan.entries) {
    if (entry.field.name == "id") continue;
    object[entry.field.name] = entry.field.is_many() ? Json(JsonArray{}) : Json(nullptr);
  }
  return object;
}

Json nested_value(const OdooPlan::Entry& entry, const Json& raw, const Related& related,
                  std::string& problem) {
  const auto one = [&](std::int64_t id, bool keep_absent) -> Json {
    if (const auto found = related.values.find(id); found != related.values.end()) {
      return found->second;
    }
    if (const auto bad = related.failed.find(id); bad != related.failed.end()) {
      problem = fmt::format("{} {}: {}", entry.field.relation, id, bad->second);
    }
    const bool known = related.hidden.contains(id) || keep_absent;
    return known ? bare_object(*entry.nested, id) : Json(nullptr);
  };
  if (entry.field.is_many2one()) {
    const std::int64_t id = many2one_id(raw);
    return id == 0 ? Json(nullptr) : one(id, true);
  }
  JsonArray list;
  if (raw.is_array()) {
    for (const Json& each : raw.get_array()) {
      Json value = one(many2one_id(each), false);
      if (!value.is_null()) list.push_back(std::move(value));
    }
  }
  return list;
}

Awaitable<Result<Related>> fetch_related(OdooRpc& rpc, OdooPlanPtr plan,
                                         std::vector<std::int64_t> ids) {
  Related related;
  if (ids.empty()) co_return related;
  auto fetched = co_await fetch_rows(rpc, plan->model, std::move(ids), plan->names());
  if (!fetched) co_return std::unexpected(std::move(fetched).error());
  for (auto& [id, refusal] : fetched->refused) {
    auto& kind = refusal.state == ReadRecord::State::hidden ? related.hidden : related.failed;
    kind.emplace(id, std::move(refusal.problem));
  }
  auto built = co_await build_values(rpc, plan, std::move(fetched->found));
  if (!built) co_return std::unexpected(std::move(built).error());
  related.values = std::move(built->values);
  related.failed.merge(built->failed);
  co_return related;
}

}  // namespace

Awaitable<Result<OdooValues>> build_values(OdooRpc& rpc, OdooPlanPtr plan, Rows rows) {
  std::unordered_map<std::string, Related> related;
  for (const auto& entry : plan->entries) {
    if (!entry.nested) continue;
    auto fetched = co_await fetch_related(rpc, entry.nested, related_ids(entry.field, rows));
    if (!fetched) co_return std::unexpected(std::move(fetched).error());
    related.emplace(entry.field.name, *std::move(fetched));
  }
  OdooValues made;
  for (auto& [id, row] : rows) {
    JsonObject object;
    std::string problem;
    object["id"] = id;
    for (const auto& entry : plan->entries) {
      if (entry.field.name == "id") continue;
      const Json& raw = member(row, entry.field.name);
      object[entry.field.name] =
          entry.nested ? nested_value(entry, raw, related.at(entry.field.name), problem)
                       : decode_value(entry.field, raw);
    }
    if (problem.empty()) {
      made.values.emplace(id, std::move(object));
    } else {
      made.failed.emplace(id, std::move(problem));
    }
  }
  co_return made;
}

}  // namespace millrace::connectors
