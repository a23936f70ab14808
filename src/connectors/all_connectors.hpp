// The list of connectors, made by CMake from the folders beside this file.
#pragma once

#include "millrace/connector.hpp"

namespace millrace {

/// Adds one ConnectorType per folder of src/connectors.
void register_all_connectors(ConnectorRegistry& registry);

}  // namespace millrace
