#include "connectors/odoo/odoo_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "connectors/odoo/odoo_plan.hpp"

namespace millrace::connectors {
namespace {

using Ids = std::vector<std::int64_t>;

Awaitable<OdooResult<Json>> read_batch(OdooRpc& rpc, std::string model, Ids ids,
                                       std::vector<std::string> fields) {
  JsonObject kwargs;
  kwargs["fields"] = JsonArray(fields.begin(), fields.end());
  kwargs["load"] = nullptr;  // many2one as bare ids: names cost a query each
  JsonArray args;
  args.emplace_back(JsonArray(ids.begin(), ids.end()));
  auto answer = co_await rpc.call(std::move(model), "read", std::move(args), std::move(kwargs));
  co_return answer;
}

/// Whether the refusal is about the login rather than about records: then nothing is hidden, the
/// set-up is wrong, and the whole call fails.
Awaitable<Result<void>> explain_refusal(OdooRpc& rpc, std::string model) {
  JsonObject kwargs;
  kwargs["raise_exception"] = false;
  JsonArray args{"read"};
  auto allowed =
      co_await rpc.call(model, "check_access_rights", std::move(args), std::move(kwargs));
  if (allowed && allowed->is_bool() && !allowed->get_bool()) {
    co_return fail(
        Errc::peer_auth,
        fmt::format("our login may not read {}; give its user the right in Odoo", model));
  }
  if (!allowed && allowed.error().kind == OdooFault::Kind::call) {
    co_return std::unexpected(std::move(allowed).error().error);
  }
  auto companies = co_await rpc.check_companies();
  co_return companies;
}

Result<void> take_rows(const std::string& model, Json answer, OdooRows& rows) {
  if (!answer.is_array()) {
    return fail(Errc::protocol, fmt::format("read of {} returned no list", model));
  }
  for (Json& row : answer.get_array()) {
    const std::int64_t id = int_or(row, "id", 0);
    if (id == 0 || !row.is_object()) {
      return fail(Errc::protocol, fmt::format("read of {} returned a row without an id", model));
    }
    rows.found[id] = std::move(row.get_object());
  }
  return {};
}

/// Whether the refusal is about a field that Odoo no longer has, whatever record is read: halving
/// the batch would call each of them guilty.
bool names_lost_field(std::string_view problem, std::string_view model,
                      const std::vector<std::string>& fields) {
  return std::ranges::any_of(fields, [&](const std::string& field) {
    return problem.contains(fmt::format("Invalid field '{}' on model '{}'", field, model));
  });
}

std::string_view written(const JsonObject& row) {
  const Json* date = row.if_contains("write_date");
  return date != nullptr && date->is_string() ? std::string_view(date->get_string()) : "";
}

}  // namespace

Awaitable<Result<OdooRows>> fetch_rows(OdooRpc& rpc, std::string model, Ids ids,
                                       std::vector<std::string> fields) {
  OdooRows rows;
  std::vector<Ids> batches;  // the last is read next
  for (std::size_t at = 0; at < ids.size(); at += kOdooBatchMax) {
    const auto end = std::min(ids.size(), at + kOdooBatchMax);
    batches.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(at),
                         ids.begin() + static_cast<std::ptrdiff_t>(end));
  }
  bool explained = false;
  while (!batches.empty()) {
    const Ids batch = std::move(batches.back());
    batches.pop_back();
    auto answer = co_await read_batch(rpc, model, batch, fields);
    if (answer) {
      MILLRACE_CO_CHECK_OK(take_rows(model, *std::move(answer), rows));
      continue;
    }
    OdooFault fault = std::move(answer).error();
    const bool hidden = fault.kind == OdooFault::Kind::access;
    if (!hidden && fault.kind != OdooFault::Kind::record) {
      co_return std::unexpected(std::move(fault.error));
    }
    if (!hidden && names_lost_field(fault.error.message, model, fields)) {
      co_return fail(Errc::config, fmt::format("{} lost a field that `read:` names: {}", model,
                                               fault.error.message));
    }
    if (hidden && !explained) {
      auto explanation = co_await explain_refusal(rpc, model);
      if (!explanation) co_return std::unexpected(std::move(explanation).error());
      explained = true;
    }
    if (batch.size() > 1) {
      const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
      batches.emplace_back(middle, batch.end());
      batches.emplace_back(batch.begin(), middle);
      continue;
    }
    const auto state = hidden ? ReadRecord::State::hidden : ReadRecord::State::failed;
    rows.refused[batch.front()] = OdooRefusal{state, std::move(fault.error.message)};
  }
  co_return rows;
}

Awaitable<Result<std::vector<std::int64_t>>> moved_since(OdooRpc& rpc, std::string model,
                                                         std::vector<std::string> fields,
                                                         OdooRowMap rows, bool last) {
  Ids ids;
  for (const auto& [id, row] : rows) ids.push_back(id);
  std::ranges::sort(ids);
  if (last) fields.assign(1, "write_date");
  MILLRACE_CO_TRY(now, co_await fetch_rows(rpc, std::move(model), ids, std::move(fields)));
  std::erase_if(ids, [&](std::int64_t id) {
    const auto found = now.found.find(id);
    if (found == now.found.end()) return false;
    const JsonObject& before = rows.at(id);
    return last ? written(found->second) == written(before) : found->second == before;
  });
  co_return ids;
}

std::string changed_all_the_time(std::string_view model, std::int64_t id) {
  return fmt::format("{} {} changed during each of {} readings", model, id, kOdooReadingsMax);
}

}  // namespace millrace::connectors
