#include "config/csv.hpp"

#include <algorithm>
#include <cstdint>

#include "config/yaml.hpp"

namespace millrace::config {
namespace {

class CsvParser {
 public:
  CsvParser(std::string_view text, char delimiter) : text_(text), delimiter_(delimiter) {}

  std::expected<std::vector<CsvRow>, CsvProblem> run() {
    std::vector<CsvRow> rows;
    while (at_ < text_.size()) {
      CsvRow row{line_, {}};
      bool more = true;
      while (more) {
        auto field = at_quote() ? quoted() : plain();
        if (!field) return std::unexpected(std::move(field).error());
        row.fields.push_back(*std::move(field));
        more = at_ < text_.size() && text_[at_] == delimiter_;
        if (more) ++at_;
      }
      if (!end_line()) {
        return problem(line_, "there is text behind a closing quote; write \"\" for a quote");
      }
      if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  using Field = std::expected<std::string, CsvProblem>;

  static std::unexpected<CsvProblem> problem(int line, std::string message) {
    return std::unexpected(CsvProblem{line, std::move(message)});
  }
  bool at_quote() const { return at_ < text_.size() && text_[at_] == '"'; }

  Field plain() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n' &&
           text_[at_] != '\r') {
      if (text_[at_] == '"') {
        return problem(line_,
                       "a quote stands inside a field; put the whole field in quotes and "
                       "write \"\" for the one inside");
      }
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Field quoted() {
    const int begin = line_;
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c != '"') {
        field += c;
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        field += '"';
        ++at_;
      } else {
        ++at_;
        return field;
      }
    }
    return problem(begin, "the quote that begins here is not closed");
  }

  // Steps over the end of a line; false when the line goes on.
  bool end_line() {
    if (at_ == text_.size()) return true;
    if (text_[at_] == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n')) ++at_;
    if (at_ == text_.size()) return true;
    if (text_[at_] != '\n') return false;
    ++at_;
    ++line_;
    return true;
  }

  std::string_view text_;
  char delimiter_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

std::expected<std::vector<CsvRow>, CsvProblem> parse_csv(std::string_view text, char delimiter) {
  if (const std::size_t bad = find_invalid_utf8(text); bad != text.npos) {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    return std::unexpected(
        CsvProblem{static_cast<int>(line), "invalid UTF-8: save the file as UTF-8"});
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return CsvParser(text, delimiter).run();
}

}  // namespace millrace::config
