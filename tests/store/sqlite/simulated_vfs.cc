#include "tests/store/sqlite/simulated_vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmstart::store {
namespace {

class OpenFile;

// What the connections to one database share: its locks and the memory of its
// write-ahead log's index. It goes with the last connection, as with the last
// process.
class Shared {
 public:
  // As sqlite3_io_methods::xLock: SHARED, RESERVED or EXCLUSIVE.
  int Lock(const OpenFile* file, int level) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    int& held = levels_[file];
    for (const auto& [other, theirs] : levels_) {
      if (other == file) continue;
      const bool conflicts =
          level == SQLITE_LOCK_SHARED     ? theirs >= SQLITE_LOCK_PENDING
          : level == SQLITE_LOCK_RESERVED ? theirs >= SQLITE_LOCK_RESERVED
                                          : theirs >= SQLITE_LOCK_SHARED;
      if (conflicts) return SQLITE_BUSY;
    }
    held = std::max(held, level);
    return SQLITE_OK;
  }

  void Unlock(const OpenFile* file, int level) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (level == SQLITE_LOCK_NONE) {
      levels_.erase(file);
    } else {
      levels_[file] = level;
    }
  }

  bool IsReserved() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    for (const auto& [file, level] : levels_) {
      if (level >= SQLITE_LOCK_RESERVED) return true;
    }
    return false;
  }

  void* Region(size_t index, size_t size, bool extend)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (index >= regions_.size() && !extend) return nullptr;
    while (index >= regions_.size()) {
      regions_.push_back(std::make_unique<char[]>(size));
    }
    return regions_[index].get();
  }

  // As sqlite3_io_methods::xShmLock.
  int LockSlots(const OpenFile* file, int first, int count, int flags)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const bool is_exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (int slot = first; slot < first + count; ++slot) {
      if ((flags & SQLITE_SHM_UNLOCK) != 0) break;
      for (const auto& [other, theirs] : slots_[slot]) {
        const bool conflicts = is_exclusive || theirs;
        if (other != file && conflicts) return SQLITE_BUSY;
      }
    }
    for (int slot = first; slot < first + count; ++slot) {
      if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        slots_[slot].erase(file);
      } else {
        slots_[slot][file] = is_exclusive;
      }
    }
    return SQLITE_OK;
  }

  // Everything that was written to the regions before is seen after.
  void Barrier() ABSL_LOCKS_EXCLUDED(mutex_) { absl::MutexLock lock(&mutex_); }

 private:
  absl::Mutex mutex_;
  std::map<const OpenFile*, int> levels_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<char[]>> regions_ ABSL_GUARDED_BY(mutex_);
  // By slot, who has locked it, and whether exclusively.
  std::array<std::map<const OpenFile*, bool>, SQLITE_SHM_NLOCK> slots_
      ABSL_GUARDED_BY(mutex_);
};

int SqliteCode(int error, int otherwise) {
  if (error == 0) return SQLITE_OK;
  errno = error;  // as a system call would
  // As SQLite's own: no space is FULL for a write, and a sync's failure is a
  // sync's failure whatever the reason.
  if (error == ENOSPC && otherwise == SQLITE_IOERR_WRITE) return SQLITE_FULL;
  return otherwise;
}

std::string ParentOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

class OpenFile {
 public:
  OpenFile(testing::SimulatedDisk& disk, std::string path,
           std::shared_ptr<testing::SimulatedDisk::Inode> inode,
           std::shared_ptr<Shared> shared, bool syncs_name)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        shared_(std::move(shared)),
        syncs_name_(syncs_name) {}
  ~OpenFile() { shared_->Unlock(this, SQLITE_LOCK_NONE); }

  Shared& shared() { return *shared_; }

  int Read(void* into, int size, int64_t offset) {
    const absl::Span<char> span(static_cast<char*>(into),
                                static_cast<size_t>(size));
    size_t num_read = 0;
    const int error = disk_.Read(*inode_, offset, span, num_read);
    if (error != 0) return SqliteCode(error, SQLITE_IOERR_READ);
    if (num_read == span.size()) return SQLITE_OK;
    memset(span.data() + num_read, 0, span.size() - num_read);
    return SQLITE_IOERR_SHORT_READ;
  }

  int Write(const void* data, int size, int64_t offset) {
    const absl::string_view bytes(static_cast<const char*>(data),
                                  static_cast<size_t>(size));
    return SqliteCode(disk_.Write(*inode_, offset, bytes), SQLITE_IOERR_WRITE);
  }

  int Truncate(int64_t size) {
    return SqliteCode(disk_.Resize(*inode_, size), SQLITE_IOERR_TRUNCATE);
  }

  int Sync() {
    if (const int error = disk_.Sync(*inode_); error != 0) {
      return SqliteCode(error, SQLITE_IOERR_FSYNC);
    }
    if (!syncs_name_) return SQLITE_OK;
    const int error = disk_.SyncNames(ParentOf(path_));
    if (error == 0) syncs_name_ = false;
    return SqliteCode(error, SQLITE_IOERR_DIR_FSYNC);
  }

  int Size(sqlite3_int64* size) {
    int64_t num_bytes = 0;
    const int error = disk_.SizeOf(*inode_, num_bytes);
    *size = num_bytes;
    return SqliteCode(error, SQLITE_IOERR_FSTAT);
  }

 private:
  testing::SimulatedDisk& disk_;
  const std::string path_;
  const std::shared_ptr<testing::SimulatedDisk::Inode> inode_;
  const std::shared_ptr<Shared> shared_;
  bool syncs_name_;  // at the next sync
};

// What SQLite sees of an OpenFile.
struct Handle {
  sqlite3_file base;
  OpenFile* file;
};

OpenFile& FileOf(sqlite3_file* base) {
  return *reinterpret_cast<Handle*>(base)->file;
}

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose =
        [](sqlite3_file* base) {
          delete &FileOf(base);
          return SQLITE_OK;
        },
    .xRead =
        [](sqlite3_file* base, void* into, int size, sqlite3_int64 offset) {
          return FileOf(base).Read(into, size, offset);
        },
    .xWrite =
        [](sqlite3_file* base, const void* data, int size,
           sqlite3_int64 offset) {
          return FileOf(base).Write(data, size, offset);
        },
    .xTruncate = [](sqlite3_file* base,
                    sqlite3_int64 size) { return FileOf(base).Truncate(size); },
    .xSync = [](sqlite3_file* base, int) { return FileOf(base).Sync(); },
    .xFileSize = [](sqlite3_file* base,
                    sqlite3_int64* size) { return FileOf(base).Size(size); },
    .xLock =
        [](sqlite3_file* base, int level) {
          return FileOf(base).shared().Lock(&FileOf(base), level);
        },
    .xUnlock =
        [](sqlite3_file* base, int level) {
          FileOf(base).shared().Unlock(&FileOf(base), level);
          return SQLITE_OK;
        },
    .xCheckReservedLock =
        [](sqlite3_file* base, int* is_reserved) {
          *is_reserved = FileOf(base).shared().IsReserved() ? 1 : 0;
          return SQLITE_OK;
        },
    .xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
    .xSectorSize = [](sqlite3_file*) { return 4096; },
    .xDeviceCharacteristics =
        [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; },
    .xShmMap =
        [](sqlite3_file* base, int region, int size, int extend,
           void volatile** memory) {
          *memory = FileOf(base).shared().Region(static_cast<size_t>(region),
                                                 static_cast<size_t>(size),
                                                 extend != 0);
          return SQLITE_OK;
        },
    .xShmLock =
        [](sqlite3_file* base, int first, int count, int flags) {
          return FileOf(base).shared().LockSlots(&FileOf(base), first, count,
                                                 flags);
        },
    .xShmBarrier = [](sqlite3_file* base) { FileOf(base).shared().Barrier(); },
    .xShmUnmap =
        [](sqlite3_file* base, int) {
          return FileOf(base).shared().LockSlots(
              &FileOf(base), 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
        },
};

}  // namespace

class SimulatedVfs::Impl {
 public:
  explicit Impl(testing::SimulatedDisk& disk)
      : disk_(disk), system_(*sqlite3_vfs_find("unix")), vfs_(system_) {
    vfs_.szOsFile = sizeof(Handle);
    vfs_.zName = "simulated-disk";
    vfs_.pAppData = this;
    vfs_.xOpen = [](sqlite3_vfs* vfs, const char* name, sqlite3_file* base,
                    int flags, int* out_flags) {
      if (out_flags != nullptr) *out_flags = flags;
      return Self(vfs).Open(name, base, flags);
    };
    vfs_.xDelete = [](sqlite3_vfs* vfs, const char* name, int sync) {
      return Self(vfs).Delete(name, sync != 0);
    };
    vfs_.xAccess = [](sqlite3_vfs* vfs, const char* name, int, int* exists) {
      *exists = Self(vfs).disk_.Exists(name) ? 1 : 0;
      return SQLITE_OK;
    };
    vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int size,
                            char* full) {
      sqlite3_snprintf(size, full, "%s", name);
      return SQLITE_OK;
    };
    vfs_.xGetLastError = [](sqlite3_vfs*, int, char*) { return errno; };
    sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
  }
  ~Impl() { sqlite3_vfs_unregister(&vfs_); }

 private:
  static Impl& Self(sqlite3_vfs* vfs) {
    return *static_cast<Impl*>(vfs->pAppData);
  }

  int Open(const char* name, sqlite3_file* base, int flags) {
    base->pMethods = nullptr;
    const bool existed = disk_.Exists(name);
    const bool create = (flags & SQLITE_OPEN_CREATE) != 0;
    std::shared_ptr<testing::SimulatedDisk::Inode> inode;
    if (const int error = disk_.Open(name, create, inode); error != 0) {
      return SqliteCode(error, SQLITE_CANTOPEN);
    }
    // As SQLite's own: with a new log or journal, its name is synced.
    const bool is_log = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL |
                                  SQLITE_OPEN_SUPER_JOURNAL)) != 0;
    reinterpret_cast<Handle*>(base)->file = new OpenFile(
        disk_, name, std::move(inode), SharedOf(name), is_log && !existed);
    base->pMethods = &kMethods;
    return SQLITE_OK;
  }

  int Delete(const char* name, bool sync) {
    int error = disk_.Unlink(name);
    if (error == ENOENT) return SQLITE_IOERR_DELETE_NOENT;
    if (error != 0) return SqliteCode(error, SQLITE_IOERR_DELETE);
    if (sync) error = disk_.SyncNames(ParentOf(name));
    return SqliteCode(error, SQLITE_IOERR_DIR_FSYNC);
  }

  std::shared_ptr<Shared> SharedOf(const std::string& name)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<Shared> shared = shared_[name].lock();
    if (shared == nullptr) shared = std::make_shared<Shared>();
    shared_[name] = shared;
    return shared;
  }

  testing::SimulatedDisk& disk_;
  const sqlite3_vfs system_;
  sqlite3_vfs vfs_;
  absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<Shared>> shared_ ABSL_GUARDED_BY(mutex_);
};

SimulatedVfs::SimulatedVfs(testing::SimulatedDisk& disk)
    : impl_(std::make_unique<Impl>(disk)) {}
SimulatedVfs::~SimulatedVfs() = default;

}  // namespace warmstart::store
