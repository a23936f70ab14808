// JSON Schema (draft-07): compiled once, then immutable; validate may run on any number of threads
// at once. Promises: bounded depth, no exception, patterns cannot run away (RE2).
#pragma once

#include <memory>
#include <string>

#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace::config {

struct SchemaNode;  ///< private to schema*.cpp

class SchemaValidator {
 public:
  /// Errc::config names the part of the schema that cannot be used: a keyword with a value of the
  /// wrong form, a pattern RE2 does not know, a `$ref` that leads nowhere or outside the document.
  /// Keywords that draft-07 does not know (`x-class`, `title`) are let be.
  static Result<SchemaValidator> compile(const Json& schema);

  /// Errc::schema_violation: "/lines/0/sku: expected a string, found null". The first violation in
  /// the order of the data.
  Result<void> validate(const Json& data) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace millrace::config
