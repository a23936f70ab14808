// The rows of a state store for another log: those that name positions say where these lie there,
// all others are as they were (docs/reference/formats.md).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "millrace/json.hpp"
#include "millrace/state_store.hpp"
#include "stores/positions.hpp"

namespace millrace::stores {

/// Tables with rows that name positions, besides cursors and projections.
inline constexpr std::array kTablesWithPositions{Table::parked, Table::doorbells, Table::routes,
                                                 Table::outbox};

class StateRows {
 public:
  /// `topics`: of the events. Both logs and the positions outlive it.
  StateRows(Positions& positions, const EventLog& from, std::set<std::string> topics)
      : positions_(positions), from_(from), topics_(std::move(topics)) {}

  /// Reads whose events each route takes. First of all.
  Result<void> read_routes(StateReader& state);
  /// The log that the rows are for. Not needed while positions are only asked for.
  void set_target(const EventLog& to) { to_ = &to; }

  Result<Row> move(Table table, const Row& row) const;
  /// All cursors: those of the other log are other ones.
  Result<std::vector<Row>> move_cursors(StateReader& state) const;

 private:
  struct Cursors;
  std::string topic_of_route(const std::string& id, std::string_view type) const;
  Result<Row> move_parked(const Row& row) const;
  Result<Row> move_doorbell(const Row& row) const;
  Result<Row> move_route(const Row& row) const;
  Result<Row> move_outbox(const Row& row) const;
  Result<Row> move_projection(const Row& row) const;
  Result<void> move_life(JsonObject& life) const;
  Result<void> move_offsets(JsonObject& row, std::string_view key, const std::string& topic) const;
  void move_cause(std::string& text, std::size_t at) const;
  void move_progress(JsonObject& row, const std::function<Offset(Offset)>& place) const;
  Result<void> move_cursor(const std::string& owner, Partition partition, JsonObject row,
                           const Cursors& all, std::vector<Row>& moved) const;
  void move_projected(const Cursors& all, std::vector<Row>& moved) const;
  std::string id_in_target(const LogStream& stream) const;

  Positions& positions_;
  const EventLog& from_;
  const EventLog* to_ = nullptr;
  std::set<std::string> topics_;
  std::map<std::string, std::string, std::less<>> entities_;  ///< by route id
};

/// Changes `"cause":"P:O"` in the text of an event or a projection.
std::string with_cause(std::string_view text, std::size_t before,
                       const std::function<std::optional<Offset>(Partition, Offset)>& place);
/// Where the attributes of an event's text end.
std::size_t end_of_attributes(std::string_view event);

}  // namespace millrace::stores
