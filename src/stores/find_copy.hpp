// The copy of a log in the place that a configuration names.
#pragma once

#include "config/model.hpp"
#include "storage/disk.hpp"
#include "stores/copy_mark.hpp"

namespace millrace::stores {

/// Errc::not_found when there is none, conflict when it is not complete.
Result<CopyMark> find_copy(Disk& disk, const config::Installation& at);

}  // namespace millrace::stores
