// What is wrong with files of a log that goes on without them: frames a reader could not pass, ids
// that cannot be read. Told until it is over (status, /readyz, metrics). Thread-safe.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "millrace/event_log.hpp"

namespace millrace::log {

class Troubles {
 public:
  explicit Troubles(const Clock& clock) : clock_(clock) {}

  /// The first time of a file says since when; later ones change the words.
  /// `position` is where in the journal, for `passed`.
  void note(const std::string& file, std::string what, std::string next,
            std::uint64_t position = 0) {
    const std::lock_guard guard(mutex_);
    Entry& entry = by_file_[file];
    if (entry.trouble.what.empty()) entry.trouble.since = clock_.wall_now();
    entry.trouble.what = std::move(what);
    entry.trouble.next = std::move(next);
    entry.position = position;
    any_ = true;
  }
  void clear(const std::string& file) {
    if (!any_.load(std::memory_order_relaxed)) return;
    const std::lock_guard guard(mutex_);
    by_file_.erase(file);
    any_ = !by_file_.empty();
  }
  /// All of the journal in `directory` between these positions could be read.
  void passed(const std::filesystem::path& directory, std::uint64_t from, std::uint64_t to) {
    if (!any_.load(std::memory_order_relaxed)) return;
    const std::lock_guard guard(mutex_);
    std::erase_if(by_file_, [&](const auto& entry) {
      return std::filesystem::path(entry.first).parent_path() == directory &&
             from <= entry.second.position && entry.second.position < to;
    });
    any_ = !by_file_.empty();
  }
  std::vector<EventLog::Trouble> list() const {
    const std::lock_guard guard(mutex_);
    std::vector<EventLog::Trouble> all;
    for (const auto& [file, entry] : by_file_) all.push_back(entry.trouble);
    return all;
  }

 private:
  struct Entry {
    EventLog::Trouble trouble;
    std::uint64_t position = 0;
  };

  const Clock& clock_;
  std::atomic<bool> any_{false};  ///< whether to take the lock at all
  mutable std::mutex mutex_;      // guards what follows
  std::map<std::string, Entry> by_file_;
};
using TroublesPtr = std::shared_ptr<Troubles>;

}  // namespace millrace::log
