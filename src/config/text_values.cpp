#include "config/text_values.hpp"

#include <fmt/core.h>

namespace millrace::config {
namespace {

// Steps over jq text from `at` to the end of what `close` ends; knows strings with \( ) inside.
// Bounded by the text: the depth is counted, not recursed.
class PieceScanner {
 public:
  explicit PieceScanner(std::string_view text) : text_(text) {}

  /// The offset of the `}` that closes a `${` whose text begins at `at`; npos: none.
  std::size_t end_of(std::size_t at) {
    // '{' inside braces, '"' inside a string, '(' inside an interpolation.
    std::string open = "{";
    for (; at < text_.size(); ++at) {
      const char c = text_[at];
      if (open.back() == '"') {
        if (c == '\\') {
          if (++at < text_.size() && text_[at] == '(') open += '(';
        } else if (c == '"') {
          open.pop_back();
        }
      } else if (c == '"' || c == '{' || c == '(') {
        open += c;
      } else if ((c == '}' && open.back() == '{') || (c == ')' && open.back() == '(')) {
        open.pop_back();
        if (open.empty()) return at;
      }
    }
    return text_.npos;
  }

 private:
  std::string_view text_;
};

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \n");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \n") - begin + 1);
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

Place place_at(const Node& node, SpecReader& reader, std::size_t offset) {
  Place place = reader.text_place(node);
  const std::string_view before = std::string_view(node.text).substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  if (node.style == Node::Style::literal && newline != before.npos) {
    for (const char c : before) place.line += c == '\n' ? 1 : 0;
    place.column += static_cast<int>(characters(before.substr(newline + 1)));
  } else {
    place.column += static_cast<int>(characters(before));
  }
  return place;
}

bool fail(const Node& node, SpecReader& reader, std::string message) {
  reader.error(node, std::move(message));
  return false;
}

// What a template says between `${` and `}`: a reference is resolved now, the rest is jq.
bool add_piece(const Node& node, SpecReader& reader, std::string_view piece, std::size_t offset,
               Template& out) {
  const std::string_view inside = trim(piece);
  if (inside.starts_with("secret.") && is_reference(inside)) {
    return fail(node, reader,
                "a secret in a request would reach the trail and parked rows: put it into the "
                "connection's `auth:`");
  }
  if (is_reference(inside)) return reader.resolve_reference(node, inside, out.literals.back());
  if (inside.empty()) return fail(node, reader, "`${ }` is empty: write an expression inside");
  out.programs.push_back({.text = std::string(piece), .place = place_at(node, reader, offset)});
  out.programs.back().cut_by_comment = node.cut_by_comment;
  out.literals.emplace_back();
  return true;
}

}  // namespace

Result<TemplatePieces> split_template(std::string_view text) {
  TemplatePieces pieces;
  PieceScanner scanner(text);
  std::size_t at = 0;
  for (;;) {
    const std::size_t begin = text.find("${", at);
    pieces.literals.emplace_back(text.substr(at, begin - at));
    if (begin == text.npos) return pieces;
    const std::size_t end = scanner.end_of(begin + 2);
    if (end == text.npos) return millrace::fail(Errc::malformed, "`${` is not closed by `}`");
    pieces.expressions.emplace_back(text.substr(begin + 2, end - begin - 2));
    pieces.offsets.push_back(begin + 2);
    at = end + 1;
  }
}

bool read_program(const Node& node, SpecReader& reader, Program& out) {
  if (!node.is_scalar()) {
    return fail(node, reader,
                fmt::format("expected an expression, found {}: put `|` after the key and the "
                            "expression on a new line",
                            name_of(node.kind)));
  }
  if (node.text.empty()) return fail(node, reader, "an expression is expected here");
  if (const std::size_t at = node.text.find("${"); at != node.text.npos) {
    const bool secret = std::string_view(node.text).substr(at + 2).starts_with("secret.");
    return fail(node, reader,
                secret ? "a secret in an expression would reach the trail and parked rows: put it "
                         "into the connection's `auth:`"
                       : "this key is an expression, `${ }` belongs to strings: write the "
                         "expression itself");
  }
  out.text = node.text;
  out.place = reader.text_place(node);
  out.cut_by_comment = node.cut_by_comment;
  return true;
}

bool read_template(const Node& node, SpecReader& reader, Template& out) {
  if (!node.is_scalar() || node.text.empty()) {
    return fail(node, reader, fmt::format("expected a text, found {}", name_of(node.kind)));
  }
  auto pieces = split_template(node.text);
  if (!pieces) return fail(node, reader, pieces.error().message);
  out = {.text = node.text, .place = reader.text_place(node), .literals = {""}};
  bool good = true;
  for (std::size_t i = 0; i < pieces->literals.size(); ++i) {
    out.literals.back() += pieces->literals[i];
    if (i < pieces->expressions.size()) {
      good = add_piece(node, reader, pieces->expressions[i], pieces->offsets[i], out) && good;
    }
  }
  return good;
}

namespace {

bool read_plan(const Node& node, SpecReader& reader, FieldPlan& out) {
  return spec_detail::read_entries(node, reader, [&](const std::string& key, const Node& value) {
    FieldPlan::Field& field = out.fields.emplace_back();
    field.name = key;
    if (value.kind == Node::Kind::null) return true;
    if (value.kind == Node::Kind::mapping) return read_plan(value, reader, field.nested);
    return fail(value, reader,
                fmt::format("a field has no value (`{0}:`) or the fields to read of its "
                            "relation (`{0}: {{ name: }}`)",
                            key));
  });
}

Json show_plan(const FieldPlan& plan) {
  JsonObject shown;
  for (const auto& field : plan.fields) {
    shown[field.name] = field.nested.empty() ? Json() : show_plan(field.nested);
  }
  return shown;
}

template <typename M>
SpecCodec<M> text_codec(std::string type, bool (*read)(const Node&, SpecReader&, M&),
                        std::string M::* text) {
  SpecCodec<M> made;
  made.type = std::move(type);
  made.read = [read](const Node& n, SpecReader& r, const SpecOption&, M& out) {
    return read(n, r, out);
  };
  made.show = [text](const SpecOption&, const M& value) { return Json(value.*text); };
  made.schema = [](const SpecOption&) {
    return Json(JsonObject{{"type", JsonArray{"string", "boolean", "number"}}});
  };
  return made;
}

}  // namespace
}  // namespace millrace::config

namespace millrace {

SpecCodec<config::Program> SpecValue<config::Program>::codec() {
  return config::text_codec<config::Program>("expression", config::read_program,
                                             &config::Program::text);
}

SpecCodec<config::Template> SpecValue<config::Template>::codec() {
  return config::text_codec<config::Template>("text with ${ }", config::read_template,
                                              &config::Template::text);
}

SpecCodec<config::Located> SpecValue<config::Located>::codec() {
  SpecCodec<config::Located> made;
  made.type = "string";
  made.read = [](const config::Node& n, config::SpecReader& r, const SpecOption& o,
                 config::Located& out) {
    out.place = r.place(n);
    return spec_detail::read_string(n, r, o, out.value);
  };
  made.show = [](const SpecOption&, const config::Located& value) { return Json(value.value); };
  made.schema = [](const SpecOption& o) { return spec_detail::schema_of("string", o); };
  return made;
}

SpecCodec<FieldPlan> SpecValue<FieldPlan>::codec() {
  SpecCodec<FieldPlan> made;
  made.type = "fields";
  made.read = [](const config::Node& n, config::SpecReader& r, const SpecOption&, FieldPlan& out) {
    out.fields.clear();
    return config::read_plan(n, r, out);
  };
  made.show = [](const SpecOption&, const FieldPlan& value) { return config::show_plan(value); };
  made.schema = [](const SpecOption&) {
    return Json(
        JsonObject{{"type", "object"},
                   {"additionalProperties", JsonObject{{"type", JsonArray{"object", "null"}}}}});
  };
  return made;
}

}  // namespace millrace
