#include "expr/catalogue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "expr/filters.hpp"
#include "expr/functions.hpp"

namespace millrace::expr {
namespace {

struct Refused {
  std::string_view name;
  std::string_view advice;
};
// What jq 1.7 defines and the subset leaves out.
constexpr std::array<Refused, 46> kRefused = {{
    {"now", "use $now, which stays the same when an event is handled again"},
    {"env", "use ${env.X}, which is filled in when loading"},
    {"input", "an expression sees one value; batches are in $batch"},
    {"inputs", "an expression sees one value; batches are in $batch"},
    {"debug", "use `millrace eval` to try an expression"},
    {"stderr", "use `millrace eval` to try an expression"},
    {"input_filename", ""},
    {"input_line_number", ""},
    {"halt", "use error(\"…\")"},
    {"halt_error", "use error(\"…\")"},
    {"localtime", "use date(format; zone)"},
    {"strflocaltime", "use date(format; zone)"},
    {"nan", "a number is always finite here"},
    {"infinite", "a number is always finite here"},
    {"isnan", "a number is always finite here"},
    {"isinfinite", "a number is always finite here"},
    {"isnormal", "a number is always finite here"},
    {"isfinite", "a number is always finite here"},
    {"normals", "a number is always finite here"},
    {"finites", "a number is always finite here"},
    {"combinations", ""},
    {"tostream", ""},
    {"fromstream", ""},
    {"truncate_stream", ""},
    {"leaf_paths", "use paths(scalars)"},
    {"recurse_down", "use recurse"},
    {"bsearch", "use index or IN"},
    {"JOIN", "use INDEX and a lookup by key"},
    {"GROUP_BY", "use group_by"},
    {"get_search_list", ""},
    {"modulemeta", ""},
    {"builtins", ""},
    {"significand", ""},
    {"logb", ""},
    {"gamma", ""},
    {"lgamma", ""},
    {"tgamma", ""},
    {"frexp", ""},
    {"ldexp", ""},
    {"scalb", ""},
    {"nearbyint", "use round"},
    {"rint", "use round"},
    {"exp2", "use pow(2; .)"},
    {"exp10", "use pow(10; .)"},
    {"sin", ""},
    {"cos", ""},
}};

std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t change = left[i - 1] == right[j - 1] ? 0 : 1;
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + change});
      diagonal = above;
    }
  }
  return row[right.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  if (name.size() > 64) return best;
  for (const std::string& candidate : candidates) {
    const std::size_t apart = distance(name, candidate);
    if (apart >= best_distance) continue;
    best_distance = apart;
    best = candidate;
  }
  return best;
}

Unknown explain_unknown(const FunctionName& wanted, std::vector<FunctionName> own) {
  for (const Refused& refused : kRefused) {
    if (refused.name != wanted.name) continue;
    return {fmt::format("`{}` is not supported{}{}", wanted.name,
                        refused.advice.empty() ? "" : "; ", refused.advice),
            true};
  }
  for (const FilterEntry& known : filter_functions()) {
    own.push_back({std::string(known.name), known.arity});
  }
  for (const FunctionEntry& known : value_functions()) {
    own.push_back({std::string(known.name), known.arity});
  }
  for (const auto& known : regex_functions()) own.push_back(known);
  std::vector<std::string> names;
  std::string arities;
  for (const FunctionName& known : own) {
    names.push_back(fmt::format("{}/{}", known.name, known.arity));
    if (known.name == wanted.name) arities += " " + names.back();
  }
  const std::string text = fmt::format("{}/{}", wanted.name, wanted.arity);
  if (!arities.empty()) return {fmt::format("{} is not defined; there is{}", text, arities)};
  const std::string near = nearest_name(text, names);
  if (near.empty()) return {text + " is not defined"};
  return {fmt::format("{} is not defined; did you mean {}?", text, near)};
}

}  // namespace millrace::expr
