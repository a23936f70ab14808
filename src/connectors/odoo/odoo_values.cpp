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

/// Takes in one reading of `ids`; what an earlier one said of them is forgotten.
void take(Related& related, const std::vector<std::int64_t>& ids, OdooRows& rows,
          OdooValues& built) {
  for (const std::int64_t id : ids) {
    related.values.erase(id);
    related.hidden.erase(id);
    related.failed.erase(id);
  }
  for (auto& [id, refusal] : rows.refused) {
    auto& kind = refusal.state == ReadRecord::State::hidden ? related.hidden : related.failed;
    kind.emplace(id, std::move(refusal.problem));
  }
  related.values.merge(built.values);
  related.failed.merge(built.failed);
}

/// Reads records below others. Those that have records below themselves are parents too: they are
/// looked at last, and read again when they moved.
Awaitable<Result<Related>> fetch_related(OdooRpc& rpc, OdooPlanPtr plan,
                                         std::vector<std::int64_t> ids) {
  std::vector<std::string> names = plan->names();
  const bool parents = plan->has_nested && plan->has_write_date;
  if (parents && std::ranges::find(names, "write_date") == names.end()) {
    names.emplace_back("write_date");
  }
  Related related;
  for (int reading = 0; reading < kOdooReadingsMax && !ids.empty(); ++reading) {
    auto fetched = co_await fetch_rows(rpc, plan->model, ids, names);
    if (!fetched) co_return std::unexpected(std::move(fetched).error());
    OdooRowMap rows;
    if (parents) rows = fetched->found;
    auto built = co_await build_values(rpc, plan, std::move(fetched->found));
    if (!built) co_return std::unexpected(std::move(built).error());
    take(related, ids, *fetched, *built);
    ids.clear();
    if (rows.empty()) continue;
    auto moved = co_await moved_since(rpc, plan->model, names, std::move(rows),
                                      reading + 1 == kOdooReadingsMax);
    if (!moved) co_return std::unexpected(std::move(moved).error());
    ids = *std::move(moved);
  }
  for (const std::int64_t id : ids) {
    related.values.erase(id);
    related.failed[id] = changed_all_the_time(plan->model, id);
  }
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
