#include "config/host.hpp"

#include <fmt/format.h>

#include "millrace/state_store.hpp"

namespace millrace::config {
namespace {

std::string as_key(const Json& key) {
  return key.is_string() ? std::string(key.get_string()) : write_json(key);
}

}  // namespace

Result<Json> ConfigHost::lookup(std::string_view table, const Json& key) const {
  const auto found = config_.tables.find(table);
  if (found == config_.tables.end()) {
    return fail(Errc::expression_failed, fmt::format("there is no table '{}'", table));
  }
  const TableObject& object = found->second;
  if (const auto row = object.rows.find(as_key(key)); row != object.rows.end()) return row->second;
  switch (object.missing) {
    case Missing::null:
      return Json(nullptr);
    case Missing::park:
      return fail(Errc::missing_reference,
                  fmt::format("table '{}' has no row {}; add it and reload", table, as_key(key)));
    default:
      return fail(Errc::expression_failed,
                  fmt::format("table '{}' has no row {}", table, as_key(key)));
  }
}

Result<Json> ConfigHost::xref(std::string_view entity, std::string_view system,
                              std::string_view record) const {
  std::string key = row_key(entity, system, record);
  const auto found = fetched_ ? fetched_->find(key) : FetchedReferences::const_iterator{};
  if (fetched_ == nullptr || found == fetched_->end()) {
    wanted_ = std::move(key);
    return fail(Errc::needs_lookup, "the identity map row is not in memory");
  }
  if (found->second) return Json(*found->second);
  const std::string text = fmt::format("{} is not known in {} as {}", record, system, entity);
  switch (missing_) {
    case Missing::null:
      return Json(nullptr);
    case Missing::error:
      return fail(Errc::expression_failed, text);
    default:
      wanted_ = std::move(key);
      return fail(Errc::missing_reference, text);
  }
}

Result<Json> ConfigHost::company(const Json& id) const {
  if (id.is_null()) return Json(nullptr);
  if (source_ == nullptr) {
    return fail(Errc::expression_failed, "company() has a meaning only in an entity's map");
  }
  // With a field plan a company is an object that always has `id`.
  const Json* number = id.is_object() ? find(id, "id") : &id;
  if (number != nullptr && number->is_int64()) {
    for (const auto& [company, code] : source_->companies) {
      if (company == number->get_int64()) return Json(code);
    }
  }
  return fail(Errc::missing_reference,
              fmt::format("company {} is not listed in `companies:` of connection {}; add it and "
                          "reload",
                          write_json(id), source_->name));
}

}  // namespace millrace::config
