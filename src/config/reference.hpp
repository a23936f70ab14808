// What is said about the whole configuration language, made of the declarations that read it.
#pragma once

#include <string>

#include "millrace/connector.hpp"

namespace millrace::config {

/// Markdown: every object and every connector's keys, and what is refused as not supported yet.
std::string reference_markdown(const ConnectorRegistry& connectors);

/// One JSON Schema (draft-07) for every document of a directory, which editors complete and check
/// with. It refuses unknown keys and wrong forms; `lint` knows the rest.
Json editor_schema(const ConnectorRegistry& connectors);

}  // namespace millrace::config
