// `millrace log copy`: every record that a log retains, in its order and with its times, into
// another log. Promises: what was written is read again and compared before it is a log; stopped at
// any moment and said once more it goes on, or begins anew; the log that is read is not changed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "config/model.hpp"
#include "millrace/result.hpp"

namespace millrace::stores {

/// How far a copy is, told now and then on the calling thread.
struct CopyProgress {
  std::string_view doing;  ///< "copied", "compared"
  std::uint64_t done = 0;
  std::uint64_t of = 0;
};
using ProgressListener = std::function<void(const CopyProgress&)>;

struct CopyReport {
  std::uint64_t items = 0;  ///< records or rows
  std::string from;
  std::string to;
};

/// Blocking, with the daemon stopped. Errc::locked while it runs; not_found, conflict,
/// invalid_argument for places that are not as they must be; corrupt when the log is damaged.
Result<CopyReport> copy_log(const config::Config& from, const config::Config& to,
                            const ProgressListener& listener);

}  // namespace millrace::stores
