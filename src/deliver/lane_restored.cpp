// After a restore: an event that the lost instance may have sent is not simply sent.
#include <fmt/format.h>

#include <charconv>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"
#include "deliver/repeat.hpp"

namespace millrace::deliver {
namespace {

bool is_idempotent_method(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS";
}

// A source's version that is a time: "2026-11-21 22:05:48" of Odoo, or RFC 3339.
std::optional<WallTime> time_of(std::string version) {
  constexpr std::size_t kSeparator = 10;
  if (version.size() > kSeparator && version[kSeparator] == ' ') {
    version[kSeparator] = 'T';
    version += 'Z';
  }
  const auto time = parse_rfc3339(version);
  return time ? std::optional(*time) : std::nullopt;
}

// "12:345": the inbox message it came from was in the backup.
bool comes_from(const std::string& cause, const PartitionOffsets& inbox_below) {
  Partition partition = 0;
  Offset offset = 0;
  const std::size_t colon = cause.find(':');
  if (colon == cause.npos) return false;
  const char* end = cause.data() + cause.size();
  return std::from_chars(cause.data(), cause.data() + colon, partition).ec == std::errc{} &&
         std::from_chars(cause.data() + colon + 1, end, offset).ec == std::errc{} &&
         partition < kPartitionCount && offset < inbox_below[partition];
}

}  // namespace

Repeat repeat_of(const config::RouteRequest& request, bool keys_honoured) {
  switch (request.unknown) {
    case config::UnknownPolicy::retry:
      return Repeat::send;
    case config::UnknownPolicy::ask:
      return Repeat::ask;
    case config::UnknownPolicy::by_method:
      break;
  }
  if (request.probe != nullptr) return Repeat::probe;
  return keys_honoured || is_idempotent_method(request.method) ? Repeat::send : Repeat::ask;
}

std::string reason_to_ask(WallTime backup_at) {
  return fmt::format(
      "restored from the backup of {}, so it may have been sent since; look there, then: millrace "
      "parked release ID --applied [EXTERNAL_ID] | --not-applied --reason TEXT",
      to_rfc3339(backup_at));
}

// What changed before the restore and is seen again only now: the lost instance may have seen it
// too.
bool Lane::made_again(const Item& item) const {
  const Event& event = item.event->event;
  if (comes_from(event.cause, restored_->inbox_below)) return true;
  if (item.appended_at >= restored_->caught_up_at) return false;
  const auto changed = time_of(event.version);
  return changed && *changed < restored_->restored_at;
}

bool Lane::asked_after_restore(const ItemPtr& item) {
  if (!restored_) return false;
  const bool in_backup = item->offset < restored_->events_below[item->partition];
  if (!in_backup && !made_again(*item)) return false;
  // An event of the backup goes with the key it had; one that is made again has another.
  switch (repeat_of(*item->request, in_backup && target_->idempotent())) {
    case Repeat::send:
      return false;
    case Repeat::probe:
      item->unanswered = true;
      return false;
    case Repeat::ask:
      break;
  }
  hold(*item);
  park(item, ParkedState::unknown, reason_to_ask(restored_->backup_at), "restored");
  return true;
}

}  // namespace millrace::deliver
