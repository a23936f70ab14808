// Paths in expressions that can never lead anywhere, judged by what the expression is given.
#include <fmt/core.h>

#include "config/loading.hpp"
#include "config/nearest.hpp"
#include "config/shapes.hpp"
#include "expr/path_check.hpp"

namespace millrace::config {
namespace {

using expr::PathFinding;
using expr::ShapePtr;

/// Shorter names are near to too many others.
constexpr std::size_t kSlipLengthMin = 4;

std::string no_member(const PathFinding& finding) {
  std::string text = fmt::format("`{}`: {} has no `{}`", finding.path,
                                 finding.owner.empty() ? std::string("the object") : finding.owner,
                                 finding.member);
  if (finding.owner == kEventName && finding.member == "answer") {
    return text + "; the answer is known in `treat` and `remember` only";
  }
  const std::string near = did_you_mean(finding.member, finding.known);
  if (!near.empty()) return text + near;
  if (finding.known.empty()) return text;
  return text + fmt::format("; it has {}", list_names(finding.known));
}

// Of an object that may have more members than it declares.
bool is_likely_slip(const PathFinding& finding) {
  return finding.member.size() >= kSlipLengthMin && !nearest(finding.member, finding.known).empty();
}

std::string not_an_object(const PathFinding& finding) {
  const std::size_t end = finding.path.size() - finding.member.size() - 1;
  std::string before = finding.path.substr(0, end);
  if (before.empty()) before = ".";
  std::string text = fmt::format("`{}`: `{}` is {} and has no members", finding.path, before,
                                 expr::describe_types(finding.types));
  if ((finding.types & expr::Shape::kArray) != 0) {
    text += fmt::format("; for each item write `{}[].{}`", before, finding.member);
  }
  return text;
}

class PathChecks {
 public:
  explicit PathChecks(Loading& loading) : loading_(loading), config_(*loading.config) {}

  void run() {
    for (const auto& [name, entity] : config_.entities) check_entity(entity);
    for (const auto& [name, route] : config_.routes) check_route(route);
    for (const Document& document : loading_.documents) {
      if (document.kind == "test" && document.usable) check_test(document);
    }
  }

 private:
  using Variables = std::map<std::string, ShapePtr>;

  static ShapePtr data_of(const Entity& entity) {
    return entity.schema.is_null() ? expr::unknown_shape()
                                   : shape_of_schema(entity.schema, entity.name);
  }

  void check(const Program& program, const std::string& path, const ShapePtr& input,
             const Variables& variables) {
    if (!program.compiled) return;
    const auto checked = expr::check_paths(program.text, program.functions, input, variables);
    for (const PathFinding& finding : checked.findings) {
      const Place place = place_in(program, finding.line, finding.column);
      if (finding.kind == PathFinding::Kind::not_an_object) {
        loading_.error(place, path, not_an_object(finding));
      } else if (finding.kind == PathFinding::Kind::no_member) {
        loading_.error(place, path, no_member(finding));
      } else if (is_likely_slip(finding)) {
        loading_.warning(place, path, no_member(finding));
      }
    }
  }
  void check(const std::optional<Program>& program, const std::string& path, const ShapePtr& input,
             const Variables& variables) {
    if (program) check(*program, path, input, variables);
  }
  void check(const Template& text, const std::string& path, const ShapePtr& input,
             const Variables& variables) {
    for (const Program& program : text.programs) check(program, path, input, variables);
  }

  void check_entity(const Entity& entity) {
    const std::string title = "entity " + entity.name;
    int index = 0;
    for (const EntitySource& source : entity.from) {
      const std::string path = fmt::format("{} / from / [{}]", title, ++index);
      const ShapePtr record =
          source.read.empty() ? expr::unknown_shape() : shape_of_record(source.read, source.model);
      check(source.only, path + " / only", record, {});
      check(source.map, path + " / map", record, {{"now", text_}});
    }
    const ShapePtr data = data_of(entity);
    check(entity.key, title + " / key", data, {});
    const ShapePtr before = expr::either(data, expr::shape_of_types(expr::Shape::kNull));
    for (const EntityEvent& event : entity.events) {
      check(event.when, fmt::format("{} / events / {}", title, event.name), data,
            {{"before", before}});
    }
  }

  void check_message(const RouteRequest& request, const std::string& path, const ShapePtr& event,
                     const Variables& variables) {
    check(request.path, path + " / path", event, variables);
    for (const auto& [name, text] : request.query) {
      check(text, fmt::format("{} / query / {}", path, name), event, variables);
    }
    for (const auto& [name, text] : request.headers) {
      check(text, fmt::format("{} / headers / {}", path, name), event, variables);
    }
    check(request.body, path + " / body", event, variables);
  }

  void check_route(const Route& route) {
    const auto entity = config_.entities.find(route.entity);
    if (entity == config_.entities.end()) return;
    const ShapePtr data = data_of(entity->second);
    const ShapePtr event = shape_of_event(data, false);
    const ShapePtr answered = shape_of_event(data, true);
    const Variables variables{{"event", event}, {"record", text_}, {"now", text_}};
    const std::string title = "route " + route.name;
    check(route.when, title + " / when", event, variables);
    check(route.exclusive, title + " / exclusive", event, variables);
    for (const RouteRequest& request : route.requests) {
      const std::string path = fmt::format("{} / requests / {}", title, request.event);
      check_message(request, path, event, variables);
      if (request.probe) {
        check_message(request.probe->request, path + " / probe / request", event, variables);
        check(request.probe->applied, path + " / probe / applied", answered, variables);
        check(request.probe->remember, path + " / probe / remember", answered, variables);
      }
      check(request.remember, path + " / remember", answered, variables);
      for (const auto& [name, program] : request.treat.rules) {
        check(program, fmt::format("{} / treat / {}", path, name), answered, variables);
      }
    }
  }

  // A test whose event has what the schema forbids shows nothing: such an event cannot come.
  void check_test(const Document& document) {
    const Node* given = document.node.find("given");
    const Node* event = given ? given->find("event") : nullptr;
    const Node* data = given ? given->find("data") : nullptr;
    if (event == nullptr || data == nullptr) return;
    const auto entity = config_.entities.find(event->text.substr(0, event->text.find('.')));
    if (entity == config_.entities.end()) return;
    check_data(document, *data, *data_of(entity->second));
  }

  void check_data(const Document& document, const Node& node, const expr::Shape& shape) {
    for (const Node& item : node.items) {
      if (shape.items) check_data(document, item, *shape.items);
    }
    for (const Node::Member& member : node.members) {
      const auto known = shape.members.find(member.key);
      if (known != shape.members.end()) {
        check_data(document, member.value, *known->second);
        continue;
      }
      if (shape.names != expr::Names::closed) continue;
      const auto names = keys_of(shape.members);
      loading_.warning({document.file, member.line, member.column}, title(document) + " / given",
                       fmt::format("such an event cannot come: {} has no `{}`{}", shape.name,
                                   member.key, did_you_mean(member.key, names)));
    }
  }

  Loading& loading_;
  const Config& config_;
  const ShapePtr text_ = expr::shape_of_types(expr::Shape::kString);
};

}  // namespace

void check_paths(Loading& loading) {
  PathChecks(loading).run();
}

}  // namespace millrace::config
