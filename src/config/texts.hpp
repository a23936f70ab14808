// The texts of routes, as the state store keeps them: all that decides what a route sends, in one
// string that compiles again without the files it came from. An event is rendered again after a
// crash with the text it was first rendered with, and a route that was removed delivers what it
// had. No secrets: a reference to one stays a reference.
#pragma once

#include <string>

#include "config/load.hpp"
#include "config/model.hpp"

namespace millrace::config {

/// The route's document, the tables it looks up in, the functions, and the values of the variables
/// they name. stable_hash of it is `route.text`.
std::string text_of(const Config& config, const Route& route);
/// The connection's document, with the values of the variables it names.
std::string text_of(const Connection& connection);

/// Where a stored text is compiled: its secrets and certificates are those of `installation`.
struct TextOptions {
  const Installation& installation;
  std::string directory;  ///< of the configuration
  const ConnectorRegistry& connectors;
};

/// A configuration of one route and its connection. Errc::config when it does not compile here: a
/// secret is gone, or a newer version wrote it.
Result<ConfigPtr> compile_text(const std::string& text, const Connection& connection,
                               const TextOptions& options);
Result<Connection> compile_connection(const std::string& text, const TextOptions& options);

}  // namespace millrace::config
