#include "support.hpp"

namespace millrace::config::testing {

const ConnectorRegistry& fake_connectors() {
  static const auto odoo = Spec<FakeOdooOptions>("odoo", "Reads Odoo.")
                               .option("database", &FakeOdooOptions::database, "The database.")
                               .required()
                               .option("login", &FakeOdooOptions::login, "The login.")
                               .required()
                               .option("api_key", &FakeOdooOptions::api_key, "The key.")
                               .required()
                               .secret()
                               .option("pace", &FakeOdooOptions::pace, "How fast.")
                               .one_of({"on_premise", "odoo_online"})
                               .option("language", &FakeOdooOptions::language, "The language.");
  static const auto auth = Spec<FakeAuth>("auth", "How to log in.")
                               .option("bearer", &FakeAuth::bearer, "A token.")
                               .secret()
                               .exactly_one_of({"bearer"})
                               .not_yet("oauth2")
                               .not_yet("mtls");
  static const auto http = Spec<FakeHttpOptions>("http", "Calls HTTP.")
                               .option("auth", &FakeHttpOptions::auth, "How to log in.", auth)
                               .option("timeout", &FakeHttpOptions::timeout, "Time allowed.");
  static const auto hook = Spec<FakeHookOptions>("hook", "Takes in.");
  static const ConnectorRegistry registry = [] {
    ConnectorRegistry made;
    made.add(std::make_unique<FakeType>("odoo", odoo));
    made.add(std::make_unique<FakeType>("http", http));
    made.add(std::make_unique<FakeType>("hook", hook));
    made.add(std::make_unique<FakeType>("kafka", hook));
    return made;
  }();
  return registry;
}

}  // namespace millrace::config::testing
