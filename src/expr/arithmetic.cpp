#include "expr/arithmetic.hpp"

#include <fmt/format.h>

#include <cmath>

#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

bool refuse(Evaluation& state, const Json& left, const Json& right, std::string_view what) {
  return state.fail(fmt::format("{} and {} {}", describe(left), describe(right), what));
}

bool both_integers(const Json& left, const Json& right) {
  return !left.is_double() && !right.is_double();
}

__int128 wide(const Json& number) {
  if (number.is_int64()) return number.get_int64();
  return number.get_uint64();
}

bool set_integer(Evaluation& state, __int128 value, Json& out) {
  if (value >= INT64_MIN && value <= INT64_MAX) {
    out = static_cast<std::int64_t>(value);
    return true;
  }
  if (value > 0 && value <= static_cast<__int128>(UINT64_MAX)) {
    out = static_cast<std::uint64_t>(value);
    return true;
  }
  return state.fail(
      "integer overflow: the result does not fit 64 bits; write 1.0 * … to calculate "
      "with rounding");
}

bool merge_into(Evaluation& state, JsonObject& into, const JsonObject& from, bool recursive) {
  for (const auto& member : from) {
    if (!state.step()) return false;
    Json* existing = into.if_contains(member.key());
    if (recursive && existing != nullptr && existing->is_object() && member.value().is_object()) {
      const auto& inner = member.value().get_object();
      if (!merge_into(state, existing->get_object(), inner, true)) return false;
      continue;
    }
    Json copy;
    if (!state.copy(member.value(), copy)) return false;
    if (existing != nullptr) {
      *existing = std::move(copy);
      continue;
    }
    if (!state.charge(2 * kSlotBytes + member.key().size())) return false;
    into.emplace(member.key(), std::move(copy));
  }
  return true;
}

bool repeat(Evaluation& state, const Json& text, const Json& count, Json& out) {
  const double times = to_double(count);
  out = nullptr;
  if (times <= 0) return true;
  const std::string_view piece = view(text);
  if (piece.empty()) {
    out = piece;
    return true;
  }
  const double whole = std::max(1.0, std::trunc(times));
  if (whole * static_cast<double>(piece.size()) > 1e15) return state.charge(SIZE_MAX);
  const auto copies = static_cast<std::size_t>(whole);
  if (!state.charge(copies * piece.size())) return false;
  std::string result;
  result.reserve(copies * piece.size());
  for (std::size_t i = 0; i < copies; ++i) result += piece;
  out = result;
  return true;
}

bool subtract(Evaluation& state, const Json& left, const Json& right, Json& out) {
  if (is_number(left) && is_number(right)) {
    if (both_integers(left, right)) return set_integer(state, wide(left) - wide(right), out);
    return set_number(state, to_double(left) - to_double(right), out);
  }
  if (!left.is_array() || !right.is_array()) {
    return refuse(state, left, right, "cannot be subtracted");
  }
  JsonArray kept;
  for (const Json& item : left.get_array()) {
    bool found = false;
    for (const Json& unwanted : right.get_array()) {
      int order = 0;
      if (!state.step() || !state.compare(item, unwanted, order)) return false;
      found = order == 0;
      if (found) break;
    }
    if (found) continue;
    Json copy;
    if (!state.charge(kSlotBytes) || !state.copy(item, copy)) return false;
    kept.push_back(std::move(copy));
  }
  out = std::move(kept);
  return true;
}

bool multiply(Evaluation& state, const Json& left, const Json& right, Json& out) {
  if (is_number(left) && is_number(right)) {
    if (both_integers(left, right)) return set_integer(state, wide(left) * wide(right), out);
    return set_number(state, to_double(left) * to_double(right), out);
  }
  if (left.is_string() && is_number(right)) return repeat(state, left, right, out);
  if (is_number(left) && right.is_string()) return repeat(state, right, left, out);
  if (left.is_object() && right.is_object()) {
    Json merged;
    if (!state.copy(left, merged)) return false;
    if (!merge_into(state, merged.get_object(), right.get_object(), true)) return false;
    out = std::move(merged);
    return true;
  }
  return refuse(state, left, right, "cannot be multiplied");
}

bool divide(Evaluation& state, const Json& left, const Json& right, Json& out) {
  if (left.is_string() && right.is_string()) {
    return split_text(state, view(left), view(right), out);
  }
  if (!is_number(left) || !is_number(right)) {
    return refuse(state, left, right, "cannot be divided");
  }
  if (to_double(right) == 0) {
    return refuse(state, left, right, "cannot be divided because the divisor is zero");
  }
  if (both_integers(left, right) && wide(left) % wide(right) == 0) {
    return set_integer(state, wide(left) / wide(right), out);
  }
  return set_number(state, to_double(left) / to_double(right), out);
}

// jq cuts both operands to integers; the sign is that of the dividend.
bool modulo(Evaluation& state, const Json& left, const Json& right, Json& out) {
  if (!is_number(left) || !is_number(right)) {
    return refuse(state, left, right, "cannot be divided");
  }
  const __int128 dividend = left.is_double() ? to_integer(left) : wide(left);
  const __int128 divisor = right.is_double() ? to_integer(right) : wide(right);
  if (divisor == 0) {
    return refuse(state, left, right, "cannot be divided because the divisor is zero");
  }
  return set_integer(state, dividend % divisor, out);
}

}  // namespace

bool add_to(Evaluation& state, Json& left, const Json& right, Json* right_owned) {
  if (right.is_null()) return true;
  if (left.is_null()) return state.take(right, right_owned, left);
  if (is_number(left) && is_number(right)) {
    Json sum;
    const bool added = both_integers(left, right)
                           ? set_integer(state, wide(left) + wide(right), sum)
                           : set_number(state, to_double(left) + to_double(right), sum);
    if (added) left = std::move(sum);
    return added;
  }
  if (left.is_string() && right.is_string()) {
    if (!state.charge(right.get_string().size())) return false;
    left.get_string().append(view(right));
    return true;
  }
  if (left.is_array() && right.is_array()) {
    JsonArray& items = left.get_array();
    for (const Json& item : right.get_array()) {
      Json next;
      if (!state.charge(kSlotBytes)) return false;
      Json* owned = right_owned != nullptr ? const_cast<Json*>(&item) : nullptr;
      if (!state.take(item, owned, next)) return false;
      items.push_back(std::move(next));
    }
    return true;
  }
  if (left.is_object() && right.is_object()) {
    return merge_into(state, left.get_object(), right.get_object(), false);
  }
  return refuse(state, left, right, "cannot be added");
}

bool calculate(Evaluation& state, Operator operation, const Json& left, Json* left_owned,
               const Json& right, Json* right_owned, Json& out) {
  int order = 0;
  switch (operation) {
    case Operator::add: {
      if (left.is_int64() && right.is_int64()) {
        std::int64_t sum = 0;
        if (!__builtin_add_overflow(left.get_int64(), right.get_int64(), &sum)) {
          out = sum;
          return true;
        }
      }
      Json sum;
      if (!state.take(left, left_owned, sum) || !add_to(state, sum, right, right_owned)) {
        return false;
      }
      out = std::move(sum);
      return true;
    }
    case Operator::subtract:
      return subtract(state, left, right, out);
    case Operator::multiply:
      return multiply(state, left, right, out);
    case Operator::divide:
      return divide(state, left, right, out);
    case Operator::modulo:
      return modulo(state, left, right, out);
    default:
      break;
  }
  if (!state.compare(left, right, order)) return false;
  switch (operation) {
    case Operator::equal:
      out = order == 0;
      return true;
    case Operator::unequal:
      out = order != 0;
      return true;
    case Operator::less:
      out = order < 0;
      return true;
    case Operator::less_equal:
      out = order <= 0;
      return true;
    case Operator::greater:
      out = order > 0;
      return true;
    default:
      out = order >= 0;
      return true;
  }
}

bool negate(Evaluation& state, const Json& value, Json& out) {
  if (!is_number(value)) {
    return state.fail(fmt::format("{} cannot be negated", describe(value)));
  }
  if (value.is_double()) {
    out = -value.get_double();
    return true;
  }
  return set_integer(state, -wide(value), out);
}

bool split_text(Evaluation& state, std::string_view text, std::string_view separator, Json& out) {
  JsonArray pieces;
  const auto add = [&](std::string_view piece) {
    if (!state.step() || !state.charge(kSlotBytes + piece.size())) return false;
    pieces.emplace_back(piece);
    return true;
  };
  if (!state.steps(text.size() / 64)) return false;
  if (separator.empty()) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = utf8_length(static_cast<unsigned char>(text[at]));
      if (!add(text.substr(at, length))) return false;
      at += length;
    }
  } else if (!text.empty()) {
    std::size_t from = 0;
    for (std::size_t at = text.find(separator); at != text.npos; at = text.find(separator, from)) {
      if (!add(text.substr(from, at - from))) return false;
      from = at + separator.size();
    }
    if (!add(text.substr(from))) return false;
  }
  out = std::move(pieces);
  return true;
}

}  // namespace millrace::expr
