#include "config/load.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "config/loading.hpp"
#include "config/nearest.hpp"
#include "config/object_specs.hpp"
#include "config/problems.hpp"

namespace millrace::config {
namespace {

constexpr std::size_t kSourceLineMax = 160;

void read_document(Loading& loading, Document& document) {
  if (document.kind == "connection") read_connection(loading, document);
  if (document.kind == "entity") read_entity(loading, document);
  if (document.kind == "table") read_table(loading, document);
  if (document.kind == "route") read_route(loading, document);
  if (document.kind == "test") read_test(loading, document);
}

const AnySpec& spec_of(std::string_view kind) {
  return std::ranges::find(kObjectKinds, kind, &ObjectKind::key)->spec();
}

void read_installation_document(Loading& loading) {
  const auto installation = std::ranges::find(loading.documents, "name", &Document::kind);
  if (installation != loading.documents.end()) {
    read_installation(loading, *installation);
  } else if (!has_errors(loading.problems)) {
    loading.error({"millrace.yaml", 0, 0}, "",
                  "no installation: one document needs `name:`, `log: { files: ... }` and "
                  "`state: { sqlite: ... }` (or `{ postgresql: ... }`)");
  }
}

std::string line_of(const std::string& text, int line) {
  std::size_t at = 0;
  for (int i = 1; i < line && at != text.npos; ++i) {
    at = text.find('\n', at);
    if (at != text.npos) ++at;
  }
  if (at == text.npos) return {};
  std::string found = text.substr(at, std::min(text.find('\n', at), text.size()) - at);
  if (found.ends_with('\r')) found.pop_back();
  return found.size() > kSourceLineMax ? std::string() : found;
}

void add_sources(Loading& loading) {
  for (Problem& problem : loading.problems) {
    const auto source = loading.sources.find(problem.place.file);
    if (problem.hide_source || source == loading.sources.end() || problem.place.line < 1) continue;
    problem.source = line_of(source->second, problem.place.line);
  }
}

}  // namespace

bool refuse_not_yet(Loading& loading, Document& document, const std::vector<std::string>& keys) {
  bool refused = false;
  for (const Node::Member& member : document.node.members) {
    if (std::ranges::find(keys, member.key) == keys.end()) continue;
    refused = true;
    loading.error({document.file, member.line, member.column}, title(document),
                  fmt::format("`{}` is not supported yet", member.key));
  }
  if (refused) document.usable = false;
  return refused;
}

LoadReport load(const LoadOptions& options) {
  Loading loading(options);
  read_files(loading);
  prepare_variables(loading);
  loading.compiler.set_tables(loading.names("table"));
  read_functions(loading);
  read_installation_document(loading);
  for (Document& document : loading.documents) {
    if (!document.usable || document.kind == "name") continue;
    if (refuse_not_yet(loading, document, spec_of(document.kind).keys_not_yet())) continue;
    read_document(loading, document);
  }
  read_schemas(loading);
  check_references(loading);
  check_paths(loading);
  compute_fingerprints(loading);
  if (!has_errors(loading.problems)) remember_documents(loading);
  sort_problems(loading.problems);
  add_sources(loading);
  LoadReport report;
  if (!has_errors(loading.problems)) report.config = std::move(loading.config);
  report.problems = std::move(loading.problems);
  return report;
}

FunctionsReport functions_for(const LoadOptions& options, const std::string& expression) {
  Loading loading(options);
  read_files(loading);
  loading.problems.clear();
  loading.compiler.set_tables(loading.names("table"));
  read_functions(loading);
  add_sources(loading);
  Program program;
  program.text = expression;
  return {loading.compiler.functions_of({&program}), std::move(loading.problems)};
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != text.npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

}  // namespace millrace::config
