#include "log/kafka_identity.hpp"

#include <fmt/format.h>

#include <utility>

#include "log/manifest.hpp"

namespace millrace::log {

std::string kafka_identity_text(std::string_view uuid, std::string_view copy_of) {
  JsonObject identity{{"log", uuid}, {"partitions", kPartitionCount}, {"format", 1}};
  if (!copy_of.empty()) identity["copy_of"] = copy_of;
  return write_json(Json(std::move(identity)));
}

Result<std::string> kafka_identity_of(const Json& record, std::string_view topic) {
  std::string uuid(string_or(record, "log", ""));
  if (!uuid.empty() && int_or(record, "format", 0) == 1 &&
      int_or(record, "partitions", 0) == kPartitionCount) {
    return uuid;
  }
  return fail(Errc::newer_format,
              fmt::format("the first record of {} is none that this version knows", topic));
}

Result<std::vector<Json>> KafkaIdentity::records() const {
  MILLRACE_TRY(begins, admin.begins(topic, 1));
  MILLRACE_TRY(ends, admin.ends(topic, 1));
  std::vector<Json> said;
  std::int64_t next = begins.at(0);
  if (next >= ends.at(0)) return said;
  MILLRACE_TRY(reader, readers.take());
  MILLRACE_CHECK_OK(reader->assign({{topic, 0, next}}));
  while (next < ends.at(0)) {
    const KafkaBatch got = reader->next(1000, std::size_t{1} << 20, answer_within);
    if (!got.problems().empty()) return std::unexpected(got.problems().front().error);
    if (got.records().empty()) {
      return fail(Errc::not_connected, fmt::format("the first record of {} says who the log is, "
                                                   "and does not come: {}",
                                                   topic, reader->health().reason));
    }
    for (const KafkaRecord& record : got.records()) {
      MILLRACE_TRY(json, parse_json(record.value));
      said.push_back(std::move(json));
      next = record.offset + 1;
    }
  }
  readers.give_back(std::move(reader));
  return said;
}

Result<std::optional<std::string>> KafkaIdentity::find() const {
  MILLRACE_TRY(said, records());
  if (said.empty()) return std::optional<std::string>();
  MILLRACE_TRY(uuid, kafka_identity_of(said.front(), topic));
  std::string copied(string_or(said.front(), "copy_of", "").empty() ? kCopyComplete : "");
  for (const Json& record : said) copied = string_or(record, "copy", copied);
  if (copied == kCopyComplete) return std::optional(std::move(uuid));
  return fail(Errc::conflict,
              fmt::format("the log of {} is a copy that is not complete: say `millrace log copy` "
                          "once more before anything starts on it",
                          topic));
}

Result<std::string> KafkaIdentity::find_or_make(
    const std::function<Result<void>(std::string)>& write) const {
  MILLRACE_TRY(known, find());
  if (known) return *std::move(known);
  MILLRACE_CHECK_OK(write(kafka_identity_text(random_uuid())));
  MILLRACE_TRY(made, find());
  if (made) return *std::move(made);
  return fail(Errc::internal, "who the log is was written and is not there");
}

}  // namespace millrace::log
