// A copy of a log in files of this machine. An earlier copy that is not complete is dropped: files
// are written faster than anything is read.
#pragma once

#include <memory>

#include "config/model.hpp"
#include "storage/disk.hpp"
#include "stores/log_copy_target.hpp"

namespace millrace::stores {

/// Errc::locked while something has the directory open. `disk` outlives the target.
Result<std::unique_ptr<LogCopyTarget>> open_files_copy_target(Disk& disk,
                                                              const config::Installation& to);

}  // namespace millrace::stores
