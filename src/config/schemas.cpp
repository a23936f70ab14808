// The schema files that entities name.
#include <fmt/core.h>

#include "config/loading.hpp"
#include "config/schema.hpp"

namespace millrace::config {
namespace {

constexpr std::size_t kSchemaBytesMax = std::size_t{1} << 20;

}  // namespace

void read_schemas(Loading& loading) {
  for (auto& [name, entity] : loading.config->entities) {
    const Document* document = loading.find("entity", name);
    if (entity.schema_path.empty() || document == nullptr) continue;
    const Place place = place_of(*document, "schema");
    const std::string path = title(*document) + " / schema";
    if (!stays_inside(entity.schema_path)) {
      loading.error(place, path, "write a path inside the configuration directory");
      continue;
    }
    const std::string file = loading.options.directory + "/" + entity.schema_path;
    auto text = read_file(file, kSchemaBytesMax);
    if (!text) {
      loading.error(place, path, fmt::format("{}: {}", entity.schema_path, text.error().message));
      continue;
    }
    auto schema = parse_json(*text);
    if (!schema) {
      loading.error({entity.schema_path, 1, 1}, path, "not JSON: " + schema.error().message);
      continue;
    }
    if (const auto compiled = SchemaValidator::compile(*schema); !compiled) {
      loading.error({entity.schema_path, 1, 1}, path, compiled.error().message);
    }
    entity.schema = std::move(*schema);
    loading.sources[entity.schema_path] = std::move(*text);
  }
}

}  // namespace millrace::config
