// The document that begins with `name:`.
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <memory>

#include "config/kafka_log_spec.hpp"
#include "config/loading.hpp"
#include "config/object_specs.hpp"
#include "config/text_values.hpp"
#include "config/variables.hpp"
#include "config/yaml.hpp"

namespace millrace::config {
namespace {

constexpr std::size_t kSchemaNameMax = 63;  // PostgreSQL cuts longer names off
// Kafka's topics have at most 249 characters, and an entity's name follows.
constexpr std::size_t kTopicPrefixMax = 100;
constexpr std::size_t kInstanceNameMax = 63;

struct LogYaml {
  std::string files;
  std::optional<KafkaLog> kafka;
};
struct StateYaml {
  std::string sqlite;
  std::string postgresql;
  std::string schema = "millrace";
};
struct SecretsYaml {
  std::string directory;
};
struct DedupeYaml {
  std::chrono::hours window{7 * 24};
  std::uint64_t max_ids = 50'000'000;
};
struct InstallationYaml {
  std::string name;
  std::string instance;
  std::string environment = "dev";
  std::string listen = "127.0.0.1:8480";
  std::string admin = "127.0.0.1:8481";
  LogYaml log;
  StateYaml state;
  std::string data;
  SecretsYaml secrets;
  std::optional<TlsFiles> tls;
  Retention retention;
  DedupeYaml dedupe;
};

// "50M", "200k" or a plain integer.
SpecCodec<std::uint64_t> count_codec() {
  SpecCodec<std::uint64_t> made;
  made.type = "count";
  made.read = [](const Node& node, SpecReader& reader, const SpecOption&, std::uint64_t& out) {
    std::string_view text = node.text;
    std::uint64_t factor = 1;
    if (text.ends_with('k')) factor = 1000;
    if (text.ends_with('M')) factor = 1'000'000;
    if (factor != 1) text.remove_suffix(1);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
    if (!node.is_scalar() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() ||
        out == 0 || out > 1'000'000'000'000 / factor) {
      reader.error(node, "expected a count such as 50M, 200k or 1000");
      return false;
    }
    out *= factor;
    return true;
  };
  made.show = [](const SpecOption&, const std::uint64_t& value) { return Json(value); };
  made.schema = [](const SpecOption&) {
    return Json(JsonObject{{"type", JsonArray{"integer", "string"}}});
  };
  return made;
}

const Spec<InstallationYaml>& spec() {
  using namespace std::chrono_literals;
  static const auto log =
      Spec<LogYaml>("log", "Where the log lies.")
          .option("files", &LogYaml::files, "Directory of the log's own files.")
          .example("/var/lib/millrace/log")
          .option("kafka", &LogYaml::kafka, "Instead of files: a Kafka cluster.", kafka_spec())
          .exactly_one_of({"files", "kafka"});
  static const auto state = Spec<StateYaml>("state", "Where the state lies.")
                                .option("sqlite", &StateYaml::sqlite, "The state's SQLite file.")
                                .example("/var/lib/millrace/state.db")
                                .option("postgresql", &StateYaml::postgresql,
                                        "Instead of a file: a database, as a connection string of "
                                        "libpq (keywords and values, or a URI).")
                                .example(
                                    "\"host=db.example.com dbname=millrace user=millrace "
                                    "password=${secret.state_password}\"")
                                .option("schema", &StateYaml::schema,
                                        "The schema in that database; one for each installation.")
                                .example("millrace_lyon");
  static const auto secrets =
      Spec<SecretsYaml>("secrets", "Where ${secret.name} is read from.")
          .option("directory", &SecretsYaml::directory, "One file a secret, named as the secret.")
          .required()
          .example("\"${env.CREDENTIALS_DIRECTORY}\"");
  static const auto retention =
      Spec<Retention>("retention", "How long the log is kept; never past a cursor.")
          .option("inbox", &Retention::inbox, "Messages as received.")
          .bounds(1h, 87600h)
          .option("events", &Retention::events, "Canonical events.")
          .bounds(1h, 87600h)
          .option("trail", &Retention::trail, "Hops of every record.")
          .bounds(1h, 87600h)
          .option("size", &Retention::size_fraction,
                  "Share of the file system that may be in use; beyond it the oldest of the log "
                  "goes, never past a cursor.")
          .percent()
          .bounds(0.01, 0.99)
          .option("min_free", &Retention::min_free_fraction,
                  "Free share of the file system below which ingress answers 503.")
          .percent()
          .bounds(0.001, 0.99);
  static const auto tls =
      Spec<TlsFiles>("tls", "The certificate of both listeners.")
          .option("certificate", &TlsFiles::certificate,
                  "PEM file: the certificate, and what leads from it to its authority.")
          .required()
          .example("/etc/millrace/tls/plant.pem")
          .option("key", &TlsFiles::key,
                  "PEM file: its private key; not readable by others, not writable by the group.")
          .required()
          .example("/etc/millrace/tls/plant.key");
  static const auto dedupe =
      Spec<DedupeYaml>("dedupe", "How far back repeats of a sender's id are known.")
          .option("window", &DedupeYaml::window, "How long ids are remembered.")
          .bounds(1h, 8760h)
          .option("max_ids", &DedupeYaml::max_ids, "At most so many ids.", count_codec());
  static const auto made =
      Spec<InstallationYaml>("installation",
                             "The broker itself; one document, in whatever file. Relative paths "
                             "begin at the directory.")
          .option("name", &InstallationYaml::name, "Name of the installation; part of event ids.")
          .required()
          .example("plant-lyon")
          .option("environment", &InstallationYaml::environment,
                  "Written into the state; another value refuses to start. "
                  "`vars/<environment>.yaml` holds `${var.name}`.")
          .example("prod")
          .option("listen", &InstallationYaml::listen, "Address of the data plane.")
          .example("0.0.0.0:8480")
          .option("admin", &InstallationYaml::admin, "Address for operators; loopback only.")
          .option("tls", &InstallationYaml::tls,
                  "TLS 1.2 and 1.3 on both listeners. The files are read at the start and at every "
                  "reload; connections that are open keep what they began with.",
                  tls)
          .option("log", &InstallationYaml::log, "Where the log lies.", log)
          .required()
          .example("{ files: /var/lib/millrace/log }")
          .option("state", &InstallationYaml::state, "Where the state lies.", state)
          .required()
          .example("{ sqlite: /var/lib/millrace/state.db }")
          .option("instance", &InstallationYaml::instance,
                  "Name of this one where several instances share log and state; empty: alone.")
          .example("${env.HOSTNAME}")
          .option("data", &InstallationYaml::data,
                  "Directory of the daemon's other files; default: the parent of the log.")
          .option("secrets", &InstallationYaml::secrets, "Where secrets are read from.", secrets)
          .option("retention", &InstallationYaml::retention, "How long the log is kept.", retention)
          .option("dedupe", &InstallationYaml::dedupe, "How long repeats are known.", dedupe)
          .not_yet("site")
          .not_yet("egress")
          .not_yet("defaults");
  return made;
}

// "host:port", "[::1]:port"; the host is returned without brackets.
std::optional<std::string> host_of(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == address.npos) return {};
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() ||
      number > 65535) {
    return {};
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return {};
  }
  if (host.empty() || host.find_first_of("/@ []") != host.npos) return {};
  return std::string(host);
}

void check_addresses(Loading& loading, const Document& document, const InstallationYaml& yaml) {
  for (const auto& [key, address] : {std::pair("listen", yaml.listen), {"admin", yaml.admin}}) {
    const auto host = host_of(address);
    if (!host) {
      loading.error(place_of(document, key), fmt::format("{} / {}", title(document), key),
                    fmt::format("`{}` is no address: write host:port, as 127.0.0.1:8480 or "
                                "\"[::1]:8480\"",
                                address));
    } else if (std::string_view(key) == "admin" && !host->starts_with("127.") && *host != "::1" &&
               *host != "localhost") {
      loading.error(place_of(document, key), fmt::format("{} / {}", title(document), key),
                    fmt::format("`{}` is not a loopback address: it would need TLS and a login for "
                                "each operator, and logins are not supported yet (admin.token is "
                                "one key for everybody); write 127.0.0.1:8481 and reach it through "
                                "SSH",
                                address));
    }
  }
}

/// Of the first certificate in a PEM text; nothing when there is none.
std::optional<WallTime> certificate_ends_at(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), X509_free);
  ERR_clear_error();
  std::tm ends{};
  if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &ends) != 1) return {};
  return WallTime(std::chrono::seconds(timegm(&ends)));
}

// A text without ${secret.…} that holds a password.
bool shows_password(std::string_view text) {
  if (text.find("${secret.") != text.npos || text.find("${env.") != text.npos) return false;
  const std::size_t scheme = text.find("://");
  if (scheme == text.npos) return text.find("password") != text.npos;
  const std::string_view authority = text.substr(scheme + 3);
  const std::size_t at = authority.find('@');
  return at != authority.npos && authority.substr(0, at).find(':') != authority.npos;
}

void check_state(Loading& loading, const Document& document, const StateYaml& state) {
  const Place place = place_of(document, "state");
  const std::string path = fmt::format("{} / state", title(document));
  if (state.sqlite.empty() == state.postgresql.empty()) {
    loading.error(place, path,
                  "write either `sqlite: FILE` (one machine) or `postgresql: \"host=... "
                  "dbname=...\"`");
    return;
  }
  if (state.postgresql.empty()) return;
  if (state.postgresql.find('=') == std::string::npos &&
      !state.postgresql.starts_with("postgres")) {
    loading.error(place, path,
                  "`postgresql` is no connection string: write for example \"host=db.example.com "
                  "dbname=millrace user=millrace\"");
  }
  if (state.schema.empty() || state.schema.size() > kSchemaNameMax ||
      state.schema.starts_with("pg_")) {
    loading.error(place, path,
                  fmt::format("`schema` is a name of 1 to {} bytes that does not begin with pg_",
                              kSchemaNameMax));
  }
  const Node* node = document.node.find("state");
  const Node* text = node == nullptr ? nullptr : node->find("postgresql");
  if (text != nullptr && shows_password(text->text)) {
    loading.warning(place, path,
                    "a password stands in the configuration itself; keep it in a file of the "
                    "secrets directory and write password=${secret.name}");
  }
}

void complete_kafka(const Loading& loading, const InstallationYaml& yaml, KafkaLog& kafka) {
  if (kafka.prefix.empty()) kafka.prefix = "millrace." + yaml.name;
  // A disk that nobody spoke of may be gone with its container.
  if (kafka.spool.empty() && !yaml.data.empty()) kafka.spool = yaml.data + "/spool";
  kafka.spool = absolute_path(loading, kafka.spool);
  // What one instance spooled is overtaken by what a sender handed to another one since.
  const bool alone = yaml.instance.empty();
  if (kafka.ack.empty()) kafka.ack = alone && !kafka.spool.empty() ? "auto" : "kafka";
  if (!kafka.tls) return;
  for (std::string* file : {&kafka.tls->ca, &kafka.tls->certificate, &kafka.tls->key}) {
    *file = absolute_path(loading, *file);
  }
}

void check_kafka(Loading& loading, const Document& document, const Installation& installation) {
  const Place place = place_of(document, "log");
  const std::string path = fmt::format("{} / log", title(document));
  const KafkaLog& kafka = *installation.kafka_log;
  const auto usable = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  if (kafka.prefix.size() > kTopicPrefixMax || !std::ranges::all_of(kafka.prefix, usable)) {
    loading.error(place, path,
                  fmt::format("`prefix: {}` is no beginning of a Kafka topic: at most {} letters, "
                              "digits, dots, dashes and underscores",
                              kafka.prefix, kTopicPrefixMax));
  }
  if (kafka.tls && kafka.tls->certificate.empty() != kafka.tls->key.empty()) {
    loading.error(place, path, "`tls` has one of `certificate` and `key`: it needs both or none");
  }
  if (kafka.ack != "kafka" && kafka.spool.empty()) {
    loading.error(place, path,
                  fmt::format("`ack: {}` keeps messages on this machine's disk: write `spool: "
                              "DIRECTORY`, or `data: DIRECTORY` for all that this instance keeps",
                              kafka.ack));
  }
  if (installation.data_directory.empty()) {
    loading.error(place, path,
                  "with the log on Kafka and the state in a database write `data: DIRECTORY`, for "
                  "the token of the command line and what this instance keeps of its own");
  }
}

void check_instance(Loading& loading, const Document& document, const Installation& installation) {
  const Place place = place_of(document, "instance");
  const std::string path = fmt::format("{} / instance", title(document));
  const std::string& name = installation.state.instance;
  const auto usable = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  if (name.size() > kInstanceNameMax || !std::ranges::all_of(name, usable)) {
    loading.error(place, path,
                  fmt::format("`instance: {}` is no name: at most {} letters, digits, dots, dashes "
                              "and underscores",
                              name, kInstanceNameMax));
  }
  if (!installation.kafka_log || !installation.state.is_postgresql()) {
    loading.error(place, path,
                  "several instances need `log: { kafka: … }` and `state: { postgresql: … }`: with "
                  "files or SQLite there is one, without a name");
  }
}

// Whether they belong together is found out by who uses them.
void check_tls(Loading& loading, const Document& document, const TlsFiles& files) {
  const auto check = [&](std::string_view key, const Result<std::string>& read) {
    if (read) return;
    loading.error(place_of(document, "tls"), fmt::format("{} / tls / {}", title(document), key),
                  read.error().message);
  };
  auto certificate = read_file(files.certificate, kSecretBytesMax);
  if (!certificate) {
    certificate = fail(certificate.error().code,
                       fmt::format("{}: {}", files.certificate, certificate.error().message));
  }
  check("certificate", certificate);
  const auto ends = certificate ? certificate_ends_at(*certificate) : std::nullopt;
  const WallTime now = system_clock().wall_now();
  if (ends && now >= *ends - kCertificateAlarm) {
    loading.warning(
        place_of(document, "tls"), fmt::format("{} / tls / certificate", title(document)),
        fmt::format("{} {} {}; put a new one in its place, then `millrace reload`",
                    files.certificate, now < *ends ? "ends" : "ended", to_rfc3339(*ends)));
  }
  check("key", read_secret_file(files.key));
}

}  // namespace

const AnySpec& installation_spec() {
  return spec();
}

std::string absolute_path(const Loading& loading, std::string_view path) {
  if (path.empty()) return {};
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path base = fs::absolute(loading.options.directory, ignored);
  std::string text = (base / fs::path(path)).lexically_normal().string();
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

void read_installation(Loading& loading, Document& document) {
  SpecReader reader = loading.reader(document);
  const SpecReader::Step step(reader, title(document));
  InstallationYaml yaml;
  const bool good = spec().read(document.node, reader, yaml);
  Installation& out = loading.config->installation;
  out.place = {document.file, document.node.line, document.node.column};
  out.name = yaml.name;
  out.environment = yaml.environment;
  out.listen = yaml.listen;
  out.admin = yaml.admin;
  out.retention = yaml.retention;
  out.dedupe_window = yaml.dedupe.window;
  out.dedupe_ids_max = yaml.dedupe.max_ids;
  out.log_directory = absolute_path(loading, yaml.log.files);
  out.kafka_log = yaml.log.kafka;
  if (out.kafka_log) complete_kafka(loading, yaml, *out.kafka_log);
  out.state = {.sqlite_path = absolute_path(loading, yaml.state.sqlite),
               .postgresql = yaml.state.postgresql,
               .schema = yaml.state.schema,
               .installation = yaml.name,
               .instance = yaml.instance};
  out.secrets_directory = absolute_path(loading, yaml.secrets.directory);
  const std::string& parent_of =
      out.log_directory.empty() ? out.state.sqlite_path : out.log_directory;
  out.data_directory = yaml.data.empty() ? std::filesystem::path(parent_of).parent_path().string()
                                         : absolute_path(loading, yaml.data);
  if (yaml.tls) {
    out.tls = TlsFiles{absolute_path(loading, yaml.tls->certificate),
                       absolute_path(loading, yaml.tls->key)};
  }
  if (good) check_state(loading, document, yaml.state);
  if (good && out.kafka_log) check_kafka(loading, document, out);
  if (good && !yaml.instance.empty()) check_instance(loading, document, out);
  if (good) check_addresses(loading, document, yaml);
  if (good && out.tls && !loading.options.without_secrets) check_tls(loading, document, *out.tls);
}

}  // namespace millrace::config
