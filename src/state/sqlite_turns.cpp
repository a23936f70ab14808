#include "state/sqlite_turns.hpp"

#include <sqlite3.h>
#include <sys/types.h>

#include <cstddef>
#include <mutex>
#include <thread>
#include <utility>

#include "millrace/result.hpp"

namespace millrace {
namespace {

using Write = ssize_t (*)(int descriptor, const void* bytes, std::size_t count, off_t offset);

static_assert(sizeof(off_t) == sizeof(sqlite3_int64));  // pwrite is pwrite64

constexpr int kWritesInTurn = 16;

Write write_through = nullptr;
thread_local std::function<bool()> may_wait_here;
thread_local int written_here = 0;

ssize_t write_in_turn(int descriptor, const void* bytes, std::size_t count, off_t offset) noexcept {
  WritesInTurn::wrote();
  return write_through(descriptor, bytes, count, offset);
}

// SQLite tells nobody how far a COMMIT or a checkpoint has come, but its Unix files take another
// function in place of each system call (https://sqlite.org/c3ref/vfs.html, xSetSystemCall).
void replace_write() {
  sqlite3_vfs* files = sqlite3_vfs_find("unix");
  MILLRACE_INVARIANT(files != nullptr && files->iVersion >= 3);
  for (const char* name : {"pwrite64", "pwrite"}) {
    const auto original = files->xGetSystemCall(files, name);
    if (original == nullptr) continue;  // compiled without it
    write_through = reinterpret_cast<Write>(original);
    const int set =
        files->xSetSystemCall(files, name, reinterpret_cast<sqlite3_syscall_ptr>(write_in_turn));
    MILLRACE_INVARIANT(set == SQLITE_OK);
    return;
  }
}

}  // namespace

WritesInTurn::WritesInTurn(std::function<bool()> may_wait) {
  MILLRACE_INVARIANT(!may_wait_here);
  may_wait_here = std::move(may_wait);
  written_here = 0;
}

WritesInTurn::~WritesInTurn() {
  may_wait_here = nullptr;
}

void WritesInTurn::wrote() {
  if (!may_wait_here || ++written_here < kWritesInTurn) return;
  written_here = 0;
  if (may_wait_here()) std::this_thread::yield();
}

void WritesInTurn::watch_pages() {
  static std::once_flag once;
  std::call_once(once, replace_write);
}

}  // namespace millrace
