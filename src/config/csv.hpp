// Comma separated values as RFC 4180 has them: fields may stand in double quotes, with "" for one
// quote and line breaks inside; lines end in LF or CRLF. Stricter where the RFC is silent: a quote
// inside an unquoted field and text behind a closing quote are errors, because guessing would move
// values between columns.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

struct CsvRow {
  int line = 1;  ///< where it begins; from 1
  std::vector<std::string> fields;
};

struct CsvProblem {
  int line = 1;
  std::string message;
};

/// All rows of a text in UTF-8; a byte order mark and empty lines are left out.
std::expected<std::vector<CsvRow>, CsvProblem> parse_csv(std::string_view text, char delimiter);

}  // namespace millrace::config
