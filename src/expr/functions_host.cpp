#include <fmt/format.h>

#include "expr/functions.hpp"

namespace millrace::expr {
namespace {

const ExpressionHost* host_of(Evaluation& state, std::string_view function) {
  const ExpressionHost* host = state.context().host;
  if (host == nullptr) {
    state.fail(
        fmt::format("{} cannot be used here: no tables and identities are at hand", function));
  }
  return host;
}

bool give(Evaluation& state, Result<Json> result, Json& out) {
  if (!result) return state.fail(std::move(result).error());
  return state.copy(*result, out);
}

bool lookup(Evaluation& state, const Json&, const Json* const* arguments, Json& out) {
  const ExpressionHost* host = host_of(state, "lookup");
  if (host == nullptr) return false;
  if (!arguments[0]->is_string()) {
    return state.fail(
        fmt::format("lookup needs the name of a table, not {}", describe(*arguments[0])));
  }
  return give(state, host->lookup(view(*arguments[0]), *arguments[1]), out);
}

bool xref(Evaluation& state, const Json&, const Json* const* arguments, Json& out) {
  const ExpressionHost* host = host_of(state, "xref");
  if (host == nullptr) return false;
  for (std::size_t i = 0; i < 3; ++i) {
    if (arguments[i]->is_string()) continue;
    static constexpr std::string_view kNames[] = {"entity", "system", "record"};
    return state.fail(
        fmt::format("xref needs the {} as text, not {}", kNames[i], describe(*arguments[i])));
  }
  return give(state, host->xref(view(*arguments[0]), view(*arguments[1]), view(*arguments[2])),
              out);
}

bool company(Evaluation& state, const Json&, const Json* const* arguments, Json& out) {
  const ExpressionHost* host = host_of(state, "company");
  if (host == nullptr) return false;
  return give(state, host->company(*arguments[0]), out);
}

}  // namespace

std::vector<FunctionEntry> host_functions() {
  return {{"lookup", 2, lookup, true}, {"xref", 3, xref, true}, {"company", 1, company, true}};
}

}  // namespace millrace::expr
