#include "stores/copy_mark.hpp"

#include "millrace/offsets.hpp"

namespace millrace::stores {
namespace {

Json streams_json(const StreamOffsets& streams) {
  JsonObject json;
  for (const auto& [name, offsets] : streams) json.emplace(name, offsets_json(offsets));
  return Json(std::move(json));
}

Result<StreamOffsets> streams_of(const Json& json, std::string_view key) {
  StreamOffsets streams;
  const Json* object = find(json, key);
  if (object == nullptr || !object->is_object()) return streams;
  for (const auto& [name, ignored] : object->get_object()) {
    MILLRACE_TRY(offsets, offsets_of(*object, name));
    streams.emplace(name, offsets);
  }
  return streams;
}

template <typename Of>
StreamOffsets of_all(const EventLog& log, const Of& of) {
  StreamOffsets streams;
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    for (const LogStream& stream : log.streams(journal)) {
      streams.emplace(to_string(stream), of(stream));
    }
  }
  return streams;
}

}  // namespace

std::string encode(const CopyMark& mark) {
  return write_json(Json(JsonObject{{"copy", mark.stage},
                                    {"from", mark.from},
                                    {"begins", streams_json(mark.begins)},
                                    {"ends", streams_json(mark.ends)},
                                    {"holes", mark.holes.json()}}));
}

Result<CopyMark> decode_copy_mark(const Json& json) {
  CopyMark mark;
  mark.stage = string_or(json, "copy", "");
  mark.from = string_or(json, "from", "");
  MILLRACE_TRY(begins, streams_of(json, "begins"));
  MILLRACE_TRY(ends, streams_of(json, "ends"));
  mark.begins = std::move(begins);
  mark.ends = std::move(ends);
  if (const Json* holes = find(json, "holes")) {
    MILLRACE_TRY(found, Holes::of(*holes));
    mark.holes = std::move(found);
  }
  return mark;
}

StreamOffsets begins_of(const EventLog& log) {
  return of_all(log, [&log](const LogStream& stream) { return log.begins(stream); });
}

StreamOffsets ends_of(const EventLog& log) {
  return of_all(log, [&log](const LogStream& stream) { return log.ends(stream); });
}

}  // namespace millrace::stores
