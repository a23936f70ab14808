// CloudEvents 1.0 over Kafka, binary mode (Kafka protocol binding 1.0.2): attributes are headers
// with the prefix ce_, `datacontenttype` is the header content-type, the value is the data.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/kafka_producer.hpp"
#include "millrace/event.hpp"

namespace millrace {

struct BoundEvent {
  std::vector<KafkaHeader> headers;
  std::string value;
};
using KafkaHeaderViews = std::span<const std::pair<std::string_view, std::string_view>>;

/// From the payload that `encode(event)` made, without parsing its data. Errc::malformed when it is
/// not of that form.
Result<BoundEvent> bind_event(std::string_view payload);
/// The way back: the payload that `encode(event)` made. For records of our own topics: the value is
/// not looked into. Errc::malformed without the attributes CloudEvents requires.
Result<std::string> unbind_event(KafkaHeaderViews headers, std::string_view value);

/// Whether a record claims to be a CloudEvent in binary mode.
bool is_bound_event(KafkaHeaderViews headers);

}  // namespace millrace
