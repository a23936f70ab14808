#include "route/progress.hpp"

#include <fmt/format.h>

#include "millrace/json.hpp"

namespace millrace::route {

void Progress::settle(Offset offset) {
  if (offset < cursor_) return;
  const Offset index = offset - cursor_;
  if (index >= beyond_.size()) beyond_.resize(index + 1, false);
  if (beyond_[index]) return;
  beyond_[index] = true;
  ++beyond_count_;
  slide();
}

bool Progress::is_settled(Offset offset) const {
  if (offset < cursor_) return true;
  const Offset index = offset - cursor_;
  return index < beyond_.size() && beyond_[index];
}

void Progress::advance_to(Offset offset) {
  while (cursor_ < offset) {
    if (beyond_.empty()) {
      cursor_ = offset;
      return;
    }
    if (beyond_.front()) --beyond_count_;
    beyond_.pop_front();
    ++cursor_;
  }
  slide();
}

void Progress::slide() {
  while (!beyond_.empty() && beyond_.front()) {
    beyond_.pop_front();
    --beyond_count_;
    ++cursor_;
  }
}

std::string Progress::encode(std::string_view log_uuid) const {
  std::string text = fmt::format(R"({{"log":"{}","next":{},"settled":[)", log_uuid, cursor_);
  bool first = true;
  for (std::size_t i = 0; i < beyond_.size(); ++i) {
    if (!beyond_[i]) continue;
    std::size_t end = i;
    while (end + 1 < beyond_.size() && beyond_[end + 1]) ++end;
    fmt::format_to(std::back_inserter(text), "{}[{},{}]", first ? "" : ",", cursor_ + i,
                   cursor_ + end);
    first = false;
    i = end;
  }
  text += "]}";
  return text;
}

Result<Progress> Progress::decode(std::string_view text, std::string_view log_uuid) {
  MILLRACE_TRY(json, parse_json(text));
  if (const std::string_view log = string_or(json, "log", ""); log != log_uuid) {
    return fail(Errc::wrong_environment,
                fmt::format("a cursor belongs to log {}, but this log is {}", log, log_uuid));
  }
  Progress progress(static_cast<Offset>(int_or(json, "next", 0)));
  const Json* ranges = find(json, "settled");
  if (ranges == nullptr || !ranges->is_array()) return progress;
  for (const Json& range : ranges->get_array()) {
    const JsonArray* pair = range.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_int64() ||
        (*pair)[1].get_int64() - (*pair)[0].get_int64() > static_cast<std::int64_t>(kWindowMax)) {
      return fail(Errc::corrupt, "a cursor's window does not have the documented form");
    }
    for (auto offset = (*pair)[0].get_int64(); offset <= (*pair)[1].get_int64(); ++offset) {
      progress.settle(static_cast<Offset>(offset));
    }
  }
  return progress;
}

}  // namespace millrace::route
