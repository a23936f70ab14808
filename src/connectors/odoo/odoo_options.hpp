// Options of an odoo connection beyond the keys every connection has.
#pragma once

#include <cstdint>
#include <string>

#include "millrace/spec.hpp"

namespace millrace::connectors {

enum class OdooPace : std::uint8_t {
  on_premise,  ///< as fast as answers come
  odoo_online  ///< one call a second for everything, as Odoo Online asks
};

struct OdooOptions {
  std::string database;
  std::string login;
  std::string api_key;  ///< an API key (or a password): Odoo takes either in the same place
  OdooPace pace = OdooPace::on_premise;
  std::string language = "en_US";
  std::string ca_file;  ///< empty: the system's authorities
};

const Spec<OdooOptions>& odoo_spec();

}  // namespace millrace::connectors
