#include "stores/kafka_settings.hpp"

namespace millrace::stores {

KafkaSettings kafka_settings(const config::Installation& installation) {
  const config::KafkaLog& kafka = *installation.kafka_log;
  KafkaSettings settings;
  settings.brokers = kafka.brokers;
  settings.client_id = "millrace-" + installation.name;
  if (kafka.tls) {
    settings.tls = true;
    settings.tls_ca = kafka.tls->ca;
    settings.tls_cert = kafka.tls->certificate;
    settings.tls_key = kafka.tls->key;
  }
  if (kafka.sasl) {
    settings.sasl_mechanism = kafka.sasl->mechanism;
    settings.sasl_user = kafka.sasl->user;
    settings.sasl_password = kafka.sasl->password;
  }
  return settings;
}

}  // namespace millrace::stores
