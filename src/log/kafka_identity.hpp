// Who a log on Kafka is: the first record of a topic of its own says so, and stays there. Of a log
// that was copied, later records say how far the copy came (stores/copy_mark.hpp).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_log_reader.hpp"
#include "millrace/json.hpp"

namespace millrace::log {

struct KafkaIdentity {
  KafkaAdmin& admin;
  KafkaReaderPool& readers;
  std::string topic;
  milliseconds answer_within{30'000};

  /// The UUID; `write` appends a new one when there is none. Of two that do so at once the first
  /// record counts. Errc::newer_format for an identity of another form, not_connected, conflict for
  /// a copy that is not complete.
  Result<std::string> find_or_make(const std::function<Result<void>(std::string)>& write) const;

  /// All that the topic says, the oldest first.
  Result<std::vector<Json>> records() const;

 private:
  Result<std::optional<std::string>> find() const;
};

/// The text of a new identity. `copy_of`: the log it becomes a copy of; empty: none.
std::string kafka_identity_text(std::string_view uuid, std::string_view copy_of = {});
/// The UUID in an identity. Errc::newer_format when it is none.
Result<std::string> kafka_identity_of(const Json& record, std::string_view topic);

}  // namespace millrace::log
