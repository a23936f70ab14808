#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "expr/functions.hpp"

namespace millrace::expr {
namespace {

bool refuse(Evaluation& state, const Json& value) {
  return state.fail(fmt::format("{} number required", describe(value)));
}

// A whole double becomes an integer where it is one exactly.
void set_whole(double number, Json& out) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::abs(number) < kExact) {
    out = static_cast<std::int64_t>(number);
  } else {
    out = number;
  }
}

template <double (*Round)(double)>
bool to_whole(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!is_number(input)) return refuse(state, input);
  if (input.is_double()) {
    set_whole(Round(input.get_double()), out);
  } else {
    out = input;
  }
  return true;
}

template <double (*Function)(double)>
bool apply_double(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!is_number(input)) return refuse(state, input);
  const double result = Function(to_double(input));
  if (!input.is_double() && result == std::trunc(result)) {
    set_whole(result, out);
    return true;
  }
  return set_number(state, result, out);
}

bool absolute(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!is_number(input)) return refuse(state, input);
  if (input.is_double()) {
    out = std::abs(input.get_double());
  } else if (input.is_int64() && input.get_int64() < 0) {
    const std::uint64_t size = ~static_cast<std::uint64_t>(input.get_int64()) + 1;
    if (size <= static_cast<std::uint64_t>(INT64_MAX)) {
      out = static_cast<std::int64_t>(size);
    } else {
      out = size;
    }
  } else {
    out = input;
  }
  return true;
}

bool power(Evaluation& state, const Json&, const Json* const* arguments, Json& out) {
  if (!is_number(*arguments[0])) return refuse(state, *arguments[0]);
  if (!is_number(*arguments[1])) return refuse(state, *arguments[1]);
  const double result = std::pow(to_double(*arguments[0]), to_double(*arguments[1]));
  const bool integers = !arguments[0]->is_double() && !arguments[1]->is_double();
  if (integers && result == std::trunc(result) && std::isfinite(result)) {
    set_whole(result, out);
    return true;
  }
  return set_number(state, result, out);
}

/// Rounds the decimal text of a number half away from zero: 2.675 to two digits is 2.68, although
/// the nearest double lies below it.
std::string round_decimal(std::string digits, std::size_t places) {
  const auto point = digits.find('.');
  if (point == digits.npos || digits.size() - point - 1 <= places) return digits;
  const std::size_t cut = point + 1 + places;
  const bool up = digits[cut] >= '5';
  digits.resize(places == 0 ? point : cut);
  if (!up) return digits;
  for (std::size_t i = digits.size(); i-- > 0;) {
    if (digits[i] < '0' || digits[i] > '9') {
      if (digits[i] == '.') continue;
      digits.insert(i + 1, "1");
      return digits;
    }
    if (digits[i] != '9') {
      ++digits[i];
      return digits;
    }
    digits[i] = '0';
  }
  return "1" + digits;
}

bool decimal(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  constexpr std::int64_t kPlacesMax = 15;
  if (!is_number(input)) return refuse(state, input);
  const Json& places = *arguments[0];
  if (!is_number(places) || to_integer(places) < 0 || to_integer(places) > kPlacesMax) {
    return state.fail(fmt::format("decimal needs a number of digits from 0 to {}, not {}",
                                  kPlacesMax, describe(places)));
  }
  if (!input.is_double()) {
    out = input;
    return true;
  }
  char buffer[400];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, input.get_double(), std::chars_format::fixed);
  const std::string rounded =
      round_decimal(std::string(buffer, end.ptr), static_cast<std::size_t>(to_integer(places)));
  double number = 0;
  std::from_chars(rounded.data(), rounded.data() + rounded.size(), number);
  if (to_integer(places) == 0) {
    set_whole(number, out);
    return true;
  }
  return set_number(state, number == 0 ? 0.0 : number, out);
}

}  // namespace

std::vector<FunctionEntry> number_functions() {
  return {{"floor", 0, to_whole<std::floor>},
          {"ceil", 0, to_whole<std::ceil>},
          {"round", 0, to_whole<std::round>},
          {"trunc", 0, to_whole<std::trunc>},
          {"sqrt", 0, apply_double<std::sqrt>},
          {"exp", 0, apply_double<std::exp>},
          {"log", 0, apply_double<std::log>},
          {"log2", 0, apply_double<std::log2>},
          {"log10", 0, apply_double<std::log10>},
          {"fabs", 0, absolute},
          {"abs", 0, absolute},
          {"pow", 2, power},
          {"decimal", 1, decimal}};
}

}  // namespace millrace::expr
