#include "config/company_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace millrace::config {
namespace {

// ir.model.fields with `company_dependent` of an Odoo 18 with its sales, purchase, stock,
// manufacturing, delivery and accounting modules.
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
constexpr std::array kAnywhere{"standard_price",
                               "credit_limit",
                               "invoice_sending_method",
                               "specific_property_product_pricelist",
                               "property_account_creditor_price_difference",
                               "property_account_creditor_price_difference_categ",
                               "property_account_downpayment_categ_id",
                               "property_account_expense_categ_id",
                               "property_account_expense_id",
                               "property_account_income_categ_id",
                               "property_account_income_id",
                               "property_account_payable_id",
                               "property_account_position_id",
                               "property_account_receivable_id",
                               "property_cost_method",
                               "property_delivery_carrier_id",
                               "property_inbound_payment_method_line_id",
                               "property_outbound_payment_method_line_id",
                               "property_payment_term_id",
                               "property_product_pricelist",
                               "property_purchase_currency_id",
                               "property_stock_account_input_categ_id",
                               "property_stock_account_output_categ_id",
                               "property_stock_customer",
                               "property_stock_inventory",
                               "property_stock_journal",
                               "property_stock_production",
                               "property_stock_supplier",
                               "property_stock_valuation_account_id",
                               "property_supplier_payment_term_id",
                               "property_valuation"};

template <typename Names>
bool has(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_per_company(std::string_view model, std::string_view field) {
  if (has(kAnywhere, field)) return true;
  // Users inherit from their partner, variants from their template.
  if (model == "res.partner" || model == "res.users") return has(kPartner, field);
  if (model == "product.template" || model == "product.product") return has(kProduct, field);
  return false;
}

void collect(std::string_view model, const FieldPlan& read, const std::string& prefix,
             std::vector<CompanyField>& found) {
  for (const FieldPlan::Field& field : read.fields) {
    const std::string path = prefix + field.name;
    const bool known = is_per_company(model, field.name);
    if (known || field.name.starts_with("property_")) found.push_back({path, known});
    collect("", field.nested, path + ".", found);
  }
}

}  // namespace

std::vector<CompanyField> company_fields(std::string_view model, const FieldPlan& read) {
  std::vector<CompanyField> found;
  collect(model, read, "", found);
  return found;
}

}  // namespace millrace::config
