#include "kafka/kafka_settings.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace {

namespace {

constexpr std::array<std::string_view, 3> kMechanisms{"SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"};

// What an operator need not know. A peer that is silent is given up after 15 s instead of 60, and
// one that comes back is found within a second.
constexpr std::array<std::pair<const char*, const char*>, 6> kDefaults{{
    {"socket.keepalive.enable", "true"},
    {"socket.timeout.ms", "15000"},
    {"socket.connection.setup.timeout.ms", "10000"},
    {"reconnect.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "1000"},
    {"log.connection.close", "false"},
}};

Errc errc_of(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return Errc::peer_auth;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return Errc::forbidden;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return Errc::not_found;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return Errc::corrupt;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return Errc::too_large;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
      return Errc::overloaded;
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return Errc::name_resolution;
    case RD_KAFKA_RESP_ERR__SSL:
      return Errc::tls;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      return Errc::not_connected;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return Errc::unanswered;
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
      return Errc::peer_unavailable;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
      return Errc::conflict;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return Errc::invalid_argument;
    default:
      return Errc::peer_rejected;
  }
}

}  // namespace

Error kafka_error(int response_error, std::string what) {
  return Error(errc_of(static_cast<rd_kafka_resp_err_t>(response_error)), std::move(what));
}

Error kafka_error_while(int response_error, const std::string& doing) {
  const auto error = static_cast<rd_kafka_resp_err_t>(response_error);
  return kafka_error(response_error, fmt::format("{}: {}", doing, rd_kafka_err2str(error)));
}

Result<KafkaProperties> properties_of(const KafkaSettings& settings) {
  if (settings.brokers.empty())
    return fail(Errc::config, "`brokers` is empty; write for example \"kafka.example.com:9092\"");
  const bool has_tls_file =
      !settings.tls_ca.empty() || !settings.tls_cert.empty() || !settings.tls_key.empty();
  if (has_tls_file && !settings.tls)
    return fail(Errc::config, "a CA, certificate or key is given for Kafka, but no TLS");
  if (settings.tls_cert.empty() != settings.tls_key.empty())
    return fail(Errc::config, "a certificate for Kafka needs its key, and a key its certificate");
  const bool has_sasl = !settings.sasl_user.empty();
  if (has_sasl && std::ranges::find(kMechanisms, settings.sasl_mechanism) == kMechanisms.end())
    return fail(Errc::config, fmt::format("the SASL mechanism \"{}\" is not one of {}",
                                          settings.sasl_mechanism, fmt::join(kMechanisms, ", ")));
  KafkaProperties properties(kDefaults.begin(), kDefaults.end());
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) properties.emplace_back(name, value);
  };
  add("bootstrap.servers", settings.brokers);
  add("client.id", settings.client_id);
  add("security.protocol",
      std::string(has_sasl ? "sasl_" : "") + (settings.tls ? "ssl" : "plaintext"));
  if (settings.tls) add("ssl.endpoint.identification.algorithm", "https");
  add("ssl.ca.location", settings.tls_ca);
  add("ssl.certificate.location", settings.tls_cert);
  add("ssl.key.location", settings.tls_key);
  if (has_sasl) {
    add("sasl.mechanisms", settings.sasl_mechanism);
    add("sasl.username", settings.sasl_user);
    add("sasl.password", settings.sasl_password);
  }
  add("statistics.interval.ms", std::to_string(settings.statistics_every.count()));
  return properties;
}

}  // namespace millrace
