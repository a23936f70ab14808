// What a configuration asks to be read back, by (connection, model): which entities want a model,
// which fields one reading brings for all of them, which models ring the doorbell of another.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "canon/past_program.hpp"
#include "config/model.hpp"

namespace millrace::canon {

/// One `from:` entry that wants the records of a model. Both live in CollectPlan::config.
struct CollectTarget {
  const config::Entity* entity = nullptr;
  const config::EntitySource* source = nullptr;
  /// Another entity follows a relation that this one wants as a plain id.
  bool reshape = false;
  /// Some projections may be of an older program: it is shown the record as read for all.
  bool past = false;

  bool filtered() const { return source->domain.has_value() || source->only.has_value(); }
  bool silent_at_first() const { return source->first_seen != config::FirstSeen::emit; }
};

/// A record of the model rings its parent's doorbell.
struct CollectParent {
  std::string model;
  std::string field;  ///< many2one of the touching model
};

struct ModelPlan {
  std::string connection;
  std::string model;
  std::vector<CollectTarget> targets;  ///< empty: only its parents matter
  std::vector<CollectParent> parents;
  FieldPlan fields;  ///< what all of them need together
  std::optional<seconds> sweep;
  std::map<std::string, std::string> touched_by;  ///< touching model -> field naming us
  milliseconds settle{1000};
  seconds longest_transaction{150};

  /// Names of the entities, sorted.
  std::vector<std::string> entities() const;
  /// Entity to the programs and filters of its sources here: a full read stands for these.
  std::map<std::string, std::string> programs() const;
};

/// Listings of the model keep to the domain of its only source. With several sources each checks
/// its own domain on what is read.
bool lists_its_domain(const ModelPlan& model);

struct CollectPlan {
  config::ConfigPtr config;
  std::map<std::string, ModelPlan> models;  ///< by model_key

  const ModelPlan* find(std::string_view connection, std::string_view model) const;
};
using CollectPlanPtr = std::shared_ptr<const CollectPlan>;

std::string model_key(std::string_view connection, std::string_view model);
/// "connection/model/id"
std::string record_name(std::string_view connection, std::string_view model, std::int64_t id);

/// `past`: readings bring what these need, too, where the source still has it.
CollectPlanPtr make_collect_plan(config::ConfigPtr config, const PastPrograms& past = nullptr);

/// Adds the fields of `more` to `plan`, following relations.
void merge(FieldPlan& plan, const FieldPlan& more);
/// `value` as a reading with `own` alone would have brought it: relations that only another entity
/// follows are ids again.
Json reshaped(const Json& value, const FieldPlan& own);
/// The domain, of these records only.
Json with_ids(const Json& domain, const std::vector<std::int64_t>& ids);
/// The id in a many2one, plain or followed; 0 when it is empty.
std::int64_t reference_id(const Json& value, std::string_view field);

}  // namespace millrace::canon
