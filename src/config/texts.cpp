#include "config/texts.hpp"

#include <fmt/core.h>

#include "config/loading.hpp"
#include "config/problems.hpp"
#include "config/yaml.hpp"
#include "millrace/ids.hpp"

namespace millrace::config {
namespace {

constexpr std::int64_t kTextFormat = 1;

// A line break to YAML but not to JSON would be folded into a blank.
std::string yaml_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  for (const auto& [raw, escaped] : {std::pair("\xE2\x80\xA8", "\\u2028"),
                                     {"\xE2\x80\xA9", "\\u2029"},
                                     {"\xC2\x85", "\\u0085"}}) {
    for (std::size_t at = out.find(raw); at != out.npos; at = out.find(raw, at)) {
      out.replace(at, std::string_view(raw).size(), escaped);
    }
  }
  return out;
}

// The tree as YAML in flow style: strings quoted, everything else as it was written, so that the
// same loader reads the same values.
void append_yaml(std::string& out, const Node& node) {
  bool first = true;
  const auto separate = [&out, &first] {
    if (!first) out += ", ";
    first = false;
  };
  switch (node.kind) {
    case Node::Kind::null:
      out += "null";
      return;
    case Node::Kind::string:
      out += yaml_string(node.text);
      return;
    case Node::Kind::sequence:
      out += '[';
      for (const Node& item : node.items) {
        separate();
        append_yaml(out, item);
      }
      out += ']';
      return;
    case Node::Kind::mapping:
      out += '{';
      for (const Node::Member& member : node.members) {
        separate();
        out += yaml_string(member.key) + ": ";
        append_yaml(out, member.value);
      }
      out += '}';
      return;
    default:
      out += node.text;
  }
}

// The variables a tree names, with their values; secrets stay references.
void add_variables(JsonObject& variables, const Node& node, const Substitute& substitute) {
  for (const Node& item : node.items) add_variables(variables, item, substitute);
  for (const Node::Member& member : node.members) {
    add_variables(variables, member.value, substitute);
  }
  for (std::size_t at = node.text.find("${"); at != node.text.npos;
       at = node.text.find("${", at + 2)) {
    const std::size_t end = node.text.find('}', at);
    if (end == node.text.npos) return;
    const std::string_view inside = std::string_view(node.text).substr(at + 2, end - at - 2);
    const std::size_t from = inside.find_first_not_of(" \t\n");
    if (from == inside.npos) continue;
    const std::string_view name = inside.substr(from, inside.find_last_not_of(" \t\n") - from + 1);
    if (!is_reference(name) || name.starts_with("secret.")) continue;
    const std::size_t dot = name.find('.');
    if (const auto value = substitute(name.substr(0, dot), name.substr(dot + 1))) {
      variables[name] = *value;
    }
  }
}

std::string document_of(Loading& loading, std::string_view kind, const std::string& name) {
  const Document* document = loading.find(kind, name);
  if (document == nullptr) return {};
  std::string yaml;
  append_yaml(yaml, document->node);
  JsonObject variables;
  add_variables(variables, document->node, loading.substitute);
  return write_json(Json(JsonObject{{"yaml", yaml}, {"variables", std::move(variables)}}));
}

// A table whose rows stand in a file of their own takes them along.
std::string document_of(const TableObject& table) {
  JsonObject rows;
  for (const auto& [key, value] : table.rows) rows[key] = value;
  return write_json(Json(JsonObject{{"table", table.name},
                                    {"missing", static_cast<int>(table.missing)},
                                    {"rows", std::move(rows)}}));
}

void add_rows(Loading& loading, const Json& stored) {
  TableObject table;
  table.name = string_or(stored, "table", "");
  table.missing = static_cast<Missing>(int_or(stored, "missing", 0));
  const Json* rows = find(stored, "rows");
  if (const JsonObject* object = rows->if_object()) {
    for (const auto& row : *object) table.rows.emplace(std::string(row.key()), row.value());
  }
  table.document = write_json(stored);
  loading.config->tables.insert_or_assign(table.name, std::move(table));
}

// Adds a stored document to a load as if it had stood in a file.
Result<void> add_document(Loading& loading, std::string_view kind, const Json& stored,
                          std::map<std::string, std::string>& vars,
                          std::map<std::string, std::string>& environment) {
  const std::string file = fmt::format("the stored text of a {}", kind);
  auto nodes = parse_yaml(string_or(stored, "yaml", ""), file, loading.problems);
  const Node* name = nodes.size() == 1 ? nodes.front().find(kind) : nullptr;
  if (name == nullptr) return fail(Errc::config, file + " cannot be read");
  std::string text = name->text;
  loading.documents.push_back(
      {file, std::string(kind), std::move(text), std::move(nodes.front()), true});
  const Json* variables = find(stored, "variables");
  if (variables == nullptr || !variables->is_object()) return {};
  for (const auto& member : variables->get_object()) {
    const std::string_view key(member.key().data(), member.key().size());
    if (!member.value().is_string()) continue;
    const std::string value(member.value().get_string());
    auto& known = key.starts_with("var.") ? vars : environment;
    known.insert_or_assign(std::string(key.substr(4)), value);
  }
  return {};
}

Result<void> no_errors(const Loading& loading) {
  if (!has_errors(loading.problems)) return {};
  for (const Problem& problem : loading.problems) {
    if (problem.level != Problem::Level::error) continue;
    return fail(Errc::config,
                fmt::format("{}: {}: {}", problem.place.file, problem.path, problem.message));
  }
  return {};
}

// The documents of stored texts, with the variables they were stored with.
struct Stored {
  std::map<std::string, std::string> vars;
  std::map<std::string, std::string> environment;
  std::vector<std::pair<std::string, Json>> documents;  // kind, document
  std::string functions;

  Result<void> add(std::string kind, std::string_view text) {
    MILLRACE_TRY(json, parse_json(text));
    documents.emplace_back(std::move(kind), std::move(json));
    return {};
  }
};

Result<void> read(Loading& loading, Stored& stored, const TextOptions& options) {
  for (const auto& [kind, document] : stored.documents) {
    if (find(document, "rows") != nullptr) {
      add_rows(loading, document);
      continue;
    }
    MILLRACE_CHECK_OK(add_document(loading, kind, document, stored.vars, stored.environment));
  }
  loading.variables = Variables(stored.environment, false);
  loading.variables.set_vars(stored.vars, "the stored text", true);
  loading.variables.set_secrets_directory(options.installation.secrets_directory);
  auto tables = loading.names("table");
  for (const auto& [name, table] : loading.config->tables) tables.push_back(name);
  loading.compiler.set_tables(std::move(tables));
  loading.compiler.add_functions("the stored functions", stored.functions);
  loading.config->installation = options.installation;
  for (Document& document : loading.documents) {
    if (document.kind == "connection") read_connection(loading, document);
    if (document.kind == "table") read_table(loading, document);
    if (document.kind == "route") read_route(loading, document);
  }
  MILLRACE_CHECK_OK(no_errors(loading));
  compute_fingerprints(loading);
  remember_documents(loading);
  return {};
}

}  // namespace

void remember_documents(Loading& loading) {
  Config& config = *loading.config;
  for (auto& [name, connection] : config.connections) {
    connection.document = document_of(loading, "connection", name);
  }
  for (auto& [name, table] : config.tables) {
    const Document* document = loading.find("table", name);
    if (document == nullptr) continue;  // added with its rows
    table.document =
        document->node.find("file") ? document_of(table) : document_of(loading, "table", name);
  }
  for (auto& [name, route] : config.routes) {
    route.functions = loading.compiler.functions_of(programs_of(route));
    route.document = document_of(loading, "route", name);
    route.text = stable_hash({text_of(config, route)});
  }
}

std::string text_of(const Config& config, const Route& route) {
  JsonArray tables;
  for (const std::string& name : tables_of(route)) {
    const auto table = config.tables.find(name);
    if (table != config.tables.end()) tables.push_back(Json(table->second.document));
  }
  return write_json(Json(JsonObject{{"format", kTextFormat},
                                    {"route", route.document},
                                    {"tables", std::move(tables)},
                                    {"functions", route.functions}}));
}

std::string text_of(const Connection& connection) {
  return connection.document;
}

Result<ConfigPtr> compile_text(const std::string& text, const Connection& connection,
                               const TextOptions& options) {
  MILLRACE_TRY(json, parse_json(text));
  if (int_or(json, "format", 0) != kTextFormat) {
    return fail(Errc::config,
                "the stored text of a route has a format that this version does not "
                "know; run the version that wrote it");
  }
  Stored stored;
  MILLRACE_CHECK_OK(stored.add("route", string_or(json, "route", "")));
  if (const Json* tables = find(json, "tables"); tables != nullptr && tables->is_array()) {
    for (const Json& table : tables->get_array()) {
      if (table.is_string()) MILLRACE_CHECK_OK(stored.add("table", table.get_string()));
    }
  }
  const LoadOptions load{options.directory, false, options.connectors, {}};
  Loading loading(load);
  stored.functions = string_or(json, "functions", "");
  MILLRACE_CHECK_OK(read(loading, stored, options));
  loading.config->connections.insert_or_assign(connection.name, connection);
  return ConfigPtr(std::move(loading.config));
}

Result<Connection> compile_connection(const std::string& text, const TextOptions& options) {
  Stored stored;
  MILLRACE_CHECK_OK(stored.add("connection", text));
  const LoadOptions load{options.directory, false, options.connectors, {}};
  Loading loading(load);
  MILLRACE_CHECK_OK(read(loading, stored, options));
  MILLRACE_INVARIANT(loading.config->connections.size() == 1);
  return std::move(loading.config->connections.begin()->second);
}

}  // namespace millrace::config
