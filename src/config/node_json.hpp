// YAML values as JSON, for what is free in form: test data, tables, domains, schemas, fingerprints.
#pragma once

#include "config/node.hpp"
#include "config/spec_reader.hpp"
#include "millrace/json.hpp"

namespace millrace::config {

/// Strings have their ${...} resolved where they look like a reference. Refuses numbers that would
/// change: `00123`, integers beyond 64 bits, infinities. False: reported.
bool to_json(const Node& node, SpecReader& reader, Json& out);

/// The tree as it was written, for hashing: never fails, no references resolved.
Json to_plain_json(const Node& node);

}  // namespace millrace::config
