#include "route/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "millrace/json.hpp"

namespace millrace::route {
namespace {

constexpr std::size_t kCapacityKept = 16;  // while nothing is open

}  // namespace

void Progress::see(Offset next) {
  seen_ = std::max(seen_, next);
  std::erase_if(before_, [this](const auto& range) { return range.second < cursor(); });
}

void Progress::take(Offset offset) {
  open_.push_back(offset);
  seen_ = std::max(seen_, offset + 1);
}

void Progress::settle(Offset offset) {
  const auto at = std::ranges::lower_bound(open_, offset);
  if (at != open_.end() && *at == offset) open_.erase(at);
  if (open_.empty() && open_.capacity() > kCapacityKept) open_ = {};
}

void Progress::move_to(Offset next, const std::vector<Offset>& settled) {
  MILLRACE_INVARIANT(open_.empty());
  seen_ = next;
  for (const Offset offset : settled) {
    if (!was_settled(offset)) before_.emplace_back(offset, offset);
  }
  std::ranges::sort(before_);
  see(next);
}

bool Progress::was_settled(Offset offset) const {
  return std::ranges::any_of(before_, [offset](const auto& range) {
    return range.first <= offset && offset <= range.second;
  });
}

void Progress::lift(Offset through) {
  see(through);
  saved_cursor_ = cursor();
  saved_taken_ = taken_through();
}

std::string Progress::encode(std::string_view log_uuid, Row row) {
  std::string text = fmt::format(R"({{"log":"{}","next":{},"settled":[)", log_uuid, cursor());
  bool first = true;
  const auto range = [&](Offset begin, Offset end) {
    if (begin >= end) return;
    fmt::format_to(std::back_inserter(text), "{}[{},{}]", first ? "" : ",", begin, end - 1);
    first = false;
  };
  // Between two open offsets everything is settled. What a restart has not read again yet stays as
  // it was known before.
  for (std::size_t i = 0; i < open_.size(); ++i) {
    range(open_[i] + 1, i + 1 < open_.size() ? open_[i + 1] : seen_);
  }
  for (const auto& [begin, end] : before_) range(std::max(begin, seen_), end + 1);
  text += ']';
  saved_cursor_ = cursor();
  saved_taken_ = taken_through();
  if (saved_taken_ != saved_cursor_) {
    fmt::format_to(std::back_inserter(text), R"(,"taken":{})", saved_taken_);
  }
  row_ = row;
  if (row == Row::on_tail) text += R"(,"tail":true)";
  text += '}';
  return text;
}

Result<Progress> Progress::decode(std::string_view text, std::string_view log_uuid) {
  MILLRACE_TRY(json, parse_json(text));
  if (const std::string_view log = string_or(json, "log", ""); log != log_uuid) {
    return fail(Errc::wrong_environment,
                fmt::format("a cursor belongs to log {}, but this log is {}: restore the state, or "
                            "move it away and run `millrace state adopt --routes-from POSITION "
                            "--reason TEXT`",
                            log, log_uuid));
  }
  const std::int64_t next = int_or(json, "next", 0);
  Progress progress(static_cast<Offset>(next));
  progress.taken_before_ = static_cast<Offset>(int_or(json, "taken", next));
  const Json* tail = find(json, "tail");
  if (tail != nullptr && tail->is_bool() && tail->get_bool()) progress.row_ = Row::on_tail;
  progress.saved_cursor_ = progress.cursor();
  progress.saved_taken_ = progress.taken_before_;
  const Json* ranges = find(json, "settled");
  if (ranges == nullptr || !ranges->is_array()) return progress;
  for (const Json& range : ranges->get_array()) {
    const JsonArray* pair = range.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_int64()) {
      return fail(Errc::corrupt, "a cursor's window does not have the documented form");
    }
    progress.before_.emplace_back((*pair)[0].get_int64(), (*pair)[1].get_int64());
  }
  return progress;
}

}  // namespace millrace::route
