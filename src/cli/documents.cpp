// What the program says about its own configuration language.
#include <ostream>

#include "cli/offline.hpp"
#include "config/load.hpp"
#include "config/problems.hpp"
#include "config/reference.hpp"
#include "connectors/all_connectors.hpp"
#include "expr/eval_command.hpp"

namespace millrace::cli {

int run_eval(const Session& session, const std::string& expression) {
  const ConnectorRegistry none;
  const auto functions = config::functions_for(
      {session.config_directory, true, none, config::process_environment()}, expression);
  session.err << config::render(functions.problems);
  if (!functions.problems.empty()) return kCannotRun;
  return expr::run_eval(expression, functions.text, session.in, session.out, session.err);
}

int run_docs_reference(const Session& session) {
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  session.out << config::reference_markdown(connectors);
  return kOk;
}

int run_schema(const Session& session) {
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  session.out << write_json(config::editor_schema(connectors)) << '\n';
  return kOk;
}

}  // namespace millrace::cli
