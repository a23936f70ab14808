// Documents that begin with `entity:`.
#include <fmt/core.h>

#include "config/loading.hpp"
#include "config/object_specs.hpp"
#include "config/text_values.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::config {
namespace {

struct SourceYaml {
  Located connection;
  std::string model;
  std::vector<std::pair<std::string, std::string>> touched_by;
  FieldPlan read;
  std::optional<Json> domain;
  std::optional<Program> only;
  Program map;
  std::optional<seconds> sweep;
  std::optional<FirstSeen> first_seen;
};
struct EntityYaml {
  std::string entity;
  std::uint32_t version = 1;
  std::optional<Program> key;
  std::vector<SourceYaml> from;
  std::vector<std::pair<std::string, Program>> events;
  std::string schema;
};

const Spec<EntityYaml>& entity() {
  using namespace std::chrono_literals;
  static const auto source =
      Spec<SourceYaml>("from", "Where an entity's records come from.")
          .option("connection", &SourceYaml::connection, "The connection.")
          .required()
          .option("model", &SourceYaml::model, "Sources that are read back: the model.")
          .example("sale.order")
          .option("touched_by", &SourceYaml::touched_by,
                  "Models whose change is a change of this one: model to the field that names it.")
          .example("{ sale.order.line: order_id }")
          .option("read", &SourceYaml::read,
                  "Sources that are read back: the fields; a nested field follows the relation.")
          .example("{ name: , partner_id: { ref: } }")
          .option("domain", &SourceYaml::domain, "Which records count: an Odoo domain.")
          .option("only", &SourceYaml::only,
                  "Which records count: an expression on the source record.")
          .option("map", &SourceYaml::map,
                  "The canonical data: an expression on the source record, `$now` too.")
          .required()
          .option("sweep", &SourceYaml::sweep,
                  "Sources that are read back: how often changes without a doorbell are sought.")
          .bounds(10s, 604800s)
          .option(
              "first_seen", &SourceYaml::first_seen,
              "What a record seen for the first time is: silent, or news. Default: `baseline` for "
              "sources that are read back, `emit` for hooks.",
              SpecNames<FirstSeen>{{"baseline", FirstSeen::baseline}, {"emit", FirstSeen::emit}});
  static const auto made =
      Spec<EntityYaml>("entity", "A kind of business record in its canonical form.")
          .option("entity", &EntityYaml::entity, "Its name; also the first part of event types.")
          .required()
          .option("version", &EntityYaml::version, "Major version of its data.")
          .bounds(1, 1'000'000)
          .option("key", &EntityYaml::key, "The name people search by: an expression on the data.")
          .option("from", &EntityYaml::from,
                  "Its sources; none when others send it to `POST /events`.", source)
          .option("events", &EntityYaml::events,
                  "Event names and when each happened: expressions on the data, `$before` is the "
                  "old data "
                  "or null. In this order; `deleted` is reserved.")
          .required()
          .example("{ changed: true }")
          .option("schema", &EntityYaml::schema,
                  "File with the JSON Schema (draft-07) of its data, below the directory.")
          .example("schemas/sales_order.v1.json")
          .not_yet("retention")
          .not_yet("classification");
  return made;
}

bool is_event_name(std::string_view name) {
  if (name.empty() || !(name[0] >= 'a' && name[0] <= 'z')) return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == name.npos;
}

EntitySource convert(Loading& loading, SourceYaml& yaml, const std::string& path) {
  EntitySource out;
  out.connection = yaml.connection.value;
  out.model = std::move(yaml.model);
  out.touched_by = std::move(yaml.touched_by);
  out.read = std::move(yaml.read);
  out.domain = std::move(yaml.domain);
  out.only = std::move(yaml.only);
  out.map = std::move(yaml.map);
  out.sweep = yaml.sweep;
  out.first_seen = yaml.first_seen;
  out.place = yaml.connection.place;
  if (out.model.size() > kObjectNameBytesMax) {
    loading.error(out.place, path + " / model",
                  fmt::format("a model's name has at most {} bytes", kObjectNameBytesMax));
  }
  if (out.only) loading.compiler.compile(*out.only, ScopeKind::only, path + " / only");
  loading.compiler.compile(out.map, ScopeKind::map, path + " / map");
  return out;
}

void read_events(Loading& loading, const Document& document, EntityYaml& yaml, Entity& out) {
  const Node* events = document.node.find("events");
  for (auto& [name, when] : yaml.events) {
    const Node::Member* member = events ? events->find_member(name) : nullptr;
    const Place place = member ? Place{document.file, member->line, member->column} : out.place;
    const std::string path = fmt::format("{} / events / {}", title(document), name);
    if (!is_event_name(name)) {
      loading.error(place, path, "an event's name is made of a-z, 0-9 and `_`");
    } else if (name == "deleted") {
      loading.error(place, path, "`deleted` is reserved: it is emitted when a record is gone");
    }
    loading.compiler.compile(when, ScopeKind::event, path);
    out.events.push_back({name, std::move(when)});
  }
}

}  // namespace

const AnySpec& entity_spec() {
  return entity();
}

void read_entity(Loading& loading, Document& document) {
  SpecReader reader = loading.reader(document);
  const SpecReader::Step step(reader, title(document));
  EntityYaml yaml;
  entity().read(document.node, reader, yaml);
  Entity out;
  out.place = {document.file, document.node.line, document.node.column};
  out.name = document.name;
  out.version = yaml.version;
  out.key = std::move(yaml.key);
  out.schema_path = std::move(yaml.schema);
  if (!is_event_name(out.name)) {
    loading.error(place_of(document, "entity"), title(document),
                  "an entity's name is made of a-z, 0-9 and `_`: event types are "
                  "<entity>.<event>");
  }
  if (out.key) loading.compiler.compile(*out.key, ScopeKind::key, title(document) + " / key");
  int index = 0;
  for (SourceYaml& source : yaml.from) {
    out.from.push_back(
        convert(loading, source, fmt::format("{} / from / [{}]", title(document), ++index)));
  }
  read_events(loading, document, yaml, out);
  if (out.events.empty() && document.node.find("events")) {
    loading.error(place_of(document, "events"), title(document) + " / events",
                  "no event: write at least `changed: true`");
  }
  loading.config->entities.insert_or_assign(document.name, std::move(out));
}

}  // namespace millrace::config
