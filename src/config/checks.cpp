// What one object says about another: every name must lead somewhere, and somewhere sensible. A
// name that leads to an object that was refused as a whole is not reported again.
#include <fmt/core.h>

#include <algorithm>

#include "config/company_fields.hpp"
#include "config/loading.hpp"
#include "config/nearest.hpp"

namespace millrace::config {
namespace {

/// Which sources a connector is; an unknown type is judged by what the entity says.
enum class SourceKind : std::uint8_t { none, payload, read_back, unknown };

SourceKind source_kind(std::string_view type) {
  if (type == "hook" || type == "kafka") return SourceKind::payload;
  if (type == "odoo") return SourceKind::read_back;
  if (type == "http") return SourceKind::none;
  return SourceKind::unknown;
}

/// The event names of an entity.
std::vector<std::string> event_names(const Entity& entity) {
  std::vector<std::string> names;
  for (const EntityEvent& event : entity.events) names.push_back(event.name);
  return names;
}

class Checks {
 public:
  explicit Checks(Loading& loading) : loading_(loading), config_(*loading.config) {}

  void run() {
    for (const Document& document : loading_.documents) {
      if (!document.usable) continue;
      if (document.kind == "connection") check_hook_is_read(document);
      if (document.kind == "entity") check_entity(document);
      if (document.kind == "route") check_route(document);
      if (document.kind == "test") check_test(document);
    }
    check_route_ids();
    check_sharing();
  }

 private:
  // Reports an unknown name; false also when the object exists and was refused as a whole.
  bool known(std::string_view kind, const std::string& name, const Place& place,
             const std::string& path) {
    if (const Document* document = loading_.find(kind, name)) return document->usable;
    if (name.empty()) return false;  // its absence has been reported
    const auto names = loading_.names(kind);
    loading_.error(place, path,
                   fmt::format("unknown {} `{}`; there are {}{}", kind, name, list_names(names),
                               did_you_mean(name, names)));
    return false;
  }

  // What it takes in would be read by nobody.
  void check_hook_is_read(const Document& document) {
    const auto found = config_.connections.find(document.name);
    if (found == config_.connections.end() ||
        (found->second.type != "hook" && found->second.type != "kafka") || found->second.events)
      return;
    for (const auto& [name, entity] : config_.entities) {
      for (const EntitySource& source : entity.from) {
        if (source.connection == document.name) return;
      }
    }
    loading_.warning(
        found->second.place, title(document),
        "no entity reads this connection: its messages are taken in and come to nothing; "
        "name it in an entity's `from:`, or remove it");
  }

  void check_entity(const Document& document) {
    const auto found = config_.entities.find(document.name);
    if (found == config_.entities.end()) return;
    int index = 0;
    for (const EntitySource& source : found->second.from) {
      const std::string path = fmt::format("{} / from / [{}]", title(document), ++index);
      if (!known("connection", source.connection, source.place, path + " / connection")) continue;
      const auto connection = config_.connections.find(source.connection);
      if (connection != config_.connections.end()) {
        check_source(connection->second, source, path);
      }
    }
  }

  void check_source(const Connection& connection, const EntitySource& source,
                    const std::string& path) {
    SourceKind kind = source_kind(connection.type);
    if (kind == SourceKind::unknown) {
      kind = source.model.empty() ? SourceKind::payload : SourceKind::read_back;
    }
    if (kind == SourceKind::none) {
      loading_.error(source.place, path + " / connection",
                     fmt::format("`{}` is of type {}, which is no source; what posts to us is of "
                                 "type hook",
                                 connection.name, connection.type));
      return;
    }
    if (connection.events) {
      loading_.error(source.place, path + " / connection",
                     fmt::format("`{}` brings CloudEvents: their type names the entity, and no "
                                 "`from:` reads them; take this entry out",
                                 connection.name));
      return;
    }
    if (kind == SourceKind::read_back) {
      if (source.model.empty() || source.read.empty()) {
        loading_.error(
            source.place, path,
            fmt::format("`{}` is read back: `{}:` is missing. Write {}", connection.name,
                        source.model.empty() ? "model" : "read",
                        source.model.empty() ? "`model: sale.order`." : "`read: { name: }`."));
      }
      if (connection.type == "odoo") check_companies(source, path);
      if (connection.type == "odoo" && connection.hook_tokens.empty() && !source.sweep) {
        loading_.warning(source.place, path,
                         fmt::format("`{}` has neither `hook_tokens:` nor `sweep:` here: changes "
                                     "are seen by the nightly check only",
                                     connection.name));
      }
      return;
    }
    if (!source.model.empty() || !source.read.empty() || source.sweep || source.domain ||
        !source.touched_by.empty()) {
      loading_.error(source.place, path,
                     fmt::format("`model`, `read`, `sweep`, `domain` and `touched_by` have no "
                                 "meaning here: what `{}` posts is the record",
                                 connection.name));
    }
  }

  void check_companies(const EntitySource& source, const std::string& path) {
    for (const CompanyField& field : company_fields(source.model, source.read)) {
      if (field.known) {
        loading_.error(source.place, path + " / read",
                       fmt::format("`{}` has another value in each company of an Odoo: which one "
                                   "is read would be chance; take it out",
                                   field.path));
      } else {
        loading_.warning(source.place, path + " / read",
                         fmt::format("`{}` is named like a field with another value in each "
                                     "company of an Odoo; if it is one, `plan` and `reload` refuse "
                                     "it",
                                     field.path));
      }
    }
  }

  void check_route(const Document& document) {
    const auto found = config_.routes.find(document.name);
    if (found == config_.routes.end()) return;
    const Route& route = found->second;
    check_target(document, route);
    if (!known("entity", route.entity, place_of(document, "from"), title(document) + " / from")) {
      return;
    }
    const auto entity = config_.entities.find(route.entity);
    if (entity == config_.entities.end()) return;
    auto events = event_names(entity->second);
    const auto has = [&](const std::string& event) {
      return event == "deleted" || std::ranges::find(events, event) != events.end();
    };
    if (!route.only_event.empty() && !has(route.only_event)) {
      loading_.error(place_of(document, "from"), title(document) + " / from",
                     unknown_event(entity->second, events, route.only_event));
    }
    check_order(route, entity->second);
    for (const RouteRequest& request : route.requests) {
      const std::string path = fmt::format("{} / requests / {}", title(document), request.event);
      if (!has(request.event)) {
        loading_.error(request.place, path, unknown_event(entity->second, events, request.event));
      } else if (!route.only_event.empty() && request.event != route.only_event) {
        loading_.error(request.place, path,
                       fmt::format("never sent: the route takes `{}.{}` only", route.entity,
                                   route.only_event));
      }
    }
  }

  // On one change the first request named is sent: behind an event that every change has, no other
  // is ever the first. Only a deletion comes alone.
  void check_order(const Route& route, const Entity& entity) {
    if (route.when && is_constant(*route.when, "false")) {
      loading_.warning(route.when->place, "route " + route.name + " / when",
                       "no event ever matches; to stop a route, pause it");
    }
    const RouteRequest* always = nullptr;
    for (const RouteRequest& request : route.requests) {
      if (always != nullptr && request.event != "deleted") {
        loading_.warning(
            request.place, fmt::format("route {} / requests / {}", route.name, request.event),
            fmt::format("never sent: every change is `{0}`, which stands before it, and on one "
                        "change the first named is sent; put `{0}` last",
                        always->event));
      }
      const auto event = std::ranges::find(entity.events, request.event, &EntityEvent::name);
      if (event != entity.events.end() && is_constant(event->when, "true")) always = &request;
    }
  }

  static bool is_constant(const Program& program, std::string_view word) {
    const std::size_t begin = program.text.find_first_not_of(" \n");
    const std::size_t end = program.text.find_last_not_of(" \n");
    return begin != program.text.npos &&
           std::string_view(program.text).substr(begin, end + 1 - begin) == word;
  }

  static std::string unknown_event(const Entity& entity, const std::vector<std::string>& events,
                                   const std::string& name) {
    return fmt::format("unknown event `{}`; {} has {}{}", name, entity.name, list_names(events),
                       did_you_mean(name, events));
  }

  void check_target(const Document& document, const Route& route) {
    const Place place = place_of(document, "to");
    const std::string path = title(document) + " / to";
    if (!known("connection", route.to, place, path)) return;
    const auto connection = config_.connections.find(route.to);
    if (connection == config_.connections.end()) return;
    const std::string& type = connection->second.type;
    if (type == "hook" || type == "kafka") {
      loading_.error(place, path,
                     fmt::format("`{}` is of type {}, which only takes in; name a connection of "
                                 "type http",
                                 route.to, type));
    } else if (type == "odoo") {
      loading_.error(
          place, path,
          fmt::format("`{}` is of type odoo: writing into Odoo is not supported yet", route.to));
    }
  }

  // A test names events and routes in free data; the names must exist all the same.
  void check_test(const Document& document) {
    const Node* given = document.node.find("given");
    const Node* event = given ? given->find("event") : nullptr;
    if (event && event->is_string()) check_test_event(document, *event);
    const Node* expect = document.node.find("expect");
    if (expect == nullptr) return;
    for (const Node& item : expect->items) {
      const Node* route = item.find("route");
      if (route == nullptr || !route->is_string()) continue;
      known("route", route->text, {document.file, route->line, route->column},
            title(document) + " / expect");
    }
  }

  void check_test_event(const Document& document, const Node& node) {
    const Place place{document.file, node.line, node.column};
    const std::string path = title(document) + " / given / event";
    const std::size_t dot = node.text.find('.');
    const std::string entity_name = node.text.substr(0, dot);
    if (!known("entity", entity_name, place, path)) return;
    const auto entity = config_.entities.find(entity_name);
    if (entity == config_.entities.end()) return;
    const std::string event = dot == node.text.npos ? "" : node.text.substr(dot + 1);
    auto events = event_names(entity->second);
    if (event == "deleted" || std::ranges::find(events, event) != events.end()) return;
    loading_.error(place, path, unknown_event(entity->second, events, event));
  }

  // A route's id is its first name; two routes with one id would share a cursor.
  void check_route_ids() {
    std::map<std::string, std::string> names_by_id;
    for (const auto& [name, route] : config_.routes) {
      const auto [other, fresh] = names_by_id.emplace(route.id(), name);
      if (fresh) continue;
      const Route& renamed = route.was.empty() ? config_.routes.at(other->second) : route;
      loading_.error(renamed.place, "route " + renamed.name + " / was",
                     fmt::format("`{}` is also the id of route {}; only one may carry it on",
                                 route.id(), renamed.name == name ? other->second : name));
    }
  }

  // Two routes have two cursors: nothing keeps the order of one record's requests between them.
  void check_sharing() {
    std::map<std::pair<std::string, std::string>, std::string> first;
    for (const auto& [name, route] : config_.routes) {
      if (route.entity.empty() || route.to.empty()) continue;
      const auto [other, fresh] = first.emplace(std::pair(route.entity, route.to), name);
      if (fresh) continue;
      const Route& with = config_.routes.at(other->second);
      loading_.warning(
          route.place, "route " + name,
          fmt::format("route {} ({}:{}) also sends {} to {}: nothing orders one "
                      "record's requests between two routes; put the requests into "
                      "one route",
                      other->second, with.place.file, with.place.line, route.entity, route.to));
    }
  }

  Loading& loading_;
  const Config& config_;
};

}  // namespace

void check_references(Loading& loading) {
  Checks(loading).run();
}

}  // namespace millrace::config
