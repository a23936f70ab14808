// The shapes of what expressions are given: canonical data by its schema, events, source records by
// their field plan.
#pragma once

#include <string>
#include <string_view>

#include "expr/shape.hpp"
#include "millrace/json.hpp"
#include "millrace/record_reader.hpp"

namespace millrace::config {

/// What a value that fits the schema can be. An object is closed where the schema itself says
/// `additionalProperties: false`; where it lists `properties` and says nothing of others they are
/// declared. Keywords that only restrict further are left out, which never closes anything.
expr::ShapePtr shape_of_schema(const Json& schema, const std::string& name);
/// A source record as its reader gives it: the fields of the plan and `id`, and no other.
expr::ShapePtr shape_of_record(const FieldPlan& plan, const std::string& name);
inline constexpr std::string_view kEventName = "an event";
/// An event in a route; `answered`: in `treat` and `remember`, where `.answer` is there too.
expr::ShapePtr shape_of_event(const expr::ShapePtr& data, bool answered);

}  // namespace millrace::config
