#include "config/model.hpp"
#include "config/schema.hpp"
#include "ingress/events_endpoint.hpp"

namespace millrace::ingress {
namespace {

// The validator says "/lines/0/sku: expected a string": pointer and sentence, told apart here.
EventRefusal split(const std::string& message) {
  const std::size_t colon = message.find(": ");
  if (!message.starts_with('/') || colon == message.npos) return {422, message, ""};
  // "/" alone stands for the whole.
  return {422, message.substr(colon + 2), colon == 1 ? "" : message.substr(0, colon)};
}

SchemaCheck make_check(const config::Entity& entity) {
  if (entity.schema.is_null()) return {};
  auto validator = config::SchemaValidator::compile(entity.schema);
  // The loader compiled it before; a schema that fails only here is a broken expectation.
  MILLRACE_INVARIANT(validator.has_value());
  return [validator = *std::move(validator)](const Json& data) -> std::optional<EventRefusal> {
    const auto valid = validator.validate(data);
    if (valid) return std::nullopt;
    return split(valid.error().message);
  };
}

}  // namespace

EventsTable::EventsTable(const config::Config& config) {
  for (const auto& [name, entity] : config.entities) {
    EntityRule& rule = entities_[name];
    rule.version = entity.version;
    for (const config::EntityEvent& event : entity.events) {
      rule.types.insert(name + "." + event.name);
    }
    rule.check = make_check(entity);
  }
}

}  // namespace millrace::ingress
