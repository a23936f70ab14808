#include "expr/regex.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

constexpr std::size_t kPatternBytesMax = 4096;
constexpr std::int64_t kProgramBytesMax = 1 << 20;
constexpr int kGroupsMax = 64;

// Oniguruma writes (?<name>...), RE2 of this age (?P<name>...).
std::string translate(std::string_view regex, std::string& problem) {
  std::string out;
  for (std::size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] == '\\' && i + 1 < regex.size()) {
      const char next = regex[i + 1];
      if (next >= '1' && next <= '9') problem = "back references such as \\1 are not supported";
      if (next == 'h') {
        out += "[0-9a-fA-F]";
        ++i;
        continue;
      }
      out += regex.substr(i, 2);
      ++i;
      continue;
    }
    const std::string_view rest = regex.substr(i);
    if (rest.starts_with("(?=") || rest.starts_with("(?!") || rest.starts_with("(?<=") ||
        rest.starts_with("(?<!") || rest.starts_with("(?>")) {
      problem = "look-around such as (?=…) is not supported; match more and use a group";
    }
    if (rest.starts_with("(?<")) {
      out += "(?P<";
      i += 2;
      continue;
    }
    out.push_back(regex[i]);
  }
  return out;
}

}  // namespace

std::string Pattern::compile(std::string_view regex, std::string_view flags, bool global) {
  global_ = global;
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kProgramBytesMax);
  for (const char flag : flags) {
    switch (flag) {
      case 'g':
        global_ = true;
        break;
      case 'i':
        options.set_case_sensitive(false);
        break;
      case 'n':
        skip_empty_ = true;
        break;
      case 's':
        break;  // ^ and $ already stand for the ends of the text
      case 'p':
        options.set_dot_nl(true);
        break;
      case 'l':
        options.set_longest_match(true);
        break;
      case 'x':
        return "the flag x (extended patterns) is not supported; remove the blanks";
      default:
        return fmt::format("{} is not a valid modifier string", flags);
    }
  }
  if (regex.size() > kPatternBytesMax) {
    return fmt::format("a pattern has at most {} bytes", kPatternBytesMax);
  }
  std::string problem;
  const std::string translated = translate(regex, problem);
  if (!problem.empty()) return problem;
  auto compiled = std::make_shared<const RE2>(translated, options);
  if (!compiled->ok()) return "Regex failure: " + compiled->error();
  const int groups = compiled->NumberOfCapturingGroups();
  if (groups > kGroupsMax) return fmt::format("a pattern has at most {} groups", kGroupsMax);
  names_.assign(static_cast<std::size_t>(groups) + 1, {});
  for (const auto& [index, name] : compiled->CapturingGroupNames()) {
    names_[static_cast<std::size_t>(index)] = name;
  }
  regex_ = std::move(compiled);
  return {};
}

bool Pattern::matches(std::string_view text) const {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex_);
}

bool Pattern::find_all(Evaluation& state, std::string_view text,
                       std::vector<Match>& matches) const {
  const std::size_t count = names_.size();
  std::vector<re2::StringPiece> found(count);
  const re2::StringPiece whole(text.data(), text.size());
  std::size_t from = 0;
  while (from <= text.size()) {
    if (!state.steps((text.size() - from) / 256 + 1)) return false;
    if (!regex_->Match(whole, from, text.size(), RE2::UNANCHORED, found.data(),
                       static_cast<int>(count))) {
      break;
    }
    const auto start = static_cast<std::size_t>(found[0].data() - text.data());
    const std::size_t end = start + found[0].size();
    if (!found[0].empty() || !skip_empty_) {
      if (!state.charge(count * kSlotBytes)) return false;
      Match match;
      for (const auto& piece : found) {
        Match::Group group;
        if (piece.data() != nullptr) {
          group.start = static_cast<std::size_t>(piece.data() - text.data());
          group.size = piece.size();
        }
        match.groups.push_back(group);
      }
      matches.push_back(std::move(match));
      if (!global_) break;
    }
    from = end;
    if (found[0].empty()) {
      from += end < text.size() ? utf8_length(static_cast<unsigned char>(text[end])) : 1;
    }
  }
  return true;
}

}  // namespace millrace::expr
