#include "canon/judgement.hpp"

#include "config/host.hpp"

namespace millrace::canon {
namespace {

const config::Connection* connection_of(const config::Config& config,
                                        const config::EntitySource& source) {
  const auto found = config.connections.find(source.connection);
  return found == config.connections.end() ? nullptr : &found->second;
}

}  // namespace

Result<bool> is_wanted(const config::Config& config, const config::EntitySource& source,
                       const Json& record, WallTime now) {
  if (!source.only) return true;
  const config::ConfigHost host(config, connection_of(config, source));
  const Json time(to_rfc3339(now));
  ExpressionBindings bindings;
  bindings.set("now", &time);
  return source.only->compiled->test(record, {&bindings, &host, {}});
}

Result<Json> map_record(const config::Config& config, const config::EntitySource& source,
                        const Json& record, WallTime now) {
  const config::ConfigHost host(config, connection_of(config, source));
  const Json time(to_rfc3339(now));
  ExpressionBindings bindings;
  bindings.set("now", &time);
  return source.map.compiled->evaluate(record, {&bindings, &host, {}});
}

Result<std::vector<std::string>> events_of(const config::Config& config,
                                           const config::Entity& entity, const Json& before,
                                           const Json& data) {
  const config::ConfigHost host(config, nullptr);
  ExpressionBindings bindings;
  bindings.set("before", &before);
  std::vector<std::string> types;
  for (const config::EntityEvent& event : entity.events) {
    MILLRACE_TRY(happened, event.when.compiled->test(data, {&bindings, &host, {}}));
    if (happened) types.push_back(entity.name + "." + event.name);
  }
  return types;
}

}  // namespace millrace::canon
