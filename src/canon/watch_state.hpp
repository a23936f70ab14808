// One watched model. Private to the files of SourceWatch.
#pragma once

#include "canon/backfill_mark.hpp"
#include "canon/check_mark.hpp"
#include "canon/collect_pass.hpp"
#include "canon/source_watch.hpp"

namespace millrace::canon {

/// A walk through a model in id order that rings every record: paced, and resumed after a restart
/// behind the last page that was rung.
struct SourceWatch::Walk {
  std::string key;                 ///< in Table::marks
  std::optional<std::string> row;  ///< as last read or written there
  BackfillMark mark;               ///< of a walk after a changed program: without an entity
  std::map<std::string, std::string> programs;  ///< that all records are to be read with
  BootTime due;
};

struct SourceWatch::Watch {
  Watch(std::string model, boost::asio::io_context& context)
      : key(std::move(model)), wake(context) {}

  std::string key;   ///< model_key
  std::string name;  ///< "<connection>/<model>"
  Notifier wake;
  bool waiting = false;
  int failures = 0;
  BootTime next_sweep;  ///< at once when it starts
  BaselineMark mark;    ///< of the full read under way, or done
  bool walks_loaded = false;
  std::vector<Walk> walks;
  CheckMark check;
  std::optional<std::string> check_row;  ///< as last read or written
};

}  // namespace millrace::canon
