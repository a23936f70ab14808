#include "ingress/kafka_progress.hpp"

#include <charconv>

#include "millrace/json.hpp"
#include "millrace/state_store.hpp"

namespace millrace::ingress {

std::string encode(const KafkaProgress& progress) {
  JsonObject offsets;
  for (const auto& [partition, offset] : progress.offsets)
    offsets.emplace(std::to_string(partition), offset);
  JsonObject row{{"topic", progress.topic}, {"offsets", std::move(offsets)}};
  if (progress.stop)
    row.emplace("stop", JsonObject{{"reason", progress.stop->reason},
                                   {"since", to_rfc3339(progress.stop->since)}});
  return write_json(Json(std::move(row)));
}

Result<KafkaProgress> decode_kafka_progress(std::string_view text) {
  MILLRACE_TRY(row, parse_json(text));
  KafkaProgress progress;
  progress.topic = string_or(row, "topic", "");
  const Json* offsets = find(row, "offsets");
  if (offsets == nullptr || !offsets->is_object())
    return fail(Errc::corrupt, "the progress of a Kafka connection has no offsets");
  for (const auto& member : offsets->get_object()) {
    std::int32_t partition = -1;
    std::from_chars(member.key().data(), member.key().data() + member.key().size(), partition);
    if (partition < 0 || !member.value().is_int64())
      return fail(Errc::corrupt, "the progress of a Kafka connection has an offset that is none");
    progress.offsets[partition] = member.value().get_int64();
  }
  if (const Json* stop = find(row, "stop")) {
    MILLRACE_TRY(since, parse_rfc3339(string_or(*stop, "since", "")));
    progress.stop = {std::string(string_or(*stop, "reason", "")), since};
  }
  return progress;
}

std::string kafka_progress_key(std::string_view connection) {
  return row_key("kafka", connection);
}

}  // namespace millrace::ingress
