#include "config/spec_reader.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace millrace::config {

void SpecReader::add(Problem::Level level, int line, int column, std::string message) {
  if (level == Problem::Level::error) ++errors_;
  problems_.push_back({level, {file_, line, column}, path(), std::move(message), {}, hide_source_});
}

void SpecReader::error(const Node& node, std::string message) {
  add(Problem::Level::error, node.line, node.column, std::move(message));
}

void SpecReader::error_at(int line, int column, std::string message) {
  add(Problem::Level::error, line, column, std::move(message));
}

void SpecReader::warning(const Node& node, std::string message) {
  add(Problem::Level::warning, node.line, node.column, std::move(message));
}

std::string SpecReader::path() const {
  std::string text;
  for (const std::string& step : path_) {
    if (!text.empty()) text += " / ";
    text += step;
  }
  return text;
}

bool is_reference(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == text.npos || dot + 1 == text.size()) return false;
  const std::string_view kind = text.substr(0, dot);
  if (kind != "var" && kind != "env" && kind != "secret") return false;
  return std::ranges::all_of(text.substr(dot + 1), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

bool SpecReader::resolve_reference(const Node& node, std::string_view reference, std::string& out) {
  const std::size_t dot = reference.find('.');
  if (substitute_ == nullptr || !*substitute_) {
    error(node, fmt::format("`${{{}}}` has no value here", reference));
    return false;
  }
  auto value = (*substitute_)(reference.substr(0, dot), reference.substr(dot + 1));
  if (!value) {
    error(node, value.error().message);
    return false;
  }
  out += *value;
  return true;
}

bool SpecReader::resolve(const Node& node, std::string& out) {
  const std::string_view text = node.text;
  bool good = true;
  std::size_t at = 0;
  for (;;) {
    const std::size_t begin = text.find("${", at);
    out += text.substr(at, begin - at);
    if (begin == text.npos) return good;
    const std::size_t end = text.find('}', begin);
    const std::string_view inside =
        end == text.npos ? std::string_view() : text.substr(begin + 2, end - begin - 2);
    if (!is_reference(inside)) {
      error(node,
            "`${` here takes var.name, env.NAME or secret.name, without spaces: \"${var.name}\"");
      return false;
    }
    good = resolve_reference(node, inside, out) && good;
    at = end + 1;
  }
}

}  // namespace millrace::config
