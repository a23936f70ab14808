// Who a log on Kafka is: the first record of a topic of its own says so, and stays there.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_log_reader.hpp"

namespace millrace::log {

struct KafkaIdentity {
  KafkaAdmin& admin;
  KafkaReaderPool& readers;
  std::string topic;
  milliseconds answer_within{30'000};

  /// The UUID; `write` appends a new one when there is none. Of two that do so at once the first
  /// record counts. Errc::newer_format for an identity of another form, not_connected.
  Result<std::string> find_or_make(const std::function<Result<void>(std::string)>& write) const;

 private:
  Result<std::optional<std::string>> find() const;
};

}  // namespace millrace::log
