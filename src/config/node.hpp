// A YAML value with its place: the thin tree between libyaml and the Specs. Lines and columns count
// from 1; columns count characters, not bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

struct Node {
  enum class Kind : std::uint8_t { null, boolean, integer, number, string, sequence, mapping };
  enum class Style : std::uint8_t { plain, quoted, literal, folded };
  struct Member;

  Kind kind = Kind::null;
  Style style = Style::plain;
  bool cut_by_comment = false;  ///< plain, and ` #` follows on its last line
  int line = 1;
  int column = 1;
  int text_line = 1;    ///< where the first character of `text` stands
  int text_column = 1;  ///< (behind the quote, or on the line after `|`)
  std::string text;     ///< of a scalar, unescaped
  std::vector<Node> items;
  std::vector<Member> members;  ///< in the file's order

  bool is_scalar() const { return kind != Kind::sequence && kind != Kind::mapping; }
  bool is_string() const { return kind == Kind::string; }
  /// The member of a mapping, or nullptr.
  const Node* find(std::string_view key) const;
  const Member* find_member(std::string_view key) const;
};

struct Node::Member {
  std::string key;
  bool key_is_plain = true;
  int line = 1;
  int column = 1;
  Node value;
};

inline const Node::Member* Node::find_member(std::string_view key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

inline const Node* Node::find(std::string_view key) const {
  const Member* member = find_member(key);
  return member ? &member->value : nullptr;
}

/// "a string", "a mapping", ... for messages.
std::string_view name_of(Node::Kind kind);

}  // namespace millrace::config
