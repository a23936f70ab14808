#include <fmt/format.h>

#include <array>

#include "expr/functions.hpp"
#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

bool as_json(Evaluation& state, const Json& value, std::string& out) {
  const std::size_t before = out.size();
  append_json(out, value);
  return state.steps((out.size() - before) / 64);
}

void append_quoted(std::string& out, std::string_view text, char special,
                   std::string_view replacement) {
  for (const char c : text) {
    if (c == special) {
      out += replacement;
    } else {
      out.push_back(c);
    }
  }
}

struct Row {
  std::string_view name;
  char separator;
};

template <typename AppendString>
bool as_row(Evaluation& state, const Json& value, std::string& out, Row row,
            const AppendString& append_string) {
  if (!value.is_array()) {
    return state.fail(
        fmt::format("{} cannot be {}-formatted, only an array can be", describe(value), row.name));
  }
  bool first = true;
  for (const Json& cell : value.get_array()) {
    if (!state.step()) return false;
    if (!first) out.push_back(row.separator);
    first = false;
    if (cell.is_string()) {
      append_string(view(cell));
    } else if (cell.is_structured()) {
      return state.fail(fmt::format("{} is not valid in a csv row", describe(cell)));
    } else if (!cell.is_null()) {
      append_json(out, cell);
    }
  }
  return true;
}

bool as_csv(Evaluation& state, const Json& value, std::string& out) {
  return as_row(state, value, out, {"csv", ','}, [&](std::string_view text) {
    out.push_back('"');
    append_quoted(out, text, '"', "\"\"");
    out.push_back('"');
  });
}

bool as_tsv(Evaluation& state, const Json& value, std::string& out) {
  return as_row(state, value, out, {"tsv", '\t'}, [&](std::string_view text) {
    for (const char c : text) {
      switch (c) {
        case '\t':
          out += "\\t";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\\':
          out += "\\\\";
          break;
        default:
          out.push_back(c);
      }
    }
  });
}

bool as_html(Evaluation& state, const Json& value, std::string& out) {
  std::string text;
  if (!append_text(state, value, text)) return false;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(c);
    }
  }
  return true;
}

bool as_uri(Evaluation& state, const Json& value, std::string& out) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string text;
  if (!append_text(state, value, text)) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return true;
}

bool as_shell(Evaluation& state, const Json& value, std::string& out) {
  const auto append = [&](const Json& item) {
    if (item.is_structured()) {
      return state.fail(fmt::format("{} can not be escaped for shell", describe(item)));
    }
    if (!item.is_string()) return as_json(state, item, out);
    out.push_back('\'');
    append_quoted(out, view(item), '\'', "'\\''");
    out.push_back('\'');
    return state.step();
  };
  if (!value.is_array()) return append(value);
  bool first = true;
  for (const Json& item : value.get_array()) {
    if (!first) out.push_back(' ');
    first = false;
    if (!append(item)) return false;
  }
  return true;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool as_base64(Evaluation& state, const Json& value, std::string& out) {
  std::string text;
  if (!append_text(state, value, text)) return false;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, text.size() - i);
    unsigned bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = (bits << 8) | (j < count ? static_cast<unsigned char>(text[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(j <= count ? kBase64[(bits >> (18 - 6 * j)) & 63] : '=');
    }
  }
  return true;
}

bool from_base64(Evaluation& state, const Json& value, std::string& out) {
  std::string text;
  if (!append_text(state, value, text)) return false;
  std::string bytes;
  unsigned bits = 0;
  int filled = 0;
  std::size_t read = 0;
  bool valid = true;
  while (!text.empty() && text.back() == '=') text.pop_back();
  for (const char c : text) {
    const auto digit = kBase64.find(c);
    if (digit == kBase64.npos) {
      valid = false;
      break;
    }
    ++read;
    bits = (bits << 6) | static_cast<unsigned>(digit);
    filled += 6;
    if (filled < 8) continue;
    filled -= 8;
    bytes.push_back(static_cast<char>((bits >> filled) & 0xFF));
  }
  if (!valid || read % 4 == 1) {
    return state.fail(fmt::format("{} is not valid base64 data", describe(value)));
  }
  // jq replaces what is not UTF-8; the same is done here.
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view rest = std::string_view(bytes).substr(at);
    const std::size_t length = utf8_length(static_cast<unsigned char>(rest[0]));
    if (!invalid_utf8_at(rest.substr(0, length))) {
      out += rest.substr(0, length);
      at += length;
    } else {
      append_utf8(out, kReplacement);
      ++at;
    }
  }
  return true;
}

struct NamedFormat {
  std::string_view name;
  FormatFunction format;
};
constexpr std::array<NamedFormat, 9> kFormats = {{{"text", append_text},
                                                  {"json", as_json},
                                                  {"csv", as_csv},
                                                  {"tsv", as_tsv},
                                                  {"html", as_html},
                                                  {"uri", as_uri},
                                                  {"sh", as_shell},
                                                  {"base64", as_base64},
                                                  {"base64d", from_base64}}};

}  // namespace

bool append_text(Evaluation& state, const Json& value, std::string& out) {
  if (!value.is_string()) return as_json(state, value, out);
  const std::string_view text = view(value);
  out += text;
  return state.steps(text.size() / 64);
}

FormatFunction find_format(std::string_view name) {
  for (const NamedFormat& entry : kFormats) {
    if (entry.name == name) return entry.format;
  }
  return nullptr;
}

}  // namespace millrace::expr
