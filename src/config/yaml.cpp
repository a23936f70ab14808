#include "config/yaml.hpp"

#include <fmt/core.h>
#include <yaml.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

namespace millrace::config {
namespace {

constexpr std::string_view kExpressionAdvice =
    "if this is an expression, put `|` after the key and the expression on a new line";

std::string name_in(const unsigned char* text) {
  std::string name(reinterpret_cast<const char*>(text));
  return name.size() > 40 ? "..." : name;
}

struct Event {
  yaml_event_t raw{};
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&raw); }
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& file, std::vector<Problem>& problems)
      : text_(text), file_(file), problems_(problems) {
    for (std::size_t at = 0; at != text.npos && at <= text.size();) {
      lines_.push_back(at);
      at = text.find('\n', at);
      if (at != text.npos) ++at;
    }
    yaml_parser_initialize(&parser_);
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Parser() { yaml_parser_delete(&parser_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  std::vector<Node> run() {
    std::vector<Node> documents;
    if (!check_bytes()) return documents;
    while (!stopped_) {
      Event event;
      if (!next(event)) break;
      if (event.raw.type == YAML_STREAM_END_EVENT) break;
      if (event.raw.type != YAML_DOCUMENT_START_EVENT) continue;
      const auto& start = event.raw.data.document_start;
      if (start.tag_directives.start != start.tag_directives.end) {
        fail(event.raw.start_mark, "`%TAG` is not allowed: tags are not used in a configuration");
        break;
      }
      Event root;
      if (!next(root)) break;
      Node node;
      if (!read(root.raw, node, 1)) break;
      if (node.kind != Node::Kind::null) documents.push_back(std::move(node));
    }
    return documents;
  }

 private:
  void report(int line, int column, std::string message) {
    problems_.push_back({.place = {file_, line, column}, .message = std::move(message)});
  }
  void report(const yaml_mark_t& mark, std::string message) {
    report(static_cast<int>(mark.line) + 1, static_cast<int>(mark.column) + 1, std::move(message));
  }
  bool fail(const yaml_mark_t& mark, std::string message) {
    report(mark, std::move(message));
    stopped_ = true;
    return false;
  }

  std::string_view line_at(std::size_t index) const {
    if (index >= lines_.size()) return {};
    const std::size_t end = index + 1 < lines_.size() ? lines_[index + 1] - 1 : text_.size();
    return text_.substr(lines_[index], end - lines_[index]);
  }

  // What must not be in the text whatever the YAML says. Tabs look like indentation and are not.
  bool check_bytes() {
    if (text_.size() > kYamlBytesMax) {
      report(
          1, 1,
          fmt::format("the file has {} bytes; at most {} are read", text_.size(), kYamlBytesMax));
      return false;
    }
    const std::size_t invalid = find_invalid_utf8(text_);
    int line = 1;
    int column = 1;
    for (std::size_t at = 0; at < text_.size(); ++at) {
      const auto byte = static_cast<unsigned char>(text_[at]);
      if (at == invalid) {
        report(line, column, "invalid UTF-8: save the file as UTF-8");
        return false;
      }
      if (byte == '\t') {
        report(line, column, "a tab: write spaces (inside a quoted string write \\t)");
        return false;
      }
      if ((byte < 0x20 && byte != '\n' && byte != '\r') || byte == 0x7F) {
        report(line, column, fmt::format("a control character (0x{:02X})", byte));
        return false;
      }
      if (byte == '\n') {
        ++line;
        column = 1;
      } else if ((byte & 0xC0) != 0x80) {
        ++column;
      }
    }
    return true;
  }

  bool next(Event& event) {
    if (yaml_parser_parse(&parser_, &event.raw) == 1) return true;
    const std::string problem = parser_.problem ? parser_.problem : "it cannot be read";
    std::string message;
    if (problem == "mapping values are not allowed in this context") {
      message = fmt::format("a second `: ` on this line cuts the value; quote the value, or {}",
                            kExpressionAdvice);
    } else if (problem == "found character that cannot start any token") {
      message = "a value cannot begin with this character: put the value in quotes";
    } else if (parser_.context != nullptr) {
      message = fmt::format("not YAML: {} {} (line {})", problem, parser_.context,
                            parser_.context_mark.line + 1);
      if (parser_.context_mark.line != parser_.problem_mark.line ||
          problem.find("expected") != problem.npos) {
        message += fmt::format("; check indentation and quotes; {}", kExpressionAdvice);
      }
    } else {
      message = fmt::format("not YAML: {}", problem);
    }
    return fail(parser_.problem_mark, std::move(message));
  }

  bool refuse_extras(const yaml_event_t& event, const unsigned char* anchor,
                     const unsigned char* tag) {
    if (anchor != nullptr) {
      return fail(event.start_mark,
                  fmt::format("anchors (`&{}`) are not allowed: write the value where it is used, "
                              "or keep it in vars/",
                              name_in(anchor)));
    }
    if (tag != nullptr) {
      return fail(event.start_mark,
                  fmt::format("tags (`{}`) are not allowed: remove it; quote what is a string",
                              name_in(tag)));
    }
    return true;
  }

  bool read(const yaml_event_t& event, Node& node, std::size_t depth) {
    if (++nodes_ > kYamlNodesMax) {
      return fail(event.start_mark, fmt::format("more than {} values in a file", kYamlNodesMax));
    }
    if (depth > kYamlDepthMax) {
      return fail(event.start_mark, fmt::format("nested deeper than {} levels", kYamlDepthMax));
    }
    node.line = node.text_line = static_cast<int>(event.start_mark.line) + 1;
    node.column = node.text_column = static_cast<int>(event.start_mark.column) + 1;
    switch (event.type) {
      case YAML_SCALAR_EVENT:
        return read_scalar(event, node);
      case YAML_SEQUENCE_START_EVENT:
        return refuse_extras(event, event.data.sequence_start.anchor,
                             event.data.sequence_start.tag) &&
               read_sequence(node, depth);
      case YAML_MAPPING_START_EVENT:
        return refuse_extras(event, event.data.mapping_start.anchor,
                             event.data.mapping_start.tag) &&
               read_mapping(node, depth);
      case YAML_ALIAS_EVENT:
        return fail(event.start_mark,
                    fmt::format("aliases (`*{}`) are not allowed: write the value out, or quote it "
                                "when the star is meant",
                                name_in(event.data.alias.anchor)));
      default:
        return fail(event.start_mark, "not YAML: a value is missing");
    }
  }

  bool read_scalar(const yaml_event_t& event, Node& node) {
    const auto& scalar = event.data.scalar;
    if (!refuse_extras(event, scalar.anchor, scalar.tag)) return false;
    node.text.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
    switch (scalar.style) {
      case YAML_LITERAL_SCALAR_STYLE:
      case YAML_FOLDED_SCALAR_STYLE:
        node.style =
            scalar.style == YAML_LITERAL_SCALAR_STYLE ? Node::Style::literal : Node::Style::folded;
        node.kind = Node::Kind::string;
        place_block(event.start_mark.line, node);
        break;
      case YAML_SINGLE_QUOTED_SCALAR_STYLE:
      case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        node.style = Node::Style::quoted;
        node.kind = Node::Kind::string;
        node.text_column += 1;
        break;
      default:
        node.kind = resolve_plain(node.text);
        node.cut_by_comment = comment_follows(event.end_mark);
    }
    return true;
  }

  // A block's text begins on the line after its `|`, behind the indentation that YAML took away.
  void place_block(std::size_t header_line, Node& node) const {
    node.text_line = static_cast<int>(header_line) + 2;
    for (std::size_t line = header_line + 1; line < lines_.size(); ++line) {
      const std::string_view source = line_at(line);
      const std::size_t spaces = source.find_first_not_of(' ');
      if (spaces == source.npos) continue;
      const std::size_t first = node.text.find_first_not_of('\n');
      const std::size_t kept =
          first == node.text.npos ? 0 : node.text.find_first_not_of(' ', first) - first;
      node.text_column = static_cast<int>(spaces - std::min(spaces, kept)) + 1;
      return;
    }
  }

  // Marks count characters; bytes are found by walking on from the last mark asked for, because a
  // line may hold all of the file.
  bool comment_follows(const yaml_mark_t& end) {
    const std::string_view line = line_at(end.line);
    if (end.line != walked_line_ || end.column < walked_column_) {
      walked_line_ = end.line;
      walked_column_ = walked_byte_ = 0;
    }
    while (walked_column_ < end.column && walked_byte_ < line.size()) {
      ++walked_byte_;
      while (walked_byte_ < line.size() &&
             (static_cast<unsigned char>(line[walked_byte_]) & 0xC0) == 0x80) {
        ++walked_byte_;
      }
      ++walked_column_;
    }
    const std::size_t hash = line.find_first_not_of(' ', walked_byte_);
    return hash != line.npos && hash > walked_byte_ && line[hash] == '#';
  }

  bool read_sequence(Node& node, std::size_t depth) {
    node.kind = Node::Kind::sequence;
    for (;;) {
      Event event;
      if (!next(event)) return false;
      if (event.raw.type == YAML_SEQUENCE_END_EVENT) return true;
      if (!read(event.raw, node.items.emplace_back(), depth + 1)) return false;
    }
  }

  bool read_mapping(Node& node, std::size_t depth) {
    node.kind = Node::Kind::mapping;
    std::unordered_map<std::string, int> lines_of_keys;
    for (;;) {
      Event event;
      if (!next(event)) return false;
      if (event.raw.type == YAML_MAPPING_END_EVENT) return true;
      if (event.raw.type != YAML_SCALAR_EVENT) {
        if (event.raw.type == YAML_ALIAS_EVENT) {
          Node ignored;
          return read(event.raw, ignored, depth);
        }
        return fail(event.raw.start_mark,
                    "a key must be a plain word or a quoted string; if `{ ... }` or `[ ... ]` is "
                    "part of a text, put the text in quotes");
      }
      Node key;
      if (!read_scalar(event.raw, key)) return false;
      if (key.style == Node::Style::plain && key.text == "<<") {
        return fail(event.raw.start_mark, "merge keys (`<<`) are not allowed: write the keys out");
      }
      const int line = static_cast<int>(event.raw.start_mark.line) + 1;
      const auto [known, fresh] = lines_of_keys.emplace(key.text, line);
      if (!fresh) {
        report(event.raw.start_mark, fmt::format("duplicate key `{}`; it stands on line {} already",
                                                 key.text, known->second));
      }
      Event value_event;
      if (!next(value_event)) return false;
      Node::Member member{.key = std::move(key.text),
                          .key_is_plain = key.style == Node::Style::plain,
                          .line = line,
                          .column = static_cast<int>(event.raw.start_mark.column) + 1};
      if (!read(value_event.raw, member.value, depth + 1)) return false;
      if (fresh) node.members.push_back(std::move(member));
    }
  }

  std::string_view text_;
  const std::string& file_;
  std::vector<Problem>& problems_;
  std::vector<std::size_t> lines_;  ///< where each line begins
  yaml_parser_t parser_{};
  std::size_t nodes_ = 0;
  std::size_t walked_line_ = 0;  ///< how far comment_follows has come
  std::size_t walked_column_ = 0;
  std::size_t walked_byte_ = 0;
  bool stopped_ = false;
};

}  // namespace

std::vector<Node> parse_yaml(std::string_view text, const std::string& file,
                             std::vector<Problem>& problems) {
  return Parser(text, file, problems).run();
}

}  // namespace millrace::config
