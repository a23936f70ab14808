// Hashes by which a reload knows what changed. They cover resolved values, secrets among them, and
// are never shown.
#include <set>

#include "config/loading.hpp"
#include "config/node_json.hpp"
#include "millrace/ids.hpp"

namespace millrace::config {
namespace {

void append_plan(std::string& text, const FieldPlan& plan) {
  text += '{';
  for (const FieldPlan::Field& field : plan.fields) {
    append_json_string(text, field.name);
    append_plan(text, field.nested);
  }
  text += '}';
}

void add_tables(std::set<std::string>& tables, const Program& program) {
  if (!program.compiled) return;
  for (const std::string& table : program.compiled->tables()) tables.insert(table);
}

std::string text_of(const Config& config, const std::set<std::string>& tables) {
  std::string text;
  for (const std::string& name : tables) {
    const auto table = config.tables.find(name);
    if (table != config.tables.end()) text += name + "=" + table->second.fingerprint + ";";
  }
  return text;
}

std::string companies_of(const Config& config, const EntitySource& source) {
  std::string text;
  const auto connection = config.connections.find(source.connection);
  if (connection == config.connections.end()) return text;
  for (const auto& [id, code] : connection->second.companies) {
    text += std::to_string(id) + "=";
    append_json_string(text, code);
  }
  return text;
}

std::string program_of(const Config& config, const EntitySource& source) {
  std::string plan;
  append_plan(plan, source.read);
  std::set<std::string> tables;
  add_tables(tables, source.map);
  return stable_hash({plan, source.map.text, source.map.functions, text_of(config, tables),
                      companies_of(config, source)});
}

std::string filter_of(const Config& config, const EntitySource& source) {
  if (!source.domain && !source.only) return "";
  std::set<std::string> tables;
  if (source.only) add_tables(tables, *source.only);
  return stable_hash({source.domain ? canonical_json(*source.domain) : "",
                      source.only ? source.only->text : "",
                      source.only ? source.only->functions : "", text_of(config, tables)});
}

std::string document_text(Loading& loading, std::string_view kind, const std::string& name) {
  const Document* document = loading.find(kind, name);
  return document ? write_json(to_hashed_json(document->node, loading.substitute)) : "";
}

using Programs = std::vector<const Program*>;

void add(Programs& programs, const std::optional<Program>& program) {
  if (program) programs.push_back(&*program);
}
void add(Programs& programs, const Template& text) {
  for (const Program& program : text.programs) programs.push_back(&program);
}

void add(Programs& programs, const RouteRequest& request) {
  add(programs, request.path);
  add(programs, request.body);
  add(programs, request.remember);
  for (const auto& [name, value] : request.query) add(programs, value);
  for (const auto& [name, value] : request.headers) add(programs, value);
  for (const auto& [name, program] : request.treat.rules) programs.push_back(&program);
}

Programs programs_of(const Connection& connection) {
  Programs programs;
  for (const auto* program : {&connection.record, &connection.version, &connection.id}) {
    add(programs, *program);
  }
  return programs;
}

Programs programs_of(const Entity& entity) {
  Programs programs;
  add(programs, entity.key);
  for (const EntitySource& source : entity.from) {
    add(programs, source.only);
    programs.push_back(&source.map);
  }
  for (const EntityEvent& event : entity.events) programs.push_back(&event.when);
  return programs;
}

std::string functions_of(const Programs& programs) {
  std::string text;
  for (const Program* program : programs) text += program->functions;
  return text;
}

}  // namespace

std::vector<const Program*> programs_of(const Route& route) {
  Programs programs;
  add(programs, route.when);
  add(programs, route.exclusive);
  for (const RouteRequest& request : route.requests) {
    add(programs, request);
    if (!request.probe) continue;
    add(programs, request.probe->request);
    programs.push_back(&request.probe->applied);
    add(programs, request.probe->remember);
  }
  return programs;
}

std::set<std::string> tables_of(const Route& route) {
  std::set<std::string> tables;
  for (const Program* program : programs_of(route)) add_tables(tables, *program);
  return tables;
}

void compute_fingerprints(Loading& loading) {
  Config& config = *loading.config;
  for (auto& [name, table] : config.tables) {
    std::string rows;
    for (const auto& [key, value] : table.rows) {
      append_json_string(rows, key);
      rows += canonical_json(value);
    }
    table.fingerprint = stable_hash({document_text(loading, "table", name), rows});
  }
  for (auto& [name, connection] : config.connections) {
    connection.fingerprint = stable_hash(
        {document_text(loading, "connection", name), functions_of(programs_of(connection))});
  }
  for (auto& [name, entity] : config.entities) {
    std::string programs;
    for (EntitySource& source : entity.from) {
      source.program = program_of(config, source);
      source.filter = filter_of(config, source);
      programs += source.program + source.filter;
    }
    entity.fingerprint =
        stable_hash({document_text(loading, "entity", name), programs,
                     functions_of(programs_of(entity)), canonical_json(entity.schema)});
  }
  for (auto& [name, route] : config.routes) {
    route.fingerprint =
        stable_hash({document_text(loading, "route", name), functions_of(programs_of(route)),
                     text_of(config, tables_of(route))});
  }
  std::string content;
  for (const auto& [file, text] : loading.sources) content += stable_hash({file, text});
  config.content_hash = stable_hash({content});
}

}  // namespace millrace::config
