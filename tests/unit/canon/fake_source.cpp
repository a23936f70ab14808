#include "fake_source.hpp"

#include <algorithm>

#include "canon/collect_plan.hpp"
#include "net/callback.hpp"

namespace millrace::canon::test {

void FakeSource::put(const std::string& model, std::int64_t id, JsonObject value,
                     const std::string& write_date, const std::string& create_date) {
  const std::lock_guard lock(mutex_);
  value["id"] = id;
  Row& row = tables_[model][id];
  row.value = std::move(value);
  row.write_date = write_date;
  row.create_date = create_date;
}

void FakeSource::remove(const std::string& model, std::int64_t id) {
  const std::lock_guard lock(mutex_);
  tables_[model].erase(id);
}

void FakeSource::set_state(const std::string& model, std::int64_t id, ReadRecord::State state) {
  const std::lock_guard lock(mutex_);
  tables_[model].at(id).state = state;
}

void FakeSource::fail_with(Errc code, std::string message) {
  const std::lock_guard lock(mutex_);
  failure_.emplace(code, std::move(message));
}

void FakeSource::heal() {
  const std::lock_guard lock(mutex_);
  failure_.reset();
}

void FakeSource::fail_read_number(int calls) {
  const std::lock_guard lock(mutex_);
  fail_at_ = reads_ + calls;
}

void FakeSource::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeSource::release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  waiting_ = 0;
  for (auto& [shard, gate] : gates_) {
    shard->post([open = std::move(gate)]() mutable { open(true); });
  }
  gates_.clear();
}

void FakeSource::set_server_time(std::string time) {
  const std::lock_guard lock(mutex_);
  time_ = std::move(time);
}

int FakeSource::reads() const {
  const std::lock_guard lock(mutex_);
  return reads_;
}

int FakeSource::held() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

int FakeSource::server_times() const {
  const std::lock_guard lock(mutex_);
  return times_;
}

int FakeSource::times_read(const std::string& model, std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = read_counts_.find({model, id});
  return found == read_counts_.end() ? 0 : found->second;
}

std::vector<std::size_t> FakeSource::batches() const {
  const std::lock_guard lock(mutex_);
  return batches_;
}

ReadRecord FakeSource::look(const std::string& model, std::int64_t id) const {
  ReadRecord record;
  record.id = id;
  const auto table = tables_.find(model);
  if (table == tables_.end() || !table->second.contains(id)) return record;
  const Row& row = table->second.at(id);
  record.state = row.state;
  if (row.state != ReadRecord::State::found) {
    record.problem = "refused in this test";
    return record;
  }
  record.value = row.value;
  record.write_date = row.write_date;
  record.create_date = row.create_date;
  return record;
}

Awaitable<Result<std::vector<ReadRecord>>> FakeSource::read(Shard& caller, std::string,
                                                            ReadRequest request) {
  std::vector<ReadRecord> records;
  bool wait = false;
  {
    const std::lock_guard lock(mutex_);
    ++reads_;
    batches_.push_back(request.ids.size());
    if (failure_) co_return std::unexpected(*failure_);
    if (reads_ == fail_at_) co_return fail(Errc::unanswered, "lost in this test");
    for (const std::int64_t id : request.ids) {
      ++read_counts_[{request.model, id}];
      records.push_back(look(request.model, id));
    }
    wait = held_;
  }
  if (wait) {
    auto start = [this, &caller](std::move_only_function<void(bool)> done) {
      const std::lock_guard lock(mutex_);
      ++waiting_;
      gates_.emplace_back(&caller, std::move(done));
    };
    co_await await_callback<bool>(caller, std::move(start));
  }
  co_return records;
}

bool FakeSource::fits(std::int64_t id, const Row& row, const Json& term) {
  const JsonArray& parts = term.get_array();
  const std::string field(parts.at(0).get_string());
  const std::string operation(parts.at(1).get_string());
  if (operation == "in") {
    return std::ranges::any_of(parts.at(2).get_array(),
                               [id](const Json& wanted) { return wanted == Json(id); });
  }
  if (operation == ">=") return row.write_date >= std::string(parts.at(2).get_string());
  const Json* value = row.value.if_contains(field);
  return value != nullptr && equal_json(*value, parts.at(2));
}

std::int64_t FakeSource::listed_id(std::int64_t id, const Row& row, const ListRequest& request) {
  return request.touched_field.empty() ? id : reference_id(Json(row.value), request.touched_field);
}

Awaitable<Result<std::vector<ListedRecord>>> FakeSource::list(Shard&, std::string,
                                                              ListRequest request) {
  const std::lock_guard lock(mutex_);
  if (failure_) co_return std::unexpected(*failure_);
  std::map<std::int64_t, ListedRecord> found;
  for (const auto& [id, row] : tables_[request.model]) {
    const bool all = std::ranges::all_of(request.domain.get_array(),
                                         [&](const Json& term) { return fits(id, row, term); });
    const std::int64_t named = listed_id(id, row, request);
    if (all && named > request.after_id) found[named] = {named, row.write_date, row.create_date};
  }
  std::vector<ListedRecord> rows;
  for (const auto& [id, row] : found) {
    if (rows.size() < static_cast<std::size_t>(request.limit)) rows.push_back(row);
  }
  co_return rows;
}

Awaitable<Result<std::string>> FakeSource::server_time(Shard&, std::string) {
  const std::lock_guard lock(mutex_);
  ++times_;
  if (failure_) co_return std::unexpected(*failure_);
  co_return time_;
}

Awaitable<Result<void>> FakeSource::check_plan(Shard&, std::string, std::string, FieldPlan) {
  co_return Result<void>{};
}

Awaitable<Result<std::string>> FakeSource::check(Shard&, std::string) {
  co_return std::string("fake");
}

}  // namespace millrace::canon::test
