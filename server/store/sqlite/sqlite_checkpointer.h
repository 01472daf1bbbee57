// SqliteCheckpointer: copies the write-ahead log into the database, on a thread
// of its own. SQLite would do it inside of the commit that makes the log too
// long, and that request would wait for two syncs and all those pages.
//
// "Checkpoint" is SQLite's own word for it here, and no model's.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTER_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// Thread-safe.
class SqliteCheckpointer {
 public:
  // As many pages are copied at a time, as by SQLite itself; not fewer, since
  // copies and commits share the disk.
  static constexpr int kLongPages = 1000;
  // A log that has all been copied is begun anew by the next commit, unless
  // that began before. Where commits come so fast that none does, or faster
  // than they are copied, they wait from here on (16 MiB) until the log is
  // begun anew: a sync of a log that is written over is shorter than of one
  // that grows.
  static constexpr int kTooLongPages = 4096;
  // Nobody waits longer than that for those who read the log. While they do, it
  // grows, and is tried again after kLongPages.
  static constexpr absl::Duration kWaitForReaders = absl::Milliseconds(100);

  // Copies the log of the database at `path`.
  static absl::StatusOr<std::unique_ptr<SqliteCheckpointer>> Start(
      const std::string& path);
  // Waits for the copy that is under way, if any.
  ~SqliteCheckpointer();

  // Says that the log has so many pages now. To be called from the writing
  // connection's commit hook, before anybody may write again: where the log is
  // too long, this returns when it was copied and can be begun anew, or when
  // readers did not let it in time.
  void OnCommit(int log_pages) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  explicit SqliteCheckpointer(std::unique_ptr<SqliteDb> db)
      : db_(std::move(db)) {}

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  void Copy(int log_pages) ABSL_LOCKS_EXCLUDED(mutex_);
  // How long the log is that is to be copied; 0 where the thread is to end.
  int WaitForWork() ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return log_pages_ - taken_pages_ >= kLongPages;
  }
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_ending_ || IsDue();
  }
  bool IsIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !is_copying_ && !IsDue();
  }

  const std::unique_ptr<SqliteDb> db_;  // of the thread alone
  absl::Mutex mutex_;
  int log_pages_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the log's begin: copied, or about to be.
  int taken_pages_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_copying_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTER_H_
