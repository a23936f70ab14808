#include "failing_vfs.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace millrace {

namespace {

std::atomic<bool> log_sync_fails = false;
std::atomic<bool> database_sync_fails = false;
std::atomic<bool> disk_is_full = false;
std::atomic<int> log_sync_count = 0;

struct File {
  sqlite3_file base;
  bool is_log;
  bool is_database;
  sqlite3_file* real;  // behind this structure, in the memory SQLite provides
};

File* self(sqlite3_file* file) {
  return reinterpret_cast<File*>(file);
}
sqlite3_file* real(sqlite3_file* file) {
  return self(file)->real;
}

int close_file(sqlite3_file* f) {
  return real(f)->pMethods->xClose(real(f));
}
int read_file(sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
  return real(f)->pMethods->xRead(real(f), to, size, at);
}
int write_file(sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
  if (self(f)->is_log && disk_is_full.load()) return SQLITE_FULL;
  return real(f)->pMethods->xWrite(real(f), from, size, at);
}
int truncate_file(sqlite3_file* f, sqlite3_int64 size) {
  return real(f)->pMethods->xTruncate(real(f), size);
}
int sync_file(sqlite3_file* f, int flags) {
  if (self(f)->is_log && log_sync_fails.load()) return SQLITE_IOERR_FSYNC;
  if (self(f)->is_database && database_sync_fails.load()) return SQLITE_IOERR_FSYNC;
  if (self(f)->is_log) log_sync_count.fetch_add(1);
  return real(f)->pMethods->xSync(real(f), flags);
}
int file_size(sqlite3_file* f, sqlite3_int64* size) {
  return real(f)->pMethods->xFileSize(real(f), size);
}
int lock(sqlite3_file* f, int level) {
  return real(f)->pMethods->xLock(real(f), level);
}
int unlock(sqlite3_file* f, int level) {
  return real(f)->pMethods->xUnlock(real(f), level);
}
int check_reserved(sqlite3_file* f, int* out) {
  return real(f)->pMethods->xCheckReservedLock(real(f), out);
}
int control(sqlite3_file* f, int op, void* arg) {
  return real(f)->pMethods->xFileControl(real(f), op, arg);
}
int sector_size(sqlite3_file* f) {
  return real(f)->pMethods->xSectorSize(real(f));
}
int characteristics(sqlite3_file* f) {
  return real(f)->pMethods->xDeviceCharacteristics(real(f));
}
int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}
int shm_lock(sqlite3_file* f, int offset, int count, int flags) {
  return real(f)->pMethods->xShmLock(real(f), offset, count, flags);
}
void shm_barrier(sqlite3_file* f) {
  real(f)->pMethods->xShmBarrier(real(f));
}
int shm_unmap(sqlite3_file* f, int remove) {
  return real(f)->pMethods->xShmUnmap(real(f), remove);
}

const sqlite3_io_methods kMethods = {
    2,        close_file,  read_file,      write_file, truncate_file, sync_file,       file_size,
    lock,     unlock,      check_reserved, control,    sector_size,   characteristics, shm_map,
    shm_lock, shm_barrier, shm_unmap,      nullptr,    nullptr};

sqlite3_vfs* system_vfs = nullptr;
sqlite3_vfs failing_vfs;

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  File* opened = self(file);
  opened->real = reinterpret_cast<sqlite3_file*>(opened + 1);
  opened->is_log = (flags & SQLITE_OPEN_WAL) != 0;
  opened->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  const int code = system_vfs->xOpen(system_vfs, name, opened->real, flags, out_flags);
  opened->base.pMethods = opened->real->pMethods != nullptr ? &kMethods : nullptr;
  return code;
}

}  // namespace

FailingVfs::FailingVfs() {
  if (system_vfs == nullptr) system_vfs = sqlite3_vfs_find("unix");
  log_sync_fails = false;
  database_sync_fails = false;
  disk_is_full = false;
  log_sync_count = 0;
  failing_vfs = *system_vfs;
  failing_vfs.zName = "millrace-failing";
  failing_vfs.pNext = nullptr;
  failing_vfs.szOsFile = static_cast<int>(sizeof(File)) + system_vfs->szOsFile;
  failing_vfs.xOpen = open_file;
  sqlite3_vfs_register(&failing_vfs, 1);
}

FailingVfs::~FailingVfs() {
  sqlite3_vfs_unregister(&failing_vfs);
  sqlite3_vfs_register(system_vfs, 1);
}

void FailingVfs::fail_log_syncs(bool fail) {
  log_sync_fails = fail;
}
void FailingVfs::fail_database_syncs(bool fail) {
  database_sync_fails = fail;
}
void FailingVfs::fill_disk(bool full) {
  disk_is_full = full;
}
int FailingVfs::log_syncs() const {
  return log_sync_count.load();
}

}  // namespace millrace
