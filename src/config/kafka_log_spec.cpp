#include "config/kafka_log_spec.hpp"

namespace millrace::config {

const Spec<KafkaLog>& kafka_spec() {
  static const auto tls =
      Spec<KafkaTls>("log.kafka.tls", "TLS to the brokers; `{}` trusts the system's authorities.")
          .option("ca", &KafkaTls::ca,
                  "PEM file of the authority the brokers' certificates are of.")
          .example("/etc/millrace/tls/kafka-ca.pem")
          .option("certificate", &KafkaTls::certificate,
                  "PEM file of our certificate, where brokers ask for one.")
          .option("key", &KafkaTls::key, "PEM file of its private key.");
  static const auto sasl =
      Spec<KafkaSasl>("log.kafka.sasl", "How we log in to the brokers.")
          .option("mechanism", &KafkaSasl::mechanism, "How the password is shown to the broker.")
          .one_of({"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"})
          .option("user", &KafkaSasl::user, "The user.")
          .required()
          .example("millrace")
          .option("password", &KafkaSasl::password, "Its password.")
          .required()
          .secret()
          .example("\"${secret.kafka_password}\"");
  static const auto made =
      Spec<KafkaLog>("log.kafka", "The log on Apache Kafka.")
          .option("brokers", &KafkaLog::brokers, "Those asked first, separated by commas.")
          .required()
          .example("\"k1:9092,k2:9092\"")
          .option("prefix", &KafkaLog::prefix,
                  "What its topics begin with; default: `millrace.` and the installation's name. "
                  "They are <prefix>.inbox, .trail, .log and .events.<entity>.")
          .example("millrace.lyon")
          .option("tls", &KafkaLog::tls, "TLS to the brokers.", tls)
          .option("sasl", &KafkaLog::sasl, "How we log in.", sasl)
          .option("ack", &KafkaLog::ack,
                  "When a sender is told that its message is safe. `auto`: when Kafka has "
                  "acknowledged it, or after 300 ms when it lies in the spool; `kafka`: when Kafka "
                  "has, else 503; `local`: when it lies in the spool. Default: `auto` with a "
                  "`spool` where there is one instance, else `kafka`.")
          .one_of({"auto", "kafka", "local"})
          .option("spool", &KafkaLog::spool,
                  "Directory on this machine's own disk where messages wait while Kafka is away; "
                  "default: `spool` in `data`, where `data` is written.")
          .example("/var/lib/millrace/spool");
  return made;
}

}  // namespace millrace::config
