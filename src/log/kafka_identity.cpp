#include "log/kafka_identity.hpp"

#include <fmt/format.h>

#include <utility>

#include "millrace/json.hpp"

namespace millrace::log {

Result<std::optional<std::string>> KafkaIdentity::find() const {
  MILLRACE_TRY(ends, admin.ends(topic, 1));
  if (ends.at(0) == 0) return std::optional<std::string>();
  MILLRACE_TRY(reader, readers.take());
  MILLRACE_CHECK_OK(reader->assign({{topic, 0, 0}}));
  const KafkaBatch got = reader->next(1, 1, answer_within);
  if (!got.problems().empty()) return std::unexpected(got.problems().front().error);
  if (got.records().empty()) {
    return fail(Errc::not_connected, fmt::format("the first record of {} says who the log is, and "
                                                 "does not come: {}",
                                                 topic, reader->health().reason));
  }
  MILLRACE_TRY(json, parse_json(got.records().front().value));
  std::string uuid(string_or(json, "log", ""));
  if (uuid.empty() || int_or(json, "format", 0) != 1 ||
      int_or(json, "partitions", 0) != kPartitionCount) {
    return fail(Errc::newer_format,
                fmt::format("the first record of {} is none that this version knows", topic));
  }
  readers.give_back(std::move(reader));
  return std::optional(std::move(uuid));
}

Result<std::string> KafkaIdentity::find_or_make(
    const std::function<Result<void>(std::string)>& write) const {
  MILLRACE_TRY(known, find());
  if (known) return *std::move(known);
  MILLRACE_CHECK_OK(write(
      fmt::format(R"({{"log":"{}","partitions":{},"format":1}})", random_uuid(), kPartitionCount)));
  MILLRACE_TRY(made, find());
  if (made) return *std::move(made);
  return fail(Errc::internal, "who the log is was written and is not there");
}

}  // namespace millrace::log
