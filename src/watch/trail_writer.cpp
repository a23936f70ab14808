#include "watch/trail_writer.hpp"

#include <utility>

#include "millrace/json.hpp"

namespace millrace::watch {
namespace {

constexpr std::size_t kLinesBytesMax = 64 * 1024;
constexpr std::size_t kDetailBytesMax = 300;
constexpr milliseconds kFlushAfter{50};

void member(std::string& out, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  out += ",\"";
  out += key;
  out += "\":";
  append_json_string(out, value);
}

// Cuts at a character, never inside one: half a character would make the line unreadable.
std::string_view shortened(std::string_view text) {
  if (text.size() <= kDetailBytesMax) return text;
  std::size_t end = kDetailBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

TrailWriter::TrailWriter(EventLog& log, Executor& shard, Partition partition, Clock& clock,
                         Later later)
    : log_(log), shard_(shard), partition_(partition), clock_(clock), later_(std::move(later)) {}

void TrailWriter::note(const Hop& hop) {
  lines_ += "{\"at\":\"";
  lines_ += to_rfc3339(clock_.wall_now());
  lines_ += '"';
  member(lines_, "record", hop.record);
  member(lines_, "stage", hop.stage);
  member(lines_, "owner", hop.owner);
  member(lines_, "what", hop.what);
  member(lines_, "event", hop.event);
  member(lines_, "detail", shortened(hop.detail));
  lines_ += "}\n";
  if (lines_.size() >= kLinesBytesMax) {
    flush();
  } else if (!scheduled_) {
    scheduled_ = true;
    later_(kFlushAfter, [this] {
      scheduled_ = false;
      flush();
    });
  }
}

void TrailWriter::flush() {
  if (lines_.empty()) return;
  std::vector<LogEntry> group;
  group.push_back({partition_, "hops", std::exchange(lines_, {})});
  // A full disk costs hops, not deliveries: the trail is not what the promise rests on.
  log_.append(Journal::trail, std::move(group), shard_, [](const Result<std::vector<Offset>>&) {});
}

}  // namespace millrace::watch
