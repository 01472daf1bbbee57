// SqlitePool: connections for reading, which never wait for the writer: in WAL
// mode each sees the last commit, while the next one is being written.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_POOL_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_POOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// Thread-safe.
class SqlitePool {
 public:
  // Opens connections as they are needed, at most `max_connections`.
  SqlitePool(std::string path, int max_connections)
      : path_(std::move(path)), max_connections_(max_connections) {}

  // Lends a connection for as long as it lives; the pool outlives it.
  class Lease {
   public:
    Lease(SqlitePool& pool, std::unique_ptr<SqliteDb> db)
        : pool_(&pool), db_(std::move(db)) {}
    ~Lease() {
      if (db_ != nullptr) pool_->GiveBack(std::move(db_));
    }
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;

    SqliteDb& operator*() const { return *db_; }

   private:
    SqlitePool* pool_;
    std::unique_ptr<SqliteDb> db_;
  };

  // Waits while all connections are lent.
  absl::StatusOr<Lease> Acquire() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool CanLend() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !idle_.empty() || num_open_ < max_connections_;
  }
  void GiveBack(std::unique_ptr<SqliteDb> db) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string path_;
  const int max_connections_;
  absl::Mutex mutex_;
  // The one used last is lent first: its cache is warm.
  std::vector<std::unique_ptr<SqliteDb>> idle_ ABSL_GUARDED_BY(mutex_);
  int num_open_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_POOL_H_
