#include "config/reference.hpp"

#include <fmt/core.h>

#include "config/nearest.hpp"
#include "config/object_specs.hpp"

namespace millrace::config {
namespace {

std::string codes(const auto& names) {
  std::vector<std::string> texts;
  for (const std::string_view name : names) texts.push_back(fmt::format("`{}`", name));
  return list_names(texts, texts.size());
}

}  // namespace

std::string reference_markdown(const ConnectorRegistry& connectors) {
  std::string text;
  for (const ObjectKind& kind : kObjectKinds) {
    const AnySpec& spec = kind.spec();
    text += fmt::format("## `{}:`\n\n{}\n", kind.key, spec.reference_markdown());
    if (kind.key != "connection") continue;
    for (const auto& type : connectors.types()) {
      text +=
          fmt::format("### `type: {}`\n\n{}\n", type->name(), type->spec().reference_markdown());
    }
  }
  text += fmt::format("## Not supported yet\n\nDocuments {}; connections of type {}.\n",
                      codes(kKindsNotYet), codes(kTypesNotYet));
  return text;
}

}  // namespace millrace::config
