// What the program says about its own configuration language.
#include <ostream>

#include "cli/offline.hpp"
#include "config/reference.hpp"
#include "connectors/all_connectors.hpp"

namespace millrace::cli {

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
