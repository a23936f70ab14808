// Compares our evaluator with the real jq on the corpus.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "millrace/expression.hpp"

namespace millrace {
namespace {

struct Case {
  std::string where;  ///< file:line
  std::string program;
  std::string input;
  std::string expected;  ///< empty: jq is asked
};

struct Outcome {
  std::vector<Json> outputs;
  std::string end = "ok";  ///< ok, error or compile

  std::string text() const {
    std::string all;
    for (const Json& output : outputs) all += write_json(output) + " ";
    return all + end;
  }
};

std::vector<Case> read_corpus() {
  const std::filesystem::path folder =
      std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests/unit/expr/corpus";
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".tsv") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<Case> cases;
  for (const auto& path : files) {
    std::ifstream file(path);
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
      if (line.empty() || line[0] == '#') continue;
      const auto first = line.find('\t');
      const auto second = first == line.npos ? line.npos : line.find('\t', first + 1);
      Case one;
      one.where = path.filename().string() + ":" + std::to_string(number);
      EXPECT_NE(first, line.npos) << one.where << " needs `program TAB input`";
      if (first == line.npos) continue;
      one.program = line.substr(0, first);
      one.input = line.substr(first + 1, second == line.npos ? line.npos : second - first - 1);
      if (second != line.npos) one.expected = line.substr(second + 1);
      cases.push_back(std::move(one));
    }
  }
  return cases;
}

Outcome ours(const Case& one) {
  Outcome outcome;
  ExpressionScope scope;
  scope.host_functions = false;
  const auto expression = Expression::compile(one.program, scope);
  if (!expression) {
    outcome.end = "compile";
    return outcome;
  }
  const auto input = parse_json(one.input);
  EXPECT_TRUE(input.has_value()) << one.where << " has no JSON input: " << one.input;
  if (!input) return outcome;
  const auto done = expression->for_each(*input, {}, [&](const Json& output) {
    outcome.outputs.push_back(output);
    return true;
  });
  if (!done) outcome.end = "error";
  return outcome;
}

// Equal with numbers by value and members in order.
bool same(const Json& left, const Json& right) {
  if (const auto* object = left.if_object()) {
    const auto* other = right.if_object();
    return other != nullptr && object->size() == other->size() &&
           std::ranges::equal(*object, *other, [](const auto& a, const auto& b) {
             return a.key() == b.key() && same(a.value(), b.value());
           });
  }
  if (const auto* array = left.if_array()) {
    const auto* other = right.if_array();
    return other != nullptr && std::ranges::equal(*array, *other, same);
  }
  if (left.is_double() && right.is_double()) {
    // jq 1.6 prints 17 digits, which need not be the shortest; the value is the same.
    return left.get_double() == right.get_double();
  }
  return equal_json(left, right);
}

bool same(const Outcome& left, const Outcome& right) {
  return left.end == right.end &&
         std::ranges::equal(left.outputs, right.outputs,
                            [](const Json& a, const Json& b) { return same(a, b); });
}

Outcome read_expected(const Case& one) {
  Outcome outcome;
  if (one.expected == "error" || one.expected == "compile") {
    outcome.end = one.expected;
    return outcome;
  }
  const auto outputs = parse_json(one.expected);
  EXPECT_TRUE(outputs && outputs->is_array()) << one.where << ": expected is `[outputs...]`";
  if (outputs && outputs->is_array()) {
    for (const Json& output : outputs->get_array()) outcome.outputs.push_back(output);
  }
  return outcome;
}

/// Runs many cases as one jq program, because starting jq costs more than any of them.
class Jq {
 public:
  Jq() : file_(testing::TempDir() + "millrace-jq-" + std::to_string(getpid()) + ".jq") {}
  ~Jq() { std::filesystem::remove(file_); }
  Jq(const Jq&) = delete;
  Jq& operator=(const Jq&) = delete;

  static bool is_installed() { return std::system("jq --version >/dev/null 2>&1") == 0; }

  void ask(const std::vector<const Case*>& cases, std::map<const Case*, Outcome>& answers) {
    if (run(cases, answers)) return;
    if (cases.size() == 1) {
      ADD_FAILURE() << cases[0]->where << ": jq refuses `" << cases[0]->program
                    << "`; say what is expected in a third column";
      return;
    }
    const auto half = cases.begin() + static_cast<std::ptrdiff_t>(cases.size() / 2);
    ask({cases.begin(), half}, answers);
    ask({half, cases.end()}, answers);
  }

 private:
  bool run(const std::vector<const Case*>& cases, std::map<const Case*, Outcome>& answers) {
    {
      std::ofstream program(file_);
      for (std::size_t i = 0; i < cases.size(); ++i) {
        program << (i == 0 ? "" : ",\n") << "{\"case\":" << i << "}, (try (" << cases[i]->input
                << " | (" << cases[i]->program << "\n) | [.]) catch {\"error\":1})";
      }
    }
    const std::string command = "jq -n -c -f '" + file_ + "' 2>/dev/null";
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return false;
    std::string text;
    char buffer[4096];
    for (std::size_t size = 0; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
      text.append(buffer, size);
    }
    if (pclose(pipe) != 0) return false;
    return read(text, cases, answers);
  }

  static bool read(const std::string& text, const std::vector<const Case*>& cases,
                   std::map<const Case*, Outcome>& answers) {
    Outcome* current = nullptr;
    std::size_t at = 0;
    while (at < text.size()) {
      const auto end = text.find('\n', at);
      const auto value = parse_json(text.substr(at, end - at));
      if (!value) {
        ADD_FAILURE() << "jq printed what cannot be read: " << text.substr(at, end - at);
        return true;
      }
      at = end + 1;
      if (const Json* number = find(*value, "case")) {
        current = &answers[cases[static_cast<std::size_t>(number->to_number<std::int64_t>())]];
      } else if (value->is_object()) {
        current->end = "error";
      } else {
        current->outputs.push_back(value->get_array()[0]);
      }
    }
    return true;
  }

  std::string file_;
};

TEST(ExpressionCorpus, GivesWhatTheRealJqGives) {
  ASSERT_TRUE(Jq::is_installed())
      << "the real jq is the judge of this test: install it (apt install jq)";
  const std::vector<Case> cases = read_corpus();
  ASSERT_GE(cases.size(), 300U);
  std::vector<const Case*> asked;
  for (const Case& one : cases) {
    if (one.expected.empty()) asked.push_back(&one);
  }
  constexpr std::size_t kBatch = 50;
  std::map<const Case*, Outcome> answers;
  Jq jq;
  for (std::size_t from = 0; from < asked.size(); from += kBatch) {
    const std::size_t to = std::min(from + kBatch, asked.size());
    jq.ask({asked.begin() + static_cast<std::ptrdiff_t>(from),
            asked.begin() + static_cast<std::ptrdiff_t>(to)},
           answers);
  }
  for (const Case& one : cases) {
    if (one.expected.empty() && !answers.contains(&one)) continue;  // reported already
    const Outcome wanted = one.expected.empty() ? answers[&one] : read_expected(one);
    const Outcome got = ours(one);
    EXPECT_TRUE(same(wanted, got)) << one.where << ": " << one.program << " on " << one.input
                                   << "\n  wanted " << wanted.text() << "\n  got    " << got.text();
  }
}

}  // namespace
}  // namespace millrace
