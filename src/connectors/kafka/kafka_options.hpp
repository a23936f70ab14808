// What a connection of type kafka says beyond the keys of every connection.
#pragma once

#include <cstdint>
#include <string>

namespace millrace {

enum class KafkaSasl : std::uint8_t { scram_sha_512, scram_sha_256, plain };
enum class KafkaStart : std::uint8_t { now, beginning };

struct KafkaOptions {
  std::string brokers;
  std::string topic;
  bool tls = false;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  KafkaSasl sasl = KafkaSasl::scram_sha_512;
  std::string user;
  std::string password;
  KafkaStart start = KafkaStart::now;
};

}  // namespace millrace
