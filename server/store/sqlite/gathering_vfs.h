// GatheringVfs: SQLite's way to the files, but for one thing: what a commit
// writes to the write-ahead log reaches the kernel in one piece, when it is
// synced. SQLite writes each page by itself, and the header before it too,
// which for a warm start are a hundred calls.

#ifndef WARMSTART_SERVER_STORE_SQLITE_GATHERING_VFS_H_
#define WARMSTART_SERVER_STORE_SQLITE_GATHERING_VFS_H_

#include <memory>

namespace warmstart::store {

// For one connection, with "synchronous = FULL": then other connections look
// into the log for what a commit wrote only after its sync. Opens files as the
// default VFS of when it was made. Outlives its connection.
class GatheringVfs {
 public:
  // What is longer is written in several pieces: SQLite's VFS for Unix writes
  // at most so much at a time, since it never has to write more than a page.
  static constexpr int kMaxGatheredBytes = (1 << 17) - 1;

  GatheringVfs();
  ~GatheringVfs();
  GatheringVfs(const GatheringVfs&) = delete;
  GatheringVfs& operator=(const GatheringVfs&) = delete;

  // What sqlite3_open_v2 knows it by.
  const char* name() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_GATHERING_VFS_H_
