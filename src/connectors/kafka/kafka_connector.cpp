// The kafka connector: a source whose records are the payload. `record:`, `version:` and `id:` are
// keys of connections and are read by ingress, which consumes the topic.
#include "connectors/kafka/kafka_options.hpp"
#include "millrace/connector.hpp"

namespace millrace {
namespace {

class KafkaType final : public ConnectorType {
 public:
  std::string_view name() const override { return "kafka"; }

  const AnySpec& spec() const override {
    static const auto spec =
        Spec<KafkaOptions>("kafka", "Records of a Kafka topic, each the payload.")
            .option("brokers", &KafkaOptions::brokers, "The brokers asked first.")
            .required()
            .example("k1.example.com:9092,k2.example.com:9092")
            .option("topic", &KafkaOptions::topic, "The topic that is read, all its partitions.")
            .required()
            .example("shop.orders")
            .option("tls", &KafkaOptions::tls, "Whether the brokers speak TLS.")
            .option("ca_file", &KafkaOptions::ca_file,
                    "PEM file of the authorities to trust instead of the system's.")
            .option("cert_file", &KafkaOptions::cert_file,
                    "PEM file of our certificate, where brokers ask for one.")
            .option("key_file", &KafkaOptions::key_file, "PEM file of its key.")
            .option("sasl", &KafkaOptions::sasl, "How `user` and `password` are shown.",
                    SpecNames<KafkaSasl>{{"scram_sha_512", KafkaSasl::scram_sha_512},
                                         {"scram_sha_256", KafkaSasl::scram_sha_256},
                                         {"plain", KafkaSasl::plain}})
            .option("user", &KafkaOptions::user, "Who the broker acts as; without it, no SASL.")
            .option("password", &KafkaOptions::password, "The user's password.")
            .secret()
            .option("start", &KafkaOptions::start,
                    "Where a partition begins that was never read: with what comes from `now` on, "
                    "or at the `beginning`.",
                    SpecNames<KafkaStart>{{"now", KafkaStart::now},
                                          {"beginning", KafkaStart::beginning}});
    return spec;
  }

  Result<std::unique_ptr<Sink>> make_sink(const std::any&, ConnectionContext) const override {
    return fail(Errc::not_supported, "a kafka connection only receives");
  }

  Result<std::unique_ptr<RecordReader>> make_reader(const std::any&,
                                                    ConnectionContext) const override {
    return fail(Errc::not_supported, "a record is the payload; there is nothing to read back");
  }
};

}  // namespace

void register_kafka(ConnectorRegistry& registry);
void register_kafka(ConnectorRegistry& registry) {
  registry.add(std::make_unique<KafkaType>());
}

}  // namespace millrace
