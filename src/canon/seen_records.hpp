// What the last readings of records showed, in memory and bounded: sweeps ring only where something
// else is listed, and a late doorbell finds the change it announced already projected.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>

#include "millrace/clock.hpp"

namespace millrace::canon {

struct SeenRecord {
  std::string write_date;  ///< whole seconds
  WallTime read_at;        ///< when the reading was issued, our clock
  std::optional<BootTime> changed_at;
  BootTime changed_issued;
  std::string changed_write_date;
};

class SeenRecords {
 public:
  static constexpr std::size_t kGenerationMax = 50'000;  ///< two are kept, about 200 bytes each

  SeenRecord* find(const std::string& record) {
    if (const auto young = young_.find(record); young != young_.end()) return &young->second;
    const auto old = old_.find(record);
    return old == old_.end() ? nullptr : &old->second;
  }
  /// The entry to write into; the oldest half is forgotten when there are too many.
  SeenRecord& at(const std::string& record) {
    const auto young = young_.find(record);
    if (young != young_.end()) return young->second;
    if (young_.size() >= kGenerationMax) {
      old_ = std::move(young_);
      young_.clear();
    }
    SeenRecord& entry = young_[record];
    if (const auto old = old_.find(record); old != old_.end()) entry = old->second;
    return entry;
  }
  void forget(const std::string& record) {
    young_.erase(record);
    old_.erase(record);
  }

 private:
  std::unordered_map<std::string, SeenRecord> young_;
  std::unordered_map<std::string, SeenRecord> old_;
};

}  // namespace millrace::canon
