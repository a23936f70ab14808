// YAML values as JSON, for what is free in form: test data, tables, domains, schemas, fingerprints.
#pragma once

#include "config/node.hpp"
#include "config/spec_reader.hpp"
#include "millrace/json.hpp"

namespace millrace::config {

/// Strings have their ${...} resolved where they look like a reference. Refuses numbers that would
/// change: `00123`, integers beyond 64 bits, infinities. False: reported.
bool to_json(const Node& node, SpecReader& reader, Json& out);

/// The tree with every reference resolved that has a value, for hashing and nothing else (it holds
/// secrets). Scalars stay text; never fails.
Json to_hashed_json(const Node& node, const Substitute& substitute);

}  // namespace millrace::config
