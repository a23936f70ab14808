// What one mapping of an order costs beyond parsing its JSON.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "millrace/expression.hpp"

namespace millrace {
namespace {

constexpr std::string_view kOrder = R"({
  "id": 4711, "name": "S00042", "state": "sale", "company_id": 1, "currency": "EUR",
  "date_order": "2026-11-21T22:05:48Z", "client_order_ref": "PO-7781", "amount_total": 1234.5,
  "partner_id": {"id": 9, "ref": "C0815", "name": "Acme SARL", "city": "Lyon", "zip": "69001"},
  "user_id": {"id": 3, "name": "Marie"}, "note": null,
  "order_line": [
    {"id": 1, "display_type": null, "product_uom_qty": 2.0, "price_unit": 9.5,
     "product_uom": {"name": "Units"}, "product_id": {"default_code": "A-1", "type": "consu"}},
    {"id": 2, "display_type": null, "product_uom_qty": 1.5, "price_unit": 20,
     "product_uom": {"name": "kg"}, "product_id": {"default_code": "B-2", "type": "consu"}},
    {"id": 3, "display_type": null, "product_uom_qty": 1, "price_unit": 100,
     "product_uom": {"name": "Units"},
     "product_id": {"default_code": "SRV", "type": "service"}}]})";

constexpr std::string_view kMapping = R"jq(
  { number: .name, id, currency, ordered: .date_order, reference: .client_order_ref,
    label: "\(.name) for \(.partner_id.name)",
    state: ({ draft: "draft", sale: "confirmed", cancel: "cancelled" }[.state]
            // error("unknown state \(.state)")),
    customer: { code: .partner_id.ref, name: .partner_id.name, city: .partner_id.city },
    seller: (.user_id.name // "nobody"), note: (.note // ""), total: .amount_total,
    priority: (if .amount_total > 1000 then "HIGH" else "NORMAL" end),
    lines: [ .order_line[] | select(.display_type == null and .product_id.type != "service")
             | { id, sku: .product_id.default_code, price: .price_unit,
                 quantity: { value: .product_uom_qty,
                             uom: lookup("uom"; .product_uom.name) } } ] })jq";

class Host final : public ExpressionHost {
 public:
  Result<Json> lookup(std::string_view, const Json& key) const override {
    return Json(key.get_string() == "kg" ? "KGM" : "C62");
  }
  Result<Json> xref(std::string_view, std::string_view, std::string_view) const override {
    return Json();
  }
  Result<Json> company(const Json&) const override { return Json("lyon"); }
};

/// CPU time of this thread, so that other work on the machine counts less.
double cpu_microseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

/// The median of several rounds, in microseconds for one call.
template <typename F>
double measure(const F& call) {
  constexpr int kCalls = 5000;
  constexpr int kRounds = 21;
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = cpu_microseconds();
    for (int i = 0; i < kCalls; ++i) call();
    rounds.push_back((cpu_microseconds() - begin) / kCalls);
  }
  std::ranges::sort(rounds);
  fmt::print("  median {:.2f} us, best {:.2f} us, worst {:.2f} us of {} rounds\n",
             rounds[kRounds / 2], rounds.front(), rounds.back(), kRounds);
  return rounds[kRounds / 2];
}

int run() {
  const Host host;
  ExpressionContext context;
  context.host = &host;
  const Json order = *parse_json(kOrder);
  const auto mapping = Expression::compile(kMapping);
  const auto filter = Expression::compile(".state == \"sale\" and .amount_total > 1000");
  if (!mapping || !filter || !mapping->evaluate(order, context)) {
    fmt::print("the mapping does not run\n");
    return 1;
  }
  fmt::print("{}\n", write_json(*mapping->evaluate(order, context)));
  std::size_t bytes = 0;
  fmt::print("parse the order\n");
  measure([&] { bytes += parse_json(kOrder).has_value() ? 1 : 0; });
  fmt::print("map it (goal: at most 8 us)\n");
  measure([&] { bytes += mapping->evaluate(order, context)->get_object().size(); });
  fmt::print("copy the result, as the share of it that any mapping pays\n");
  const Json mapped = *mapping->evaluate(order, context);
  measure([&] { bytes += Json(mapped).get_object().size(); });
  fmt::print("filter: {}\n", filter->text());
  measure([&] { bytes += *filter->test(order, context) ? 1 : 0; });
  fmt::print("compile the mapping\n");
  measure([&] { bytes += Expression::compile(kMapping).has_value() ? 1 : 0; });
  return bytes > 0 ? 0 : 1;
}

}  // namespace
}  // namespace millrace

int main() {
  return millrace::run();
}
