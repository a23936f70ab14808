// A copy of a log on the topics of a Kafka.
#pragma once

#include <memory>
#include <string>

#include "config/model.hpp"
#include "stores/log_copy_target.hpp"

namespace millrace::stores {

/// Errc::not_connected when no broker answers.
Result<std::unique_ptr<LogCopyTarget>> open_kafka_copy_target(const config::Installation& to);

}  // namespace millrace::stores
