// Listings of OdooReader: rows of a model in id order, or the parents that its rows touch.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "connectors/odoo/odoo_reader.hpp"

namespace millrace::connectors {
namespace {

constexpr int kLinesPerPage = 1000;

std::string text_of(const Json& row, std::string_view name) {
  return std::string(string_or(row, name, ""));
}

/// The domain and one more condition that must hold as well.
Json with_condition(const Json& domain, std::string_view field, std::string_view operation,
                    std::int64_t value) {
  JsonArray all;  // not JsonArray{JsonArray{...}}: that is a copy, not a list in a list
  all.emplace_back(JsonArray{field, operation, value});
  for (const Json& term : domain.get_array()) all.push_back(term);
  return all;
}

/// Lines of one page, in the order of their parents.
struct ParentPage {
  std::vector<ListedRecord> parents;
  bool full = false;
};

ParentPage group_by_parent(const JsonArray& lines, const std::string& field) {
  ParentPage page;
  page.full = lines.size() >= static_cast<std::size_t>(kLinesPerPage);
  for (const Json& line : lines) {
    const Json* raw = find(line, field);
    const std::int64_t parent = raw != nullptr ? many2one_id(*raw) : 0;
    if (parent == 0) continue;
    if (page.parents.empty() || page.parents.back().id != parent) {
      page.parents.push_back({parent, "", ""});
    }
    ListedRecord& last = page.parents.back();
    std::string written = text_of(line, "write_date");
    if (written > last.write_date) {
      last.write_date = std::move(written);
      last.create_date = text_of(line, "create_date");
    }
  }
  return page;
}

}  // namespace

Awaitable<Result<JsonArray>> OdooReader::search(std::string model, Json domain,
                                                std::vector<std::string> fields, std::string order,
                                                int limit) {
  JsonObject kwargs;
  kwargs["domain"] = std::move(domain);
  kwargs["fields"] = JsonArray(fields.begin(), fields.end());
  kwargs["order"] = order;
  kwargs["limit"] = limit;
  kwargs["load"] = nullptr;
  JsonArray none;
  auto answer = co_await rpc_->call(model, "search_read", std::move(none), std::move(kwargs));
  if (!answer) {
    OdooFault fault = std::move(answer).error();
    if (fault.kind == OdooFault::Kind::access) fault.error.code = Errc::peer_auth;
    co_return std::unexpected(std::move(fault.error));
  }
  if (!answer->is_array()) {
    co_return fail(Errc::protocol, fmt::format("search_read of {} returned no list", model));
  }
  co_return std::move(answer->get_array());
}

Awaitable<Result<std::vector<ListedRecord>>> OdooReader::list(ListRequest request) {
  if (!request.domain.is_array()) {
    co_return fail(Errc::invalid_argument, "a domain is a list of conditions");
  }
  request.limit = std::clamp(request.limit, 1, kListMax);
  if (!request.touched_field.empty()) {
    auto parents = co_await list_parents(std::move(request));
    co_return parents;
  }
  std::vector<std::string> fields{"write_date", "create_date"};
  Json domain = with_condition(request.domain, "id", ">", request.after_id);
  MILLRACE_CO_TRY(rows,
                  co_await search(request.model, std::move(domain), fields, "id", request.limit));
  std::vector<ListedRecord> listed;
  listed.reserve(rows.size());
  for (const Json& row : rows) {
    listed.push_back(
        {int_or(row, "id", 0), text_of(row, "write_date"), text_of(row, "create_date")});
  }
  co_return listed;
}

Awaitable<Result<std::vector<ListedRecord>>> OdooReader::list_parents(ListRequest request) {
  const std::string field = request.touched_field;
  const auto limit = static_cast<std::size_t>(request.limit);
  std::vector<std::string> fields{field, "write_date", "create_date"};
  std::vector<ListedRecord> listed;
  std::int64_t after = request.after_id;
  // Every turn adds a parent at least, so there are at most `limit` turns.
  while (listed.size() < limit) {
    // Not `>`: Odoo reads a many2one compared with 0 as "no record" and finds nothing.
    Json domain = with_condition(request.domain, field, ">=", after + 1);
    MILLRACE_CO_TRY(lines, co_await search(request.model, std::move(domain), fields,
                                           fmt::format("{}.id, id", field), kLinesPerPage));
    ParentPage page = group_by_parent(lines, field);
    if (page.parents.empty()) break;
    if (page.full && page.parents.size() > 1) {
      page.parents.pop_back();  // its lines may go on beyond this page
    } else if (page.full) {
      // More lines than a page: only the one written last matters.
      Json own = with_condition(request.domain, field, "=", page.parents.back().id);
      MILLRACE_CO_TRY(last,
                      co_await search(request.model, std::move(own), fields, "write_date desc", 1));
      ParentPage newest = group_by_parent(last, field);
      if (!newest.parents.empty()) page.parents = std::move(newest.parents);
    }
    after = page.parents.back().id;
    listed.insert(listed.end(), page.parents.begin(), page.parents.end());
    if (!page.full) break;
  }
  if (listed.size() > limit) listed.resize(limit);
  co_return listed;
}

}  // namespace millrace::connectors
