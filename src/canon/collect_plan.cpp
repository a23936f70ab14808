#include "canon/collect_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "millrace/state_store.hpp"

namespace millrace::canon {
namespace {

FieldPlan::Field* find_field(FieldPlan& plan, std::string_view name) {
  const auto at = std::ranges::find(plan.fields, name, &FieldPlan::Field::name);
  return at == plan.fields.end() ? nullptr : &*at;
}

// Whether somebody else follows a relation that `own` reads as an id, at any depth.
bool followed_by_others(const FieldPlan& own, FieldPlan& merged) {
  return std::ranges::any_of(own.fields, [&](const FieldPlan::Field& field) {
    FieldPlan::Field* both = find_field(merged, field.name);
    if (both == nullptr || both->nested.empty()) return false;
    return field.nested.empty() || followed_by_others(field.nested, both->nested);
  });
}

Json plain_id(const Json& value) {
  if (const JsonObject* object = value.if_object()) {
    const Json* id = object->if_contains("id");
    return id == nullptr ? Json(nullptr) : *id;
  }
  if (const JsonArray* list = value.if_array()) {
    JsonArray ids;
    for (const Json& item : *list) ids.push_back(plain_id(item));
    return Json(std::move(ids));
  }
  return value;
}

void add_source(CollectPlan& plan, const config::Entity& entity,
                const config::EntitySource& source) {
  const auto connection = plan.config->connections.find(source.connection);
  if (source.model.empty() || connection == plan.config->connections.end()) return;
  const auto model_of = [&](const std::string& model) -> ModelPlan& {
    ModelPlan& made = plan.models[model_key(source.connection, model)];
    made.connection = source.connection;
    made.model = model;
    made.settle = connection->second.settle;
    made.longest_transaction = connection->second.longest_transaction;
    return made;
  };
  ModelPlan& own = model_of(source.model);
  own.targets.push_back({&entity, &source, false});
  merge(own.fields, source.read);
  if (source.sweep) own.sweep = own.sweep ? std::min(*own.sweep, *source.sweep) : source.sweep;
  for (const auto& [model, field] : source.touched_by) {
    own.touched_by[model] = field;
    ModelPlan& touching = model_of(model);
    const bool known = std::ranges::any_of(touching.parents, [&](const CollectParent& parent) {
      return parent.model == source.model && parent.field == field;
    });
    if (!known) touching.parents.push_back({source.model, field});
    FieldPlan needed;
    needed.fields.push_back({field, {}});
    merge(touching.fields, needed);
  }
}

FieldPlan as_optional(FieldPlan plan) {
  for (FieldPlan::Field& field : plan.fields) {
    field.optional = true;
    field.nested = as_optional(std::move(field.nested));
  }
  return plan;
}

void add_past(CollectPlan& plan, const PastProgram& past) {
  const auto model = plan.models.find(model_key(past.source.connection, past.source.model));
  if (model == plan.models.end()) return;
  for (CollectTarget& target : model->second.targets) {
    if (target.entity->name != past.entity.name || target.source->program == past.hash) continue;
    target.past = true;
    merge(model->second.fields, as_optional(past.read));
  }
}

}  // namespace

std::map<std::string, std::string> ModelPlan::programs() const {
  std::map<std::string, std::string> programs;
  for (const CollectTarget& target : targets) {
    std::string& text = programs[target.entity->name];
    text += target.source->program;
    if (target.filtered()) text += "|" + target.source->filter;
  }
  return programs;
}

std::vector<std::string> ModelPlan::entities() const {
  std::vector<std::string> names;
  for (const CollectTarget& target : targets) names.push_back(target.entity->name);
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

bool lists_its_domain(const ModelPlan& model) {
  return model.targets.size() == 1 && model.targets.front().source->domain.has_value();
}

const ModelPlan* CollectPlan::find(std::string_view connection, std::string_view model) const {
  const auto found = models.find(model_key(connection, model));
  return found == models.end() ? nullptr : &found->second;
}

std::string model_key(std::string_view connection, std::string_view model) {
  return row_key(std::string(connection), std::string(model));
}

std::string record_name(std::string_view connection, std::string_view model, std::int64_t id) {
  return fmt::format("{}/{}/{}", connection, model, id);
}

CollectPlanPtr make_collect_plan(config::ConfigPtr config, const PastPrograms& past) {
  auto plan = std::make_shared<CollectPlan>();
  plan->config = std::move(config);
  for (const auto& [name, entity] : plan->config->entities) {
    for (const config::EntitySource& source : entity.from) add_source(*plan, entity, source);
  }
  if (past) {
    for (const auto& [key, program] : *past) add_past(*plan, program);
  }
  for (auto& [key, model] : plan->models) {
    for (CollectTarget& target : model.targets) {
      target.reshape = followed_by_others(target.source->read, model.fields);
    }
  }
  return plan;
}

void merge(FieldPlan& plan, const FieldPlan& more) {
  for (const FieldPlan::Field& field : more.fields) {
    if (FieldPlan::Field* known = find_field(plan, field.name)) {
      known->optional = known->optional && field.optional;
      merge(known->nested, field.nested);
    } else {
      plan.fields.push_back(field);
    }
  }
}

Json reshaped(const Json& value, const FieldPlan& own) {
  if (const JsonArray* list = value.if_array()) {
    JsonArray items;
    for (const Json& item : *list) items.push_back(reshaped(item, own));
    return Json(std::move(items));
  }
  Json copy = value;
  JsonObject* object = copy.if_object();
  if (object == nullptr) return copy;
  for (const FieldPlan::Field& field : own.fields) {
    Json* member = object->if_contains(field.name);
    if (member == nullptr) continue;
    *member = field.nested.empty() ? plain_id(*member) : reshaped(*member, field.nested);
  }
  return copy;
}

Json with_ids(const Json& domain, const std::vector<std::int64_t>& ids) {
  JsonArray one_of{"id", "in", JsonArray(ids.begin(), ids.end())};
  JsonArray all(1, Json(std::move(one_of)));
  if (const JsonArray* terms = domain.if_array()) {
    all.insert(all.end(), terms->begin(), terms->end());
  }
  return Json(std::move(all));
}

std::int64_t reference_id(const Json& value, std::string_view field) {
  const Json* member = find(value, field);
  if (member == nullptr) return 0;
  if (const auto* id = member->if_int64()) return *id;
  return int_or(*member, "id", 0);
}

}  // namespace millrace::canon
