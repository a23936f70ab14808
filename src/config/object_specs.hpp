// The objects of the configuration and their declarations: what the loader reads, the reference
// documents and editors complete.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "millrace/spec.hpp"

namespace millrace::config {

const AnySpec& installation_spec();
/// The keys every connection may have; its type adds its own.
const AnySpec& connection_spec();
const AnySpec& entity_spec();
const AnySpec& table_spec();
const AnySpec& route_spec();
const AnySpec& test_spec();

/// A kind of document; its leading key says which it is.
struct ObjectKind {
  std::string_view key;
  const AnySpec& (*spec)();
};
inline constexpr std::array<ObjectKind, 6> kObjectKinds{{{"name", installation_spec},
                                                         {"connection", connection_spec},
                                                         {"entity", entity_spec},
                                                         {"table", table_spec},
                                                         {"route", route_spec},
                                                         {"test", test_spec}}};

// What the design knows and this version refuses as "not supported yet".
inline constexpr std::array<std::string_view, 12> kKindsNotYet{
    "schedule", "flow",    "template", "defaults", "identity", "policy",
    "api",      "silence", "calendar", "promise",  "partner",  "alert"};
inline constexpr std::array<std::string_view, 7> kTypesNotYet{"mqtt", "postgresql", "files", "file",
                                                              "sftp", "smtp",       "amqp"};

}  // namespace millrace::config
