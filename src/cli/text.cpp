#include "cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ostream>

namespace millrace::cli {
namespace {

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else if (is_c1) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string text_of(const Json& object, std::string_view key) {
  const Json* value = find(object, key);
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) return printable(std::string_view(value->get_string()));
  if (value->is_object() || value->is_array()) return {};
  return write_json(*value);
}

std::string duration_text(seconds duration) {
  const std::int64_t count = std::max<std::int64_t>(duration.count(), 0);
  if (count < 120) return fmt::format("{} s", count);
  if (count < 120 * 60) return fmt::format("{} min", count / 60);
  if (count < 48 * 3600) return fmt::format("{} h", count / 3600);
  return fmt::format("{} days", count / 86400);
}

std::string since_text(const Json& object, std::string_view key, WallTime now) {
  const auto time = parse_rfc3339(string_or(object, key, ""));
  if (!time) return {};
  std::string stamp = to_rfc3339(std::chrono::floor<seconds>(*time));
  std::replace(stamp.begin(), stamp.end(), 'T', ' ');
  return fmt::format("{} ago ({})", duration_text(std::chrono::floor<seconds>(now - *time)), stamp);
}

std::string bytes_text(double bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

void TextTable::print(std::ostream& out, std::size_t indent) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line(indent, ' ');
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out << line << '\n';
  }
}

void print_json(std::ostream& out, const Json& value, std::size_t indent) {
  const std::string margin(indent + 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    out << "{\n";
    std::size_t left = value.get_object().size();
    for (const auto& member : value.get_object()) {
      out << margin << printable(write_json(Json(member.key()))) << ": ";
      print_json(out, member.value(), indent + 2);
      out << (--left > 0 ? ",\n" : "\n");
    }
    out << std::string(indent, ' ') << '}';
  } else if (value.is_array() && !value.get_array().empty()) {
    out << "[\n";
    std::size_t left = value.get_array().size();
    for (const Json& item : value.get_array()) {
      out << margin;
      print_json(out, item, indent + 2);
      out << (--left > 0 ? ",\n" : "\n");
    }
    out << std::string(indent, ' ') << ']';
  } else {
    out << printable(write_json(value));
  }
}

}  // namespace millrace::cli
