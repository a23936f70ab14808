// What a configuration has beyond plain values: expressions, templates, and strings that remember
// where they stand. Includes the SpecValue that reads each of them.
#pragma once

#include <string>
#include <vector>

#include "config/model.hpp"
#include "config/spec_reader.hpp"
#include "millrace/spec.hpp"

namespace millrace::config {

/// A string and its place, for checks that compare objects.
struct Located {
  std::string value;
  Place place;
};

/// Splits "a${ jq }b" where a closing brace inside strings and objects of the jq does not count.
/// Errc::malformed when a `${` is not closed.
struct TemplatePieces {
  std::vector<std::string> literals;
  std::vector<std::string> expressions;
  std::vector<std::size_t> offsets;  ///< byte offset of each expression in the text
};
Result<TemplatePieces> split_template(std::string_view text);

bool read_program(const Node& node, SpecReader& reader, Program& out);
bool read_template(const Node& node, SpecReader& reader, Template& out);

}  // namespace millrace::config

namespace millrace {

template <>
struct SpecValue<config::Program> {
  static SpecCodec<config::Program> codec();
};
template <>
struct SpecValue<config::Template> {
  static SpecCodec<config::Template> codec();
};
template <>
struct SpecValue<config::Located> {
  static SpecCodec<config::Located> codec();
};
template <>
struct SpecValue<FieldPlan> {
  static SpecCodec<FieldPlan> codec();
};

}  // namespace millrace
