// Strict YAML: libyaml reads, this layer refuses what silently means something else. Promise: any
// input ends with documents or problems, in bounded time and memory, never with a crash.
//
// Refused with their place: duplicate keys, tabs, tags, anchors, aliases, merge keys, keys that are
// not scalars, nesting beyond kYamlDepthMax, more than kYamlNodesMax values, more than
// kYamlBytesMax bytes, invalid UTF-8, control characters. Scalars follow the YAML 1.2 core schema:
// `yes`, `no`, `on` and `off` are strings.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.hpp"
#include "config/node.hpp"

namespace millrace::config {

inline constexpr std::size_t kYamlBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kYamlNodesMax = 100'000;
inline constexpr std::size_t kYamlDepthMax = 32;

/// The documents of a text; empty documents are left out. Problems name `file`; when there is an
/// error among them the documents may be incomplete.
std::vector<Node> parse_yaml(std::string_view text, const std::string& file,
                             std::vector<Problem>& problems);

/// The kind of a plain scalar by the YAML 1.2 core schema.
Node::Kind resolve_plain(std::string_view text);

/// Where the first byte lies that is not UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text);

}  // namespace millrace::config
