// What expressions reach outside themselves: tables and companies from the loaded configuration,
// the identity map through rows fetched beforehand. Never blocks: an identity that is not fetched
// yet is Errc::needs_lookup, and the caller fetches `wanted()` and evaluates again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "millrace/expression.hpp"

namespace millrace::config {

/// Rows of the identity map fetched for one evaluation; nullopt: known to be absent.
using FetchedReferences = std::map<std::string, std::optional<std::string>, std::less<>>;

class ConfigHost : public ExpressionHost {
 public:
  /// `source` gives company() its codes; nullptr: company() is an error. Not owned: `config` and
  /// `source` outlive the host.
  ConfigHost(const Config& config, const Connection* source) : config_(config), source_(source) {}

  Result<Json> lookup(std::string_view table, const Json& key) const override;
  Result<Json> xref(std::string_view entity, std::string_view system,
                    std::string_view record) const override;
  Result<Json> company(const Json& id) const override;

  /// How a reference that is not in the identity map ends: missing_reference (park and skip decide
  /// what happens next), expression_failed, or null.
  void set_missing(Missing missing) { missing_ = missing; }
  void set_fetched(const FetchedReferences* fetched) { fetched_ = fetched; }
  /// Keys of Table::xref that the last evaluation asked for and did not have.
  const std::string& wanted() const { return wanted_; }

 private:
  const Config& config_;
  const Connection* source_;
  const FetchedReferences* fetched_ = nullptr;
  Missing missing_ = Missing::park;
  mutable std::string wanted_;
};

}  // namespace millrace::config
