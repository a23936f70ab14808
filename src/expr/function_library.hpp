// The functions that all expressions of a configuration share: files of non-recursive `def`s. Each
// expression gets those it uses and no others, so that its hash, its limits and its errors do not
// depend on functions that have nothing to do with it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "expr/syntax.hpp"
#include "millrace/expression.hpp"

namespace millrace::expr {

/// Where something of a function stands; line and column count from 1.
struct FunctionPlace {
  std::string file;
  std::size_t line = 1;
  std::size_t column = 1;
};

/// The definitions that one expression needs, each beginning a line.
struct UsedFunctions {
  struct Part {
    std::size_t line = 1;  ///< in `text`
    FunctionPlace place;   ///< of the same character
  };
  std::string text;  ///< for ExpressionScope::functions; empty: none is used
  std::vector<Part> parts;

  /// Where a line and column of `text` stand in the files.
  FunctionPlace place_of(std::size_t line, std::size_t column) const;
};

class FunctionLibrary {
 public:
  /// A `lookup("table"; …)` inside a function.
  struct TableUse {
    std::string table;
    FunctionPlace place;
  };

  /// Adds a file after those it may use. The problem's line and column are those of `text`.
  std::expected<void, ExpressionProblem> add(const std::string& file, std::string_view text);
  /// What an expression uses, directly or through other functions; nothing if it does not parse.
  UsedFunctions used_by(std::string_view text) const {
    return used_by(std::vector<std::string_view>{text});
  }
  /// What several expressions use, each function once.
  UsedFunctions used_by(const std::vector<std::string_view>& texts) const;
  const std::vector<TableUse>& tables() const { return tables_; }

 private:
  struct Definition {
    std::string name;
    std::size_t arity = 0;
    std::string text;
    FunctionPlace place;
    std::vector<std::size_t> uses;  ///< indices of earlier definitions
  };

  std::vector<std::size_t> uses_of(const Syntax& syntax) const;
  UsedFunctions collect(std::vector<std::size_t> waiting) const;

  std::vector<Definition> definitions_;
  std::vector<TableUse> tables_;
};

}  // namespace millrace::expr
