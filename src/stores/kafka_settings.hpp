// What a configuration says of the Kafka its log lies in, as clients take it.
#pragma once

#include "config/model.hpp"
#include "kafka/kafka_settings.hpp"

namespace millrace::stores {

/// Of an installation whose log is on Kafka.
KafkaSettings kafka_settings(const config::Installation& installation);

}  // namespace millrace::stores
