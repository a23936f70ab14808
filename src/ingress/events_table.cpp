#include "ingress/events_table.hpp"

#include "config/model.hpp"
#include "config/schema.hpp"

namespace millrace::ingress {
namespace {

// The validator says "/lines/0/sku: expected a string": pointer and sentence, told apart here.
EventRefusal split(const std::string& message) {
  const std::size_t colon = message.find(": ");
  if (!message.starts_with('/') || colon == message.npos) return {422, message, ""};
  // "/" alone stands for the whole.
  return {422, message.substr(colon + 2), colon == 1 ? "" : message.substr(0, colon)};
}

}  // namespace

EventsTable::SchemaCheck EventsTable::make_check(const Json& schema) {
  if (schema.is_null()) return {};
  auto validator = config::SchemaValidator::compile(schema);
  // The loader compiled it before; a schema that fails only here is a broken expectation.
  MILLRACE_INVARIANT(validator.has_value());
  return [validator = *std::move(validator)](const Json& data) -> std::optional<EventRefusal> {
    const auto valid = validator.validate(data);
    if (valid) return std::nullopt;
    return split(valid.error().message);
  };
}

EventsTable::EventsTable(const config::Config& config) {
  for (const auto& [name, entity] : config.entities) {
    EntityRule& rule = entities_[name];
    rule.version = entity.version;
    for (const config::EntityEvent& event : entity.events) {
      rule.types.insert(name + "." + event.name);
    }
    rule.check = make_check(entity.schema);
  }
}

std::optional<EventRefusal> EventsTable::check(Event& event) const {
  const auto rule = entities_.find(event.entity);
  if (rule == entities_.end() || !rule->second.types.contains(event.type)) {
    return EventRefusal{422, "no entity of this installation has this type", "/type"};
  }
  if (rule->second.check) {
    if (auto refusal = rule->second.check(event.data)) {
      refusal->pointer = "/data" + refusal->pointer;
      return refusal;
    }
  }
  event.entity_version = rule->second.version;
  return std::nullopt;
}

}  // namespace millrace::ingress
