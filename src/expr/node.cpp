#include "expr/node.hpp"

#include <fmt/format.h>

namespace millrace::expr {

const Json* Node::one(Frame& frame, const Json& input, Json& scratch) const {
  bool found = false;
  each(frame, input, [&](const Json& value, Json* owned) {
    found = frame.state.take(value, owned, scratch);
    return false;
  });
  return found && !frame.state.failed() ? &scratch : nullptr;
}

bool Node::each(Frame& frame, const Json& input, Sink sink) const {
  Json scratch;
  const Json* value = one(frame, input, scratch);
  return value != nullptr && sink(*value, value == &scratch ? &scratch : nullptr);
}

bool Node::each_path(Frame& frame, const Json& input, const PathStep*, PathSink) const {
  return for_outputs(*this, frame, input, [&](const Json& value, Json*) {
    return frame.state.fail(fmt::format("Invalid path expression with result {}", shown(value)));
  });
}

bool Node::apply(Frame& frame, Json& value) const {
  Json scratch;
  const Json* result = output_of(*this, frame, value, scratch);
  if (result == nullptr) return false;
  if (result == &value) return true;
  Json next;
  if (!frame.state.take(*result, result == &scratch ? &scratch : nullptr, next)) return false;
  value = std::move(next);
  return true;
}

}  // namespace millrace::expr
