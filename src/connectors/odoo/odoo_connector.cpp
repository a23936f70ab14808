// The odoo connector: its options and its registration.
#include <algorithm>

#include "connectors/odoo/odoo_reader.hpp"
#include "millrace/connector.hpp"
#include "net/tasks.hpp"

namespace millrace {
namespace connectors {
namespace {

constexpr milliseconds kOnlinePace{1000};

class OdooType final : public ConnectorType {
 public:
  std::string_view name() const override { return "odoo"; }
  const AnySpec& spec() const override { return odoo_spec(); }

  Result<std::unique_ptr<Sink>> make_sink(const std::any&, ConnectionContext) const override {
    return fail(Errc::not_supported, "writing to Odoo is not supported yet");
  }

  Result<std::unique_ptr<RecordReader>> make_reader(const std::any& options,
                                                    ConnectionContext context) const override {
    const auto& chosen = std::any_cast<const OdooOptions&>(options);
    MILLRACE_TRY(url, parse_url(context.url));
    HttpClientSettings settings;
    settings.url = url;
    settings.connections_max = static_cast<std::size_t>(std::max(1, context.in_flight));
    settings.ca_file = chosen.ca_file;
    MILLRACE_TRY(client, context.http(std::move(settings)));
    std::vector<std::int64_t> companies;
    for (const auto& [id, code] : context.companies) companies.push_back(id);
    const bool online = chosen.pace == OdooPace::odoo_online;
    OdooPacer pacer(
        online ? kOnlinePace : milliseconds::zero(), system_clock(),
        [](milliseconds duration) { return sleep_for(duration); }, context.share);
    auto rpc = std::make_unique<OdooRpc>(std::move(client), url, chosen, std::move(companies),
                                         std::move(pacer));
    return std::make_unique<OdooReader>(std::move(rpc));
  }
};

}  // namespace

const Spec<OdooOptions>& odoo_spec() {
  static const auto spec =
      Spec<OdooOptions>("odoo", "Read records back from Odoo 18; its webhooks are doorbells.")
          .option("database", &OdooOptions::database, "Name of the database.")
          .required()
          .example("prod")
          .option("login", &OdooOptions::login, "Login of the user the broker acts as.")
          .required()
          .example("broker@example.com")
          .option("api_key", &OdooOptions::api_key,
                  "API key of that user (its password works too).")
          .required()
          .secret()
          .option("pace", &OdooOptions::pace,
                  "`odoo_online` makes one call a second for everything.",
                  SpecNames<OdooPace>{{"on_premise", OdooPace::on_premise},
                                      {"odoo_online", OdooPace::odoo_online}})
          .option("language", &OdooOptions::language, "Language of translated fields.")
          .example("fr_FR")
          .option("ca_file", &OdooOptions::ca_file,
                  "PEM file of the authorities to trust instead of the system's.");
  return spec;
}

}  // namespace connectors

void register_odoo(ConnectorRegistry& registry);
void register_odoo(ConnectorRegistry& registry) {
  registry.add(std::make_unique<connectors::OdooType>());
}

}  // namespace millrace
