// Programs (read, map, functions, tables, companies, and the events of the time) that projections
// in the store were made by. Their texts stay in Table::programs while a projection names them, so
// that a changed configuration runs beside the old one: what only the new program sees differently
// is no news, what the old one sees changed is (semantics 1).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "millrace/state_store.hpp"

namespace millrace::canon {

struct PastProgram {
  std::string hash;
  FieldPlan read;
  config::ConfigPtr config;     ///< nothing but its tables and the connection with its companies
  config::EntitySource source;  ///< connection, model, map
  config::Entity entity;        ///< name, events
};

/// By program_key.
using PastPrograms = std::shared_ptr<const std::map<std::string, PastProgram, std::less<>>>;

/// Two entities may read and map alike; each has a text of its own.
std::string program_key(std::string_view hash, std::string_view entity,
                        const config::EntitySource& source);

/// The texts of every source of the configuration: committed before any projection names them.
Batch program_writes(const config::Config& config);
/// Blocking: every text that is kept. One that cannot be read any more is left out with a warning.
Result<PastPrograms> load_programs(StateStore& state);
/// Blocking: writes that drop the entity's texts which neither a projection nor the configuration
/// names.
Result<Batch> forget_programs(StateStore& state, const config::Entity& entity);

/// What the program says of a fresh record.
struct PastJudgement {
  std::vector<std::string> types;  ///< of events; empty: nothing changed, or nothing to say
  std::string lost_field;          ///< Odoo no longer has it, so nobody can tell
};
/// `stored` is the projection's data, made by the program. Errors are those of its expressions.
Result<PastJudgement> judge(const PastProgram& past, const Json& record, std::string_view stored,
                            WallTime now);

}  // namespace millrace::canon
