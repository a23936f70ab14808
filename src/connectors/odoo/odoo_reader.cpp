#include "connectors/odoo/odoo_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "connectors/odoo/odoo_values.hpp"

namespace millrace::connectors {
namespace {

/// Fields of every reading, whatever the plan names.
constexpr std::array<std::string_view, 2> kAlwaysRead{"write_date", "create_date"};

std::string text_of(const JsonObject& row, std::string_view name) {
  const Json* value = row.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<std::string> names_of(const OdooPlan& plan) {
  std::vector<std::string> names = plan.names();
  for (const std::string_view always : kAlwaysRead) {
    if (std::find(names.begin(), names.end(), always) == names.end()) names.emplace_back(always);
  }
  return names;
}

}  // namespace

OdooReader::OdooReader(std::unique_ptr<OdooRpc> rpc) : rpc_(std::move(rpc)), fields_(*rpc_) {}

Awaitable<Result<std::vector<ReadRecord>>> OdooReader::read(ReadRequest request) {
  if (request.ids.size() > kOdooBatchMax) {
    co_return fail(Errc::invalid_argument, fmt::format("{} ids in one read; at most {}",
                                                       request.ids.size(), kOdooBatchMax));
  }
  MILLRACE_CO_TRY(plan, co_await fields_.resolve(request.model, request.plan));
  auto records = co_await read_planned(plan, request.ids);
  if (records || records.error().code != Errc::config) co_return records;
  // A module went since the fields were learnt; the plan may do without what was its.
  fields_.forget();
  MILLRACE_CO_TRY(again, co_await fields_.resolve(request.model, request.plan));
  auto read = co_await read_planned(again, request.ids);
  co_return read;
}

Awaitable<Result<std::vector<ReadRecord>>> OdooReader::read_planned(OdooPlanPtr plan, Ids ids) {
  Answers answers;
  Ids pending = ids;
  std::sort(pending.begin(), pending.end());
  pending.erase(std::unique(pending.begin(), pending.end()), pending.end());
  for (int reading = 0; reading < kOdooReadingsMax && !pending.empty(); ++reading) {
    MILLRACE_CO_TRY(changed,
                    co_await read_once(plan, pending, answers, reading + 1 == kOdooReadingsMax));
    pending = std::move(changed);
  }
  for (const std::int64_t id : pending) {
    ReadRecord busy;
    busy.id = id;
    busy.state = ReadRecord::State::failed;
    busy.problem = changed_all_the_time(plan->model, id);
    answers[id] = std::move(busy);
  }
  std::vector<ReadRecord> ordered;
  ordered.reserve(ids.size());
  for (const std::int64_t id : ids) ordered.push_back(answers.at(id));
  co_return ordered;
}

Awaitable<Result<OdooReader::Ids>> OdooReader::read_once(OdooPlanPtr plan, Ids ids,
                                                         Answers& answers, bool last) {
  MILLRACE_CO_TRY(rows, co_await fetch_confirmed(plan, ids));
  for (const std::int64_t id : ids) {
    ReadRecord& record = answers[id];
    record = ReadRecord();
    record.id = id;
    if (const auto refused = rows.refused.find(id); refused != rows.refused.end()) {
      record.state = refused->second.state;
      record.problem = refused->second.problem;
    } else if (const auto found = rows.found.find(id); found != rows.found.end()) {
      record.state = ReadRecord::State::found;
      record.write_date = text_of(found->second, "write_date");
      record.create_date = text_of(found->second, "create_date");
    }
  }
  OdooRowMap parents;
  if (plan->has_nested) parents = rows.found;
  MILLRACE_CO_TRY(built, co_await build_values(*rpc_, plan, std::move(rows.found)));
  for (auto& [id, value] : built.values) answers[id].value = std::move(value);
  for (auto& [id, problem] : built.failed) {
    answers[id].state = ReadRecord::State::failed;
    answers[id].problem = std::move(problem);
    parents.erase(id);
  }
  if (parents.empty()) co_return Ids();
  auto moved = co_await moved_since(*rpc_, plan->model, names_of(*plan), std::move(parents), last);
  co_return moved;
}

/// Rows of the plan. What a batch did not return is asked for alone before it counts as absent.
Awaitable<Result<OdooRows>> OdooReader::fetch_confirmed(OdooPlanPtr plan, Ids ids) {
  const std::vector<std::string> names = names_of(*plan);
  MILLRACE_CO_TRY(rows, co_await fetch_rows(*rpc_, plan->model, ids, names));
  if (ids.size() == 1) co_return rows;
  for (const std::int64_t id : ids) {
    if (rows.found.contains(id) || rows.refused.contains(id)) continue;
    Ids only(1, id);
    MILLRACE_CO_TRY(alone, co_await fetch_rows(*rpc_, plan->model, only, names));
    rows.found.merge(alone.found);
    rows.refused.merge(alone.refused);
  }
  co_return rows;
}

Awaitable<Result<std::string>> OdooReader::server_time() {
  // Each login leaves a res.users.log row whose create_date is the database's now().
  MILLRACE_CO_TRY(user, co_await rpc_->log_in());
  Ids self(1, user);
  std::vector<std::string> fields{"login_date"};
  MILLRACE_CO_TRY(rows, co_await fetch_rows(*rpc_, "res.users", self, fields));
  const auto row = rows.found.find(user);
  std::string time = row == rows.found.end() ? std::string() : text_of(row->second, "login_date");
  if (time.empty()) {
    co_return fail(Errc::protocol, "Odoo shows no `login_date` of our own user");
  }
  co_return time;
}

Awaitable<Result<void>> OdooReader::check_plan(std::string model, FieldPlan plan) {
  OdooFields fresh(*rpc_);  // what was learnt before may be old
  auto resolved = co_await fresh.resolve(std::move(model), std::move(plan));
  if (!resolved) co_return std::unexpected(std::move(resolved).error());
  co_return Result<void>{};
}

Awaitable<Result<std::string>> OdooReader::check() {
  MILLRACE_CO_TRY(version, co_await rpc_->version());
  // Reads our user as records are read: a language that is not active shows here.
  MILLRACE_CO_CHECK_OK(co_await server_time());
  MILLRACE_CO_TRY(user, co_await rpc_->log_in());
  MILLRACE_CO_CHECK_OK(co_await rpc_->check_companies());
  co_return fmt::format("Odoo {}, user {}", version, user);
}

}  // namespace millrace::connectors
