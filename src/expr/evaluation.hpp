// One running evaluation: its budget, its failure, and the frames of its functions.
// Everything here belongs to one thread and lives as long as one call of Expression::for_each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/expression.hpp"

namespace millrace::expr {

class Node;

/// Levels a value built by an expression may have. parse_json admits 128; some room on top.
constexpr std::size_t kValueDepthMax = 256;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr std::size_t kStackBytesMax = 3 * 1024 * 1024;  // frames are several times larger
#else
constexpr std::size_t kStackBytesMax = 768 * 1024;
#endif
#else
constexpr std::size_t kStackBytesMax = 768 * 1024;
#endif

/// Budget and failure of one evaluation. Functions return false once `failed()` or told to stop.
class Evaluation {
 public:
  explicit Evaluation(const ExpressionContext& context)
      : context_(context),
        steps_left_(context.budget.steps_max),
        bytes_left_(context.budget.output_bytes_max),
        stack_floor_(static_cast<const char*>(__builtin_frame_address(0)) - kStackBytesMax) {}
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  const ExpressionContext& context() const { return context_; }

  /// One unit of work, and the guard against using up the thread's stack.
  bool step() {
    if (steps_left_ == 0 || static_cast<const char*>(__builtin_frame_address(0)) < stack_floor_)
        [[unlikely]] {
      return out_of_budget(steps_left_ == 0);
    }
    --steps_left_;
    return true;
  }
  /// Work in proportion to data that is only looked at.
  bool steps(std::size_t count) {
    if (steps_left_ < count) [[unlikely]] {
      return out_of_budget(true);
    }
    steps_left_ -= count;
    return true;
  }
  /// Bytes of a string or container that is built.
  bool charge(std::size_t bytes) {
    if (bytes_left_ < bytes) [[unlikely]] {
      return out_of_bytes();
    }
    bytes_left_ -= bytes;
    return true;
  }
  bool enter();
  void leave() { --depth_; }

  /// A deep copy that is charged to the budget and bounded in depth.
  bool copy(const Json& value, Json& out);
  /// Moves from `owned` when the value may be taken, copies otherwise.
  bool take(const Json& value, Json* owned, Json& out) {
    if (owned != nullptr) {
      out = std::move(*owned);
      return true;
    }
    return copy(value, out);
  }
  /// jq's order, with the comparison of containers charged as steps.
  bool compare(const Json& left, const Json& right, int& order);

  bool failed() const { return failed_; }
  /// An error of jq, that `?` and `try` catch. Returns false, for `return state.fail(...)`.
  bool fail(std::string message);
  bool fail_with(Json value);
  /// An error of the host or the budget, that nothing catches.
  bool fail(Error error);
  /// Whether the failure is jq's own: one that `?` and `try` may catch.
  bool catchable() const { return failed_ && code_ == Errc::expression_failed; }
  /// Forgets a catchable failure and hands out its value.
  Json catch_failure();
  Error error() const;

 private:
  bool out_of_budget(bool steps);
  bool out_of_bytes();
  bool weigh(const Json& value, std::size_t depth);

  const ExpressionContext& context_;
  std::uint64_t steps_left_;
  std::size_t bytes_left_;
  const char* stack_floor_;
  std::size_t depth_ = 0;
  bool failed_ = false;
  Errc code_ = Errc::expression_failed;
  Json value_;           ///< of a jq error
  std::string message_;  ///< of any other
};

/// Approximate size of one slot in a container, for the output budget.
constexpr std::size_t kSlotBytes = 24;

struct Frame;
/// A filter given as an argument, with the frame it was written in.
struct Closure {
  const Node* body = nullptr;
  Frame* frame = nullptr;
};

/// Variables and filter arguments of one activation; `outer` is the lexically enclosing one.
struct Frame {
  Evaluation& state;
  Frame* outer = nullptr;
  const Json** variables = nullptr;
  const Closure* closures = nullptr;
};

const Json& null_value();
/// jq's name of a value's type.
std::string_view type_name(const Json& value);
bool is_true(const Json& value);
inline bool is_number(const Json& value) {
  return value.is_int64() || value.is_double() || value.is_uint64();
}
double to_double(const Json& number);
/// An integral number as an integer, saturated; fractions are cut off.
std::int64_t to_integer(const Json& number);
/// Stores a double as it is; false and a failure when it is not finite.
bool set_number(Evaluation& state, double number, Json& out);
/// The value as error messages show it: at most 11 bytes of its JSON.
std::string shown(const Json& value);
std::string describe(const Json& value);  ///< `number (1)`

inline std::string_view view(const Json& string) {
  const auto& text = string.get_string();
  return {text.data(), text.size()};
}

}  // namespace millrace::expr
