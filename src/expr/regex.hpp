// Regular expressions: RE2, which is linear in time, behind jq's flags and match objects.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expr/evaluation.hpp"

namespace re2 {
class RE2;
}

namespace millrace::expr {

/// Byte ranges of one match; the first is the whole. A group that took no part has no start.
struct Match {
  struct Group {
    std::optional<std::size_t> start;
    std::size_t size = 0;
  };
  std::vector<Group> groups;
};

class Pattern {
 public:
  Pattern() = default;
  /// Fills the pattern, or says what is wrong with it.
  std::string compile(std::string_view regex, std::string_view flags, bool global);

  bool matches(std::string_view text) const;
  /// All matches with the flag `g`, the first one otherwise.
  bool find_all(Evaluation& state, std::string_view text, std::vector<Match>& matches) const;
  /// The group's name, or empty.
  const std::string& name(std::size_t group) const { return names_[group]; }

 private:
  std::shared_ptr<const re2::RE2> regex_;
  bool global_ = false;
  bool skip_empty_ = false;
  std::vector<std::string> names_;
};

}  // namespace millrace::expr
