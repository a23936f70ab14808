// The declaration of `log: { kafka: … }`.
#pragma once

#include "config/model.hpp"
#include "millrace/spec.hpp"

namespace millrace::config {

const Spec<KafkaLog>& kafka_spec();

}  // namespace millrace::config
