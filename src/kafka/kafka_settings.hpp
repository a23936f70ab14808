// How a Kafka cluster is reached, and the errors of everything that talks to one.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace {

struct KafkaSettings {
  std::string brokers;                 ///< "k1:9092,k2:9092": those asked first
  std::string client_id = "millrace";  ///< as brokers show it in their logs and quotas
  bool tls = false;
  std::string tls_ca;                            ///< PEM file; empty: the system's authorities
  std::string tls_cert;                          ///< PEM file of our certificate; empty: none
  std::string tls_key;                           ///< PEM file of its key
  std::string sasl_mechanism = "SCRAM-SHA-512";  ///< or SCRAM-SHA-256, PLAIN
  std::string sasl_user;                         ///< empty: no SASL
  std::string sasl_password;                     ///< in no error and no log line
  /// How often numbers are gathered for metrics; 0: never.
  milliseconds statistics_every{5'000};
};

/// Names and values in librdkafka's own words (its CONFIGURATION.md).
using KafkaProperties = std::vector<std::pair<std::string, std::string>>;

/// The settings in librdkafka's words. Errc::config for what contradicts itself.
Result<KafkaProperties> properties_of(const KafkaSettings& settings);

/// What one of rd_kafka_resp_err_t means to us; `what` is the sentence, with the broker's reason.
Error kafka_error(int response_error, std::string what);
/// The same with librdkafka's own description after `doing`: "{doing}: {reason}".
Error kafka_error_while(int response_error, const std::string& doing);

}  // namespace millrace
