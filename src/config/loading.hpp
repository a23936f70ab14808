// What the parts of one load share: the documents, the problems, the variables and the Config in
// the making. Private to src/config.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/compile.hpp"
#include "config/load.hpp"
#include "config/node.hpp"
#include "config/spec_reader.hpp"
#include "config/variables.hpp"

namespace millrace::config {

/// One YAML document that is an object of the configuration.
struct Document {
  std::string file;
  std::string kind;  ///< its leading key: "name", "connection", "route", ...
  std::string name;  ///< the leading key's value
  Node node;
  bool usable = true;  ///< false: refused as a whole; checks against it stay silent
};

struct Loading {
  explicit Loading(const LoadOptions& load_options)
      : options(load_options),
        variables(load_options.environment, load_options.without_secrets),
        substitute(variables.substitute()),
        compiler(problems) {}

  const LoadOptions& options;
  std::vector<Problem> problems;
  std::map<std::string, std::string> sources;  ///< text by file
  std::vector<Document> documents;
  Variables variables;
  Substitute substitute;
  Compiler compiler;
  std::shared_ptr<Config> config = std::make_shared<Config>();

  SpecReader reader(const Document& document) {
    return SpecReader(document.file, problems, &substitute);
  }
  void error(Place place, std::string path, std::string message) {
    problems.push_back(
        {Problem::Level::error, std::move(place), std::move(path), std::move(message), {}, false});
  }
  void warning(Place place, std::string path, std::string message) {
    problems.push_back({Problem::Level::warning,
                        std::move(place),
                        std::move(path),
                        std::move(message),
                        {},
                        false});
  }
  const Document* find(std::string_view kind, std::string_view name) const;
  std::vector<std::string> names(std::string_view kind) const;
};

/// "route order-to-mes".
std::string title(const Document& document);
/// The place of a member's value, or of the document.
Place place_of(const Document& document, std::string_view key);

/// Reports the document's top-level keys that are not built; true when there was one.
bool refuse_not_yet(Loading& loading, Document& document, const std::vector<std::string>& keys);

// Each reads one document into the Config, reporting what is wrong.
void read_installation(Loading& loading, Document& document);
void read_connection(Loading& loading, Document& document);
void read_entity(Loading& loading, Document& document);
void read_table(Loading& loading, Document& document);
void read_route(Loading& loading, Document& document);
void read_test(Loading& loading, Document& document);

// Steps around them.
void read_files(Loading& loading);
/// Environment, vars and the secrets directory, which everything else needs.
void prepare_variables(Loading& loading);
void read_functions(Loading& loading);
void read_schemas(Loading& loading);
void check_references(Loading& loading);
/// Paths in expressions that can never lead anywhere.
void check_paths(Loading& loading);
/// Hashes that need the whole: programs of entity sources, fingerprints.
void compute_fingerprints(Loading& loading);
/// The documents as the state store keeps them, and the hashes of the routes' texts.
void remember_documents(Loading& loading);

/// All expressions of a route.
std::vector<const Program*> programs_of(const Route& route);
/// Tables that a route's expressions look up in.
std::set<std::string> tables_of(const Route& route);

/// Relative paths of an installation begin at the configuration directory.
std::string absolute_path(const Loading& loading, std::string_view path);
/// Files that objects name lie below the configuration directory.
bool stays_inside(std::string_view path);
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace millrace::config
