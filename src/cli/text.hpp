// Text for terminals: what comes from outside is made harmless, times are told as a person reads
// them.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/json.hpp"

namespace millrace::cli {

/// Control characters (also C1) as \xNN: a record's name cannot move the cursor or hide a line.
std::string printable(std::string_view text);
/// A member as one printable line: texts as they are, numbers and booleans as JSON, else "".
std::string text_of(const Json& object, std::string_view key);

/// "12 s", "3 min", "5 h", "2 days".
std::string duration_text(seconds duration);
/// "12 min ago (2026-11-21 22:05:48Z)"; "" for null or what is no time.
std::string since_text(const Json& object, std::string_view key, WallTime now);
/// "3.2 GB".
std::string bytes_text(double bytes);

/// Columns padded to their widest cell; the last is left open.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  void print(std::ostream& out, std::size_t indent) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// JSON on several lines, two spaces a level, scalars printable.
void print_json(std::ostream& out, const Json& value, std::size_t indent);

}  // namespace millrace::cli
