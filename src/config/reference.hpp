// What is said about the whole configuration language, made of the declarations that read it.
#pragma once

#include <string>

#include "millrace/connector.hpp"

namespace millrace::config {

/// Markdown: every object and every connector's keys, and what is refused as not supported yet.
std::string reference_markdown(const ConnectorRegistry& connectors);

}  // namespace millrace::config
