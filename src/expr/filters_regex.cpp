#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "expr/filters.hpp"
#include "expr/nodes.hpp"
#include "expr/regex.hpp"
#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

enum class Use { test, match, capture, scan, split, splits, sub };

struct RegexFunction {
  std::string_view name;
  std::size_t arity;
  Use use;
  bool global;
};
constexpr std::array<RegexFunction, 15> kFunctions = {{{"test", 1, Use::test, false},
                                                       {"test", 2, Use::test, false},
                                                       {"match", 1, Use::match, false},
                                                       {"match", 2, Use::match, false},
                                                       {"capture", 1, Use::capture, false},
                                                       {"capture", 2, Use::capture, false},
                                                       {"scan", 1, Use::scan, true},
                                                       {"scan", 2, Use::scan, true},
                                                       {"split", 2, Use::split, true},
                                                       {"splits", 1, Use::splits, true},
                                                       {"splits", 2, Use::splits, true},
                                                       {"sub", 2, Use::sub, false},
                                                       {"sub", 3, Use::sub, false},
                                                       {"gsub", 2, Use::sub, true},
                                                       {"gsub", 3, Use::sub, true}}};

const RegexFunction* find_function(std::string_view name, std::size_t arity) {
  for (const RegexFunction& function : kFunctions) {
    if (function.name == name && function.arity == arity) return &function;
  }
  return nullptr;
}

std::string_view group_text(std::string_view text, const Match::Group& group) {
  return group.start ? text.substr(*group.start, group.size) : std::string_view();
}

Json group_value(std::string_view text, const Match::Group& group) {
  return group.start ? Json(group_text(text, group)) : Json(nullptr);
}

// Regex and flags as jq accepts them: two strings, or the regex as [regex, flags].
std::string read_pattern(const Json& regex, const Json& flags, bool global, Pattern& pattern) {
  const Json* source = &regex;
  const Json* modifiers = &flags;
  if (const auto* pair = regex.if_array(); pair != nullptr && flags.is_null() && !pair->empty()) {
    source = &pair->front();
    if (pair->size() > 1) modifiers = &(*pair)[1];
  }
  if (!source->is_string()) {
    return fmt::format("{} cannot be matched, as it is not a string", describe(*source));
  }
  if (!modifiers->is_null() && !modifiers->is_string()) {
    return fmt::format("{} is not a string", describe(*modifiers));
  }
  return pattern.compile(view(*source), modifiers->is_null() ? "" : view(*modifiers), global);
}

class Regex final : public Node {
 public:
  Regex(const RegexFunction& function, NodePtr regex, NodePtr flags, NodePtr replacement)
      : Node(function.use == Use::test && regex->is_single() && flags->is_single()),
        function_(function),
        regex_(std::move(regex)),
        flags_(std::move(flags)),
        replacement_(std::move(replacement)) {}

  /// Compiles a pattern that does not depend on the input. Returns what is wrong with it.
  std::string prepare() {
    if (regex_->constant() == nullptr || flags_->constant() == nullptr) return {};
    is_constant_ = true;
    return read_pattern(*regex_->constant(), *flags_->constant(), function_.global, pattern_);
  }

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    bool found = false;
    each_pattern(frame, input, [&](const Pattern& pattern) {
      scratch = pattern.matches(view(input));
      found = true;
      return true;
    });
    return found ? &scratch : nullptr;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return each_pattern(frame, input,
                        [&](const Pattern& pattern) { return run(frame, input, pattern, sink); });
  }

 private:
  template <typename F>
  bool each_pattern(Frame& frame, const Json& input, const F& use) const {
    if (!input.is_string()) {
      return frame.state.fail(
          fmt::format("{} cannot be matched, as it is not a string", describe(input)));
    }
    if (!frame.state.steps(view(input).size() / 16 + 4)) return false;
    if (is_constant_) return use(pattern_);
    return for_outputs(*regex_, frame, input, [&](const Json& regex, Json*) {
      return for_outputs(*flags_, frame, input, [&](const Json& flags, Json*) {
        constexpr std::size_t kCompileSteps = 500;  // about what it costs
        Pattern pattern;
        if (!frame.state.steps(kCompileSteps)) return false;
        const std::string problem = read_pattern(regex, flags, function_.global, pattern);
        if (!problem.empty()) return frame.state.fail(problem);
        return use(pattern);
      });
    });
  }

  bool run(Frame& frame, const Json& input, const Pattern& pattern, Sink sink) const {
    const std::string_view text = view(input);
    if (function_.use == Use::test) {
      Json result(pattern.matches(text));
      return sink.give(result);
    }
    std::vector<Match> matches;
    if (!pattern.find_all(frame.state, text, matches)) return false;
    switch (function_.use) {
      case Use::match:
        return give_matches(frame.state, text, pattern, matches, sink);
      case Use::capture:
        return std::ranges::all_of(matches, [&](const Match& match) {
          Json result;
          return captures(frame.state, text, pattern, match, result) && sink.give(result);
        });
      case Use::scan:
        return scan(frame.state, text, matches, sink);
      case Use::sub:
        return substitute(frame, input, pattern, matches, sink);
      default:
        return split(frame.state, text, matches, sink);
    }
  }

  static bool give_matches(Evaluation& state, std::string_view text, const Pattern& pattern,
                           const std::vector<Match>& matches, Sink sink) {
    std::size_t characters = 0;
    std::size_t counted = 0;
    for (const Match& match : matches) {
      const std::size_t start = *match.groups[0].start;
      characters += count_characters(text.substr(counted, start - counted));
      counted = start;
      if (!state.charge((kSlotBytes + match.groups[0].size) * 8 * match.groups.size()))
        return false;
      const auto describe_group = [&](const Match::Group& group) {
        JsonObject object;
        std::int64_t offset = -1;
        if (group.start) {
          // A group may begin before the end of what was counted, never before the match.
          const std::string_view inside = text.substr(start, *group.start - start);
          offset = static_cast<std::int64_t>(characters + count_characters(inside));
        }
        object.emplace("offset", offset);
        object.emplace("length",
                       static_cast<std::int64_t>(count_characters(group_text(text, group))));
        object.emplace("string", group_value(text, group));
        return object;
      };
      JsonArray groups;
      for (std::size_t i = 1; i < match.groups.size(); ++i) {
        if (!state.step()) return false;
        JsonObject object = describe_group(match.groups[i]);
        object.emplace("name", pattern.name(i).empty() ? Json(nullptr) : Json(pattern.name(i)));
        groups.push_back(std::move(object));
      }
      JsonObject object = describe_group(match.groups[0]);
      object.emplace("captures", std::move(groups));
      Json result(std::move(object));
      if (!sink.give(result)) return false;
    }
    return true;
  }

  static bool captures(Evaluation& state, std::string_view text, const Pattern& pattern,
                       const Match& match, Json& out) {
    JsonObject object;
    for (std::size_t i = 1; i < match.groups.size(); ++i) {
      const std::string& name = pattern.name(i);
      if (name.empty()) continue;
      if (!state.charge(2 * kSlotBytes + name.size() + match.groups[i].size)) return false;
      object.insert_or_assign(name, group_value(text, match.groups[i]));
    }
    out = std::move(object);
    return state.step();
  }

  static bool scan(Evaluation& state, std::string_view text, const std::vector<Match>& matches,
                   Sink sink) {
    for (const Match& match : matches) {
      if (!state.charge(kSlotBytes + match.groups[0].size) || !state.step()) return false;
      Json result = group_value(text, match.groups[0]);
      if (match.groups.size() > 1) {
        JsonArray groups;
        for (std::size_t i = 1; i < match.groups.size(); ++i) {
          if (!state.charge(kSlotBytes + match.groups[i].size)) return false;
          groups.push_back(group_value(text, match.groups[i]));
        }
        result = std::move(groups);
      }
      if (!sink.give(result)) return false;
    }
    return true;
  }

  bool split(Evaluation& state, std::string_view text, const std::vector<Match>& matches,
             Sink sink) const {
    JsonArray pieces;
    std::size_t from = 0;
    for (std::size_t i = 0; i <= matches.size(); ++i) {
      const bool last = i == matches.size();
      const std::size_t to = last ? text.size() : *matches[i].groups[0].start;
      if (!state.step() || !state.charge(kSlotBytes + to - from)) return false;
      Json piece(text.substr(from, to - from));
      if (!last) from = to + matches[i].groups[0].size;
      if (function_.use == Use::split) {
        pieces.push_back(std::move(piece));
      } else if (!sink.give(piece)) {
        return false;
      }
    }
    if (function_.use == Use::splits) return true;
    Json result(std::move(pieces));
    return sink.give(result);
  }

  // As in jq 1.7: the n-th output is made of the n-th output of the replacement at each match.
  bool substitute(Frame& frame, const Json& input, const Pattern& pattern,
                  const std::vector<Match>& matches, Sink sink) const {
    Evaluation& state = frame.state;
    const std::string_view text = view(input);
    std::vector<std::string> results;
    std::size_t from = 0;
    for (const Match& match : matches) {
      const std::size_t start = *match.groups[0].start;
      const std::string_view gap = text.substr(from, start - from);
      from = start + match.groups[0].size;
      Json groups;
      if (!captures(state, text, pattern, match, groups)) return false;
      std::size_t index = 0;
      const bool done = for_outputs(*replacement_, frame, groups, [&](const Json& value, Json*) {
        if (!value.is_string()) {
          return state.fail(fmt::format("string ({}) and {} cannot be added",
                                        shown(Json(gap.substr(0, 64))), describe(value)));
        }
        if (index == results.size()) results.emplace_back();
        if (!state.charge(gap.size() + view(value).size())) return false;
        results[index] += gap;
        results[index++] += view(value);
        return true;
      });
      if (!done) return false;
    }
    if (results.empty()) return sink(input, nullptr);
    for (std::string& result : results) {
      result += text.substr(from);
      if (!state.charge(result.size())) return false;
      Json value(result);
      if (!sink.give(value)) return false;
    }
    return true;
  }

  const RegexFunction& function_;
  NodePtr regex_;
  NodePtr flags_;
  NodePtr replacement_;
  Pattern pattern_;
  bool is_constant_ = false;
};

}  // namespace

bool is_regex_function(std::string_view name, std::size_t arity) {
  return find_function(name, arity) != nullptr;
}

std::vector<FunctionName> regex_functions() {
  std::vector<FunctionName> names;
  for (const RegexFunction& function : kFunctions) {
    names.push_back({std::string(function.name), function.arity});
  }
  return names;
}

NodePtr make_regex(std::string_view name, std::vector<NodePtr>& arguments, std::string& problem) {
  const RegexFunction* function = find_function(name, arguments.size());
  const std::size_t flags_at = function->use == Use::sub ? 2 : 1;
  NodePtr regex = std::move(arguments[0]);
  NodePtr replacement = function->use == Use::sub ? std::move(arguments[1]) : nullptr;
  NodePtr flags =
      arguments.size() > flags_at ? std::move(arguments[flags_at]) : make_constant(nullptr);
  auto node = std::make_unique<Regex>(*function, std::move(regex), std::move(flags),
                                      std::move(replacement));
  problem = node->prepare();
  return node;
}

}  // namespace millrace::expr
