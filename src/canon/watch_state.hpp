// One watched model. Private to the files of SourceWatch.
#pragma once

#include "canon/collect_pass.hpp"
#include "canon/source_watch.hpp"

namespace millrace::canon {

struct SourceWatch::Watch {
  Watch(std::string model, boost::asio::io_context& context)
      : key(std::move(model)), wake(context) {}

  std::string key;  ///< model_key
  Notifier wake;
  bool waiting = false;
  int failures = 0;
  BootTime next_sweep;  ///< at once when it starts
  BaselineMark mark;    ///< of the full read under way
};

}  // namespace millrace::canon
