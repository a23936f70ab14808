// The http connector: its options and its registration.
#include "connectors/http/http_sink.hpp"

namespace millrace {
namespace connectors {
namespace {

const Spec<BasicAuth>& basic_spec() {
  static const auto spec = Spec<BasicAuth>("basic", "User name and password.")
                               .option("user", &BasicAuth::user, "User name.")
                               .required()
                               .option("password", &BasicAuth::password, "Password.")
                               .required()
                               .secret();
  return spec;
}

const Spec<HeaderAuth>& header_spec() {
  static const auto spec = Spec<HeaderAuth>("header", "A header of the target's own.")
                               .option("name", &HeaderAuth::name, "Name of the header.")
                               .required()
                               .example("X-Api-Key")
                               .option("value", &HeaderAuth::value, "Its value.")
                               .required()
                               .secret();
  return spec;
}

const Spec<HmacAuth>& hmac_spec() {
  static const auto spec =
      Spec<HmacAuth>("hmac", "Sign every request as Standard Webhooks 1.0 says.")
          .option("secret", &HmacAuth::secret, "The shared secret: `whsec_` and base64, or plain.")
          .required()
          .secret();
  return spec;
}

const Spec<HttpAuth>& auth_spec() {
  static const auto spec =
      Spec<HttpAuth>("auth", "How requests are authenticated.")
          .option("bearer", &HttpAuth::bearer, "Token of `Authorization: Bearer`.")
          .secret()
          .option("basic", &HttpAuth::basic, "`Authorization: Basic`.", basic_spec())
          .option("header", &HttpAuth::header, "One header with a secret value.", header_spec())
          .option("hmac", &HttpAuth::hmac, "Standard Webhooks signatures.", hmac_spec())
          .not_yet("oauth2")
          .not_yet("mtls")
          .exactly_one_of({"bearer", "basic", "header", "hmac"});
  return spec;
}

class HttpType final : public ConnectorType {
 public:
  std::string_view name() const override { return "http"; }
  const AnySpec& spec() const override { return http_spec(); }

  Result<std::unique_ptr<Sink>> make_sink(const std::any& options,
                                          ConnectionContext context) const override {
    const auto& chosen = std::any_cast<const HttpOptions&>(options);
    MILLRACE_TRY(url, parse_url(context.url));
    HttpClientSettings settings;
    settings.url = url;
    settings.connections_max = static_cast<std::size_t>(std::max(1, context.in_flight));
    settings.ca_file = chosen.ca_file;
    MILLRACE_TRY(client, context.http(std::move(settings)));
    return std::make_unique<HttpSink>(std::move(client), std::move(url), chosen, system_clock());
  }

  Result<std::unique_ptr<RecordReader>> make_reader(const std::any&,
                                                    ConnectionContext) const override {
    return fail(Errc::not_supported, "an http connection is a target; records are read from odoo");
  }
};

}  // namespace

const Spec<HttpOptions>& http_spec() {
  static const auto spec =
      Spec<HttpOptions>("http", "Send requests to an HTTP API.")
          .option("auth", &HttpOptions::auth, "How requests are authenticated.", auth_spec())
          .option("ca_file", &HttpOptions::ca_file,
                  "PEM file of the authorities to trust instead of the system's.")
          .example("/etc/millrace/plant-ca.pem")
          .option("timeout", &HttpOptions::timeout,
                  "Upper limit of one call; a request's own `timeout` may be shorter.")
          .bounds(milliseconds(100), std::chrono::minutes(10))
          .example("30s")
          .option("check_path", &HttpOptions::check_path,
                  "Path below `url` that is asked with GET to see whether the target is there.")
          .example("/health");
  return spec;
}

}  // namespace connectors

void register_http(ConnectorRegistry& registry);
void register_http(ConnectorRegistry& registry) {
  registry.add(std::make_unique<connectors::HttpType>());
}

}  // namespace millrace
