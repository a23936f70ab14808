// Which standard fields of Odoo 18 have another value in each company. `lint` needs no Odoo for
// them; others, inherited and computed ones are found where one answers (`connections check`,
// `plan`, `reload`, the first reading).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "millrace/record_reader.hpp"

namespace millrace::config {

struct CompanyField {
  std::string path;    ///< "partner_id.credit_limit"
  bool known = false;  ///< false: only its name, `property_…`, looks like one
};

/// One for each field of the plan that depends on the company, or looks as if it did. Below a
/// relation the model is not known: there only names that mean one thing everywhere count.
std::vector<CompanyField> company_fields(std::string_view model, const FieldPlan& read);

}  // namespace millrace::config
