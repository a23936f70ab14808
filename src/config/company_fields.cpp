#include "config/company_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace millrace::config {
namespace {

// ir.model.fields with `company_dependent` of an Odoo 18 with its sales, purchase, stock,
// manufacturing and accounting modules. What begins with `property_` is recognised by that.
constexpr std::array kPartner{"barcode",
                              "credit_limit",
                              "ignore_abnormal_invoice_amount",
                              "ignore_abnormal_invoice_date",
                              "invoice_edi_format_store",
                              "invoice_sending_method",
                              "receipt_reminder_email",
                              "reminder_date_before_receipt",
                              "specific_property_product_pricelist",
                              "trust"};
constexpr std::array kProduct{"standard_price", "responsible_id", "service_to_purchase"};

// Names that no standard model uses for anything else.
constexpr std::array kAnywhere{"standard_price", "credit_limit", "invoice_sending_method",
                               "specific_property_product_pricelist"};

template <typename Names>
bool has(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_per_company(std::string_view model, std::string_view field) {
  if (field.starts_with("property_") || has(kAnywhere, field)) return true;
  // Users inherit from their partner, variants from their template.
  if (model == "res.partner" || model == "res.users") return has(kPartner, field);
  if (model == "product.template" || model == "product.product") return has(kProduct, field);
  return false;
}

void collect(std::string_view model, const FieldPlan& read, const std::string& prefix,
             std::vector<std::string>& found) {
  for (const FieldPlan::Field& field : read.fields) {
    const std::string path = prefix + field.name;
    if (is_per_company(model, field.name)) found.push_back(path);
    collect("", field.nested, path + ".", found);
  }
}

}  // namespace

std::vector<std::string> company_fields(std::string_view model, const FieldPlan& read) {
  std::vector<std::string> found;
  collect(model, read, "", found);
  return found;
}

}  // namespace millrace::config
