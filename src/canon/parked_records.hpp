// Parked rows of records that could not be read (stage collect, owner connection) or projected
// (stage project, owner entity), one per owner and record. Which there are is kept in memory, so
// that a record's next reading finds and replaces its own.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "canon/collect_plan.hpp"
#include "canon/doorbell_row.hpp"
#include "millrace/parking.hpp"

namespace millrace::canon {

/// Why a record is parked.
struct ParkReason {
  std::string stage;  ///< "collect" or "project"
  std::string owner;
  ParkedState state = ParkedState::needs_decision;
  std::string cause;
  std::string text;
};

class ParkedRecords {
 public:
  /// Blocking: the rows of the partitions that `mine` names, of every connection and entity.
  static Result<std::vector<ParkedRow>> load(StateStore& state, const config::Config& config,
                                             const std::function<bool(Partition)>& mine);
  void fill(const std::vector<ParkedRow>& rows);

  /// Writes the row, over the one that is there.
  ParkedRow park(const ModelPlan& model, const DoorbellRow& row, const ParkReason& reason,
                 WallTime now, Batch& writes);
  /// The record is read or projected again, or gone: its row of that owner goes. True if there was.
  bool clear(std::string_view stage, std::string_view owner, const std::string& record,
             Batch& writes);
  /// A person gave the row up, and whoever asked them erases it.
  void forget(const ParkedRow& row);
  bool any(const std::string& record) const { return by_record_.contains(record); }
  /// Whether a parked row of the record stems from the first full read.
  bool baseline(const std::string& record) const;

  /// Doorbells that read every parked record again.
  std::vector<Doorbell> doorbells() const;
  std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::string owner;  ///< parked_owner(stage, owner)
    ParkedRow row;
  };
  std::unordered_map<std::string, std::vector<Entry>> by_record_;
  std::size_t size_ = 0;
};

}  // namespace millrace::canon
