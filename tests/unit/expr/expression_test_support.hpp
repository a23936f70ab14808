// Short ways to evaluate in tests, and a host with a few fixed answers.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "millrace/expression.hpp"

namespace millrace {

inline Result<Json> evaluate_in(std::string_view text, std::string_view input,
                                const ExpressionContext& context) {
  const auto expression = Expression::compile(text);
  if (!expression) return fail(Errc::expression_compile, expression.error().message);
  const auto value = parse_json(input);
  if (!value) return fail(Errc::malformed, std::string(input));
  return expression->evaluate(*value, context);
}

/// The only output as JSON text, or the error's message after `!`.
inline std::string evaluated(std::string_view text, std::string_view input = "null") {
  const auto result = evaluate_in(text, input, {});
  return result ? write_json(*result) : "!" + result.error().message;
}

inline Error failure(std::string_view text, std::string_view input = "null") {
  const auto result = evaluate_in(text, input, {});
  if (result) return {Errc::internal, "unexpected result " + write_json(*result)};
  return result.error();
}

inline ExpressionProblem problem(std::string_view text) {
  const auto expression = Expression::compile(text);
  EXPECT_FALSE(expression) << text << " should not compile";
  return expression ? ExpressionProblem{} : expression.error();
}

class TestHost final : public ExpressionHost {
 public:
  Result<Json> lookup(std::string_view table, const Json& key) const override {
    if (table == "error") return fail(Errc::expression_failed, "no row");
    if (key.is_string() && key.get_string() == "Units") return Json("C62");
    if (key.is_string() && key.get_string() == "kg") return Json("KGM");
    return fail(Errc::missing_reference, "no such row");
  }
  Result<Json> xref(std::string_view entity, std::string_view system,
                    std::string_view record) const override {
    if (record == "unread") return fail(Errc::needs_lookup, std::string(entity) + " unread");
    return Json(std::string(entity) + ":" + std::string(system) + ":" + std::string(record));
  }
  Result<Json> company(const Json& id) const override {
    if (id.is_null()) return Json();
    if (id.is_int64() && id.get_int64() == 1) return Json("lyon");
    return fail(Errc::missing_reference, "no such company");
  }
};

}  // namespace millrace
