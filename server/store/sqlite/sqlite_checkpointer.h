// SqliteCheckpointer: copies the write-ahead log into the database, on a thread
// of its own. SQLite would do it inside of the commit that makes the log too
// long, and that request would wait for two syncs and all those pages.
//
// "Checkpoint" is SQLite's own word for it here, and no model's.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTER_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTER_H_

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// Thread-safe.
class SqliteCheckpointer {
 public:
  // As many pages are copied at a time, as by SQLite itself; not fewer, since
  // copies and commits share the disk.
  static constexpr int kLongPages = 1000;
  // A log that has all been copied is begun anew by the next commit, unless
  // that began before. Where commits come so fast that none does, the log is
  // begun anew from here on (16 MiB) with the commits waiting: a sync of a log
  // that is written over is shorter than of one that grows.
  static constexpr int kTooLongPages = 4096;

  // Copies the log of the database at `path`.
  static absl::StatusOr<std::unique_ptr<SqliteCheckpointer>> Start(
      const std::string& path);
  // Waits for the copy that is under way, if any.
  ~SqliteCheckpointer();

  // Says that the log has so many pages now. Never waits for a copy.
  void OnCommit(int log_pages) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  explicit SqliteCheckpointer(std::unique_ptr<SqliteDb> db)
      : db_(std::move(db)) {}

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // How long the log is that is to be copied; 0 where the thread is to end.
  int WaitForWork() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_ending_ || log_pages_ - taken_pages_ >= kLongPages;
  }

  const std::unique_ptr<SqliteDb> db_;  // of the thread alone
  absl::Mutex mutex_;
  int log_pages_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the log's begin: copied, or about to be.
  int taken_pages_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTER_H_
