// The rows of one (connection, model) by the time they are due. Rows that were refused last time
// wait apart, so that a batch with a guilty id never holds up the others.
#pragma once

#include <functional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "canon/doorbell_row.hpp"

namespace millrace::canon {

class DoorbellQueue {
 public:
  DoorbellRow* find(std::int64_t id);
  /// The row's `due` says when.
  DoorbellRow& add(DoorbellRow row);
  void erase(std::int64_t id);
  /// Moves the row to its new `due`, which `change` sets. Rows being read stay out of the queue.
  void update(DoorbellRow& row, const std::function<void(DoorbellRow&)>& change);

  /// At most `ids_max` rows due by now, earliest first; they are being read from now on.
  std::vector<std::int64_t> take(BootTime now, bool suspects, std::size_t ids_max);
  /// A reading ended: back into the queue at `due`.
  void put_back(DoorbellRow& row);
  /// When the next one is due.
  std::optional<BootTime> next(bool suspects) const;

  std::size_t size() const { return rows_.size(); }
  /// Rows that only sweeps, checks, walks and people rang.
  std::size_t committed() const;
  std::optional<WallTime> oldest() const;

 private:
  using Waiting = std::set<std::pair<BootTime, std::int64_t>>;
  Waiting& waiting(const DoorbellRow& row) { return row.suspect ? suspects_ : sound_; }

  std::unordered_map<std::int64_t, DoorbellRow> rows_;
  Waiting sound_;
  Waiting suspects_;
};

}  // namespace millrace::canon
