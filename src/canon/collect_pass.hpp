// One batch between its reading and its commit, and the rows that keep how far a full read is.
// Private to the collector's files.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "canon/collector.hpp"

namespace millrace::canon {

/// Where a change of a batch comes from.
struct Collector::PassChange {
  std::size_t record = 0;  ///< index in Pass::records
  CollectTarget target;
  bool gone = false;
  bool silent = false;
};

struct Collector::Pass {
  CollectPlanPtr plan;
  const ModelPlan* model = nullptr;  ///< in `plan`
  Lane* lane = nullptr;
  bool suspects = false;
  std::vector<std::int64_t> ids;
  BootTime issued;
  WallTime issued_at;
  std::vector<ReadRecord> records;
  /// Sources with a domain: their records of this batch that lie inside.
  std::map<const config::EntitySource*, std::set<std::int64_t>> inside;
  std::set<std::int64_t> moved;  ///< changed between reading and domain check: read again

  std::vector<SourceChange> changes;
  std::vector<PassChange> of;   ///< one per change
  std::set<std::int64_t> last;  ///< absent, and no later reading can find them

  bool baseline = false;  ///< part of a full read: no doorbell row behind it
  WallTime mark;
};

/// How far the full read of a model is: a row of Table::marks.
struct BaselineMark {
  bool running = false;
  WallTime mark;                                ///< the source's clock at its beginning
  std::size_t shards = 0;                       ///< that keep a progress row each, while running
  std::set<std::string> covered;                ///< entities whose full read is done
  std::map<std::string, std::string> programs;  ///< by entity: with which all of it was read
};

/// `model` is a model_key.
std::string baseline_key(const std::string& model);
std::string progress_prefix(const std::string& model);
std::string progress_key(const std::string& model, std::size_t shard);
std::string sweep_key(const std::string& model);
std::string encode(const BaselineMark& mark);
Result<BaselineMark> decode_baseline(std::string_view text);

}  // namespace millrace::canon
