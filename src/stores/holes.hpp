// Offsets of a log at which it says nothing: on Kafka a record that was written twice counts once.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "millrace/event_log.hpp"
#include "millrace/json.hpp"

namespace millrace::stores {

class Holes {
 public:
  /// Offsets of a partition rise.
  void note(const LogStream& stream, Partition partition, Offset offset) {
    holes_[to_string(stream)][partition].push_back(offset);
    ++count_;
  }
  /// How many offsets of `from` to `until` hold records.
  Offset records(const LogStream& stream, Partition partition, Offset from, Offset until) const;
  std::uint64_t count() const { return count_; }

  Json json() const;
  static Result<Holes> of(const Json& json);
  bool operator==(const Holes&) const = default;

 private:
  std::map<std::string, std::map<Partition, std::vector<Offset>>> holes_;  ///< by stream
  std::uint64_t count_ = 0;
};

}  // namespace millrace::stores
