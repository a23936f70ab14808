// The declarations of the configuration's own objects, for docs and editor schemas.
#pragma once

#include "millrace/spec.hpp"

namespace millrace::config {

const AnySpec& installation_spec();
/// The keys every connection may have; its type adds its own.
const AnySpec& connection_spec();
const AnySpec& entity_spec();
const AnySpec& table_spec();
const AnySpec& route_spec();
const AnySpec& test_spec();

}  // namespace millrace::config
