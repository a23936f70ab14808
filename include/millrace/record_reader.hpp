// Reading records back from a source that only rings doorbells (Odoo). The reader speaks the
// protocol; when to read, what to believe and what to emit belongs to canon.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "millrace/http.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace {

/// Which fields to read, in order; a nested plan follows the relation with one call per model.
struct FieldPlan {
  struct Field;
  std::vector<Field> fields;
  bool empty() const { return fields.empty(); }
};
struct FieldPlan::Field {
  std::string name;
  FieldPlan nested;
  bool optional = false;  ///< left out of records where the model has no such field
};

/// One record as read. In `value` an empty value is null (only booleans are ever false), many2one
/// is an id or, with a nested plan, an object that always has `id`; x2many are ids or objects;
/// datetimes are RFC 3339 UTC with Z; dates stay as they are (semantics 2).
struct ReadRecord {
  enum class State : std::uint8_t {
    found,
    absent,  ///< read of that id alone returned nothing
    hidden,  ///< it exists, but our login may not read it
    failed   ///< the source refuses to read this one record; `problem` says why
  };
  std::int64_t id = 0;
  State state = State::absent;
  Json value;               ///< found only
  std::string write_date;   ///< "2026-11-21 22:05:48", UTC, whole seconds; found only
  std::string create_date;  ///< the same form
  std::string problem;
};

struct ReadRequest {
  std::string model;
  std::vector<std::int64_t> ids;  ///< at most 200
  FieldPlan plan;
};

/// One row of a listing, for sweeps, full reads and checks.
struct ListedRecord {
  std::int64_t id = 0;
  std::string write_date;
  std::string create_date;
};

struct ListRequest {
  std::string model;
  Json domain = JsonArray{};  ///< Odoo domain; the reader adds `id > after_id`
  std::string touched_field;  ///< when set: list this many2one's targets of `model` instead
  std::int64_t after_id = 0;
  int limit = 1000;  ///< in id order
};

class RecordReader {
 public:
  virtual ~RecordReader() = default;
  /// One answer per requested id, in their order. A batch the source refuses is bisected to the
  /// guilty ids. Nested plans re-read the parents of every level last and repeat what changed
  /// between (at most 3 times, then `failed`). Errors are of the whole call: Errc::peer_auth,
  /// peer_unavailable, unanswered, not_connected, protocol, ...
  virtual Awaitable<Result<std::vector<ReadRecord>>> read(ReadRequest request) = 0;
  virtual Awaitable<Result<std::vector<ListedRecord>>> list(ListRequest request) = 0;
  /// The source's database clock, "2026-11-21 22:05:48" UTC: marks never use ours (semantics 8).
  virtual Awaitable<Result<std::string>> server_time() = 0;
  /// Whether records of the model can be read by this plan, as the source says now. Errc::config
  /// names what does not fit; other errors are of the call.
  virtual Awaitable<Result<void>> check_plan(std::string model, FieldPlan plan) = 0;
  /// Logs in and asks for the version; harmless.
  virtual Awaitable<Result<std::string>> check() = 0;
};

}  // namespace millrace
