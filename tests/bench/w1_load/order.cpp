#include "order.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <charconv>

namespace w1 {
namespace {

constexpr std::array<std::string_view, 4> kStates = {"draft", "sale", "done", "cancel"};
constexpr std::array<std::string_view, 4> kEventTypes = {"order.updated", "order.confirmed",
                                                         "order.confirmed", "order.cancelled"};

struct Order {
  explicit Order(std::uint32_t sequence)
      : id(sequence),
        name(fmt::format("S{:05}", sequence)),
        state(kStates[sequence % kStates.size()]),
        event_type(kEventTypes[sequence % kEventTypes.size()]),
        partner(sequence % 1000 + 1),
        total(sequence % 5000 + 0.5),
        time(fmt::format("{:02}:{:02}:{:02}", sequence / 3600 % 24, sequence / 60 % 60,
                         sequence % 60)) {}

  std::uint32_t id;
  std::string name;
  std::string_view state;
  std::string_view event_type;
  std::uint32_t partner;
  double total;
  std::string time;
};

constexpr int kLines = 3;

std::int64_t line_id(std::uint32_t sequence, int line) {
  return std::int64_t{sequence} * kLines + line;
}

}  // namespace

std::string order_body(std::uint32_t sequence) {
  const Order order(sequence);
  return fmt::format(
      R"o({{"_action":"Send Webhook(#441)","_id":{0},"_model":"sale.order","id":{0},"name":"{1}",)o"
      R"o("state":"{2}","partner_id":{3},"amount_total":{4:.1f},"currency_id":1,)o"
      R"o("order_line":[{5},{6},{7}],"write_date":"2026-11-21 {8}"}})o",
      order.id, order.name, order.state, order.partner, order.total, line_id(sequence, 0),
      line_id(sequence, 1), line_id(sequence, 2), order.time);
}

std::optional<std::uint32_t> sequence_of(std::string_view event_body) {
  constexpr std::string_view kKey = "\"order_id\"";
  auto at = event_body.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  at = event_body.find_first_not_of(" :", at + kKey.size());
  if (at == std::string_view::npos) return std::nullopt;
  std::uint32_t sequence = 0;
  const char* end = event_body.data() + event_body.size();
  const auto parsed = std::from_chars(event_body.data() + at, end, sequence);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return sequence;
}

bool is_canonical_event(std::string_view event_body, std::uint32_t sequence) {
  boost::system::error_code error;
  const boost::json::value got = boost::json::parse(event_body, error);
  if (error) return false;
  const Order order(sequence);
  boost::json::array lines;
  for (int line = 0; line < kLines; ++line) {
    lines.push_back({{"line_id", line_id(sequence, line)}, {"order_id", sequence}});
  }
  const boost::json::value expected = {
      {"schema", "order.v1"},
      {"event_id", fmt::format("sale.order:{}:2026-11-21 {}", sequence, order.time)},
      {"event_type", order.event_type},
      {"source", "odoo"},
      {"source_model", "sale.order"},
      {"action", "Send Webhook(#441)"},
      {"order_id", sequence},
      {"order_number", order.name},
      {"status", order.state},
      {"customer_id", order.partner},
      {"total", order.total},
      {"currency_id", 1},
      {"occurred_at", fmt::format("2026-11-21T{}Z", order.time)},
      {"lines", lines}};
  return got == expected;
}

}  // namespace w1
