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
void add_tables(std::set<std::string>& tables, const std::optional<Program>& program) {
  if (program) add_tables(tables, *program);
}
void add_tables(std::set<std::string>& tables, const Template& text) {
  for (const Program& program : text.programs) add_tables(tables, program);
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
  return stable_hash({plan, source.map.text, config.functions, text_of(config, tables),
                      companies_of(config, source)});
}

std::string document_text(Loading& loading, std::string_view kind, const std::string& name) {
  const Document* document = loading.find(kind, name);
  return document ? write_json(to_hashed_json(document->node, loading.substitute)) : "";
}

}  // namespace

std::set<std::string> tables_of(const Route& route) {
  std::set<std::string> tables;
  add_tables(tables, route.when);
  for (const RouteRequest& request : route.requests) {
    add_tables(tables, request.path);
    add_tables(tables, request.body);
    add_tables(tables, request.remember);
    for (const auto& [name, value] : request.query) add_tables(tables, value);
    for (const auto& [name, value] : request.headers) add_tables(tables, value);
    for (const auto& [name, program] : request.treat.rules) add_tables(tables, program);
  }
  return tables;
}

void compute_fingerprints(Loading& loading) {
  Config& config = *loading.config;
  for (auto& [name, table] : config.tables) {
    table.fingerprint = stable_hash({document_text(loading, "table", name)});
  }
  for (auto& [name, connection] : config.connections) {
    connection.fingerprint = stable_hash({document_text(loading, "connection", name)});
  }
  for (auto& [name, entity] : config.entities) {
    std::string programs;
    for (EntitySource& source : entity.from) {
      source.program = program_of(config, source);
      programs += source.program;
    }
    entity.fingerprint = stable_hash({document_text(loading, "entity", name), programs,
                                      config.functions, canonical_json(entity.schema)});
  }
  for (auto& [name, route] : config.routes) {
    route.fingerprint = stable_hash({document_text(loading, "route", name), config.functions,
                                     text_of(config, tables_of(route))});
  }
  std::string content;
  for (const auto& [file, text] : loading.sources) content += stable_hash({file, text});
  config.content_hash = stable_hash({content});
}

}  // namespace millrace::config
