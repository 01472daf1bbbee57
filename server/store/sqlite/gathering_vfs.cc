#include "server/store/sqlite/gathering_vfs.h"

#include <sqlite3.h>
#include <string.h>

#include <cstdint>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"

namespace warmstart::store {
namespace {

// A log that is open for a connection. SQLite gives the memory, in which the
// file of the VFS below follows.
class LogFile : public sqlite3_file {
 public:
  explicit LogFile(const sqlite3_io_methods* methods) : sqlite3_file{methods} {}
  ~LogFile() { delete[] gathered_; }

  sqlite3_file* file() { return reinterpret_cast<sqlite3_file*>(this + 1); }

  // What was gathered goes to the file. After an error it is gone: SQLite rolls
  // the transaction back whose pages these are.
  int Flush() {
    if (num_gathered_ == 0) return SQLITE_OK;
    const int num_bytes = num_gathered_;
    num_gathered_ = 0;
    return file()->pMethods->xWrite(file(), gathered_, num_bytes, offset_);
  }

  int Write(const void* data, int num_bytes, int64_t offset) {
    if (!Continues(num_bytes, offset)) {
      if (const int code = Flush(); code != SQLITE_OK) return code;
      offset_ = offset;
    }
    if (num_bytes > kCapacity || !HasMemory()) {
      return file()->pMethods->xWrite(file(), data, num_bytes, offset);
    }
    memcpy(gathered_ + num_gathered_, data, num_bytes);
    num_gathered_ += num_bytes;
    return SQLITE_OK;
  }

 private:
  static constexpr int kCapacity = GatheringVfs::kMaxGatheredBytes;

  bool Continues(int num_bytes, int64_t offset) const {
    return num_gathered_ > 0 && offset == offset_ + num_gathered_ &&
           num_bytes <= kCapacity - num_gathered_;
  }

  // Taken at the first write: most logs are only read. No exception may pass
  // through SQLite.
  bool HasMemory() {
    if (gathered_ == nullptr) gathered_ = new (std::nothrow) char[kCapacity];
    return gathered_ != nullptr;
  }

  char* gathered_ = nullptr;
  int num_gathered_ = 0;
  int64_t offset_ = 0;  // of what was gathered
};

LogFile& LogOf(sqlite3_file* file) { return *static_cast<LogFile*>(file); }

// Calls `method` of the file below once that has what was gathered.
template <auto method, typename... Args>
int FlushAndCall(sqlite3_file* file, Args... args) {
  LogFile& log = LogOf(file);
  if (const int code = log.Flush(); code != SQLITE_OK) return code;
  return (log.file()->pMethods->*method)(log.file(), args...);
}

// Calls `method` of the file below.
template <auto method, typename... Args>
int Call(sqlite3_file* file, Args... args) {
  LogFile& log = LogOf(file);
  return (log.file()->pMethods->*method)(log.file(), args...);
}

int Close(sqlite3_file* file) {
  const int code = FlushAndCall<&sqlite3_io_methods::xClose>(file);
  LogOf(file).~LogFile();
  return code;
}

using Methods = sqlite3_io_methods;
constexpr Methods kLogMethods = {
    .iVersion = 1,  // later ones have what only databases need
    .xClose = Close,
    .xRead = FlushAndCall<&Methods::xRead, void*, int, sqlite3_int64>,
    .xWrite =
        [](sqlite3_file* file, const void* data, int num_bytes,
           sqlite3_int64 offset) {
          return LogOf(file).Write(data, num_bytes, offset);
        },
    .xTruncate = FlushAndCall<&Methods::xTruncate, sqlite3_int64>,
    .xSync = FlushAndCall<&Methods::xSync, int>,
    .xFileSize = FlushAndCall<&Methods::xFileSize, sqlite3_int64*>,
    .xLock = Call<&Methods::xLock, int>,
    .xUnlock = Call<&Methods::xUnlock, int>,
    .xCheckReservedLock = Call<&Methods::xCheckReservedLock, int*>,
    .xFileControl = FlushAndCall<&Methods::xFileControl, int, void*>,
    .xSectorSize = Call<&Methods::xSectorSize>,
    .xDeviceCharacteristics = Call<&Methods::xDeviceCharacteristics>,
};

}  // namespace

// A copy of the VFS below, so that it does all but the opening itself.
class GatheringVfs::Impl : public sqlite3_vfs {
 public:
  Impl() : Impl(sqlite3_vfs_find(nullptr)) {}
  ~Impl() { sqlite3_vfs_unregister(this); }

 private:
  explicit Impl(sqlite3_vfs* below)
      : sqlite3_vfs(*below),
        below_(below),
        name_(absl::StrCat("warmstart-", absl::Hex(this))) {
    zName = name_.c_str();
    szOsFile += static_cast<int>(sizeof(LogFile));
    xOpen = [](sqlite3_vfs* self, const char* path, sqlite3_file* file,
               int flags, int* out_flags) {
      return Open(static_cast<Impl*>(self)->below_, path, file, flags,
                  out_flags);
    };
    sqlite3_vfs_register(this, /*makeDflt=*/0);
  }

  static int Open(sqlite3_vfs* below, const char* path, sqlite3_file* file,
                  int flags, int* out_flags) {
    if ((flags & SQLITE_OPEN_WAL) == 0) {
      return below->xOpen(below, path, file, flags, out_flags);
    }
    auto* const log = new (file) LogFile(nullptr);  // null: not to be closed
    const int code = below->xOpen(below, path, log->file(), flags, out_flags);
    if (code == SQLITE_OK) log->pMethods = &kLogMethods;
    return code;
  }

  sqlite3_vfs* const below_;
  const std::string name_;
};

GatheringVfs::GatheringVfs() : impl_(std::make_unique<Impl>()) {}
GatheringVfs::~GatheringVfs() = default;

const char* GatheringVfs::name() const { return impl_->zName; }

}  // namespace warmstart::store
