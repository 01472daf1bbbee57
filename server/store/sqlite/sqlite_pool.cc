#include "server/store/sqlite/sqlite_pool.h"

#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

absl::StatusOr<std::unique_ptr<SqliteDb>> OpenForReading(
    const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db, SqliteDb::Open(path));
  RETURN_IF_ERROR(db->RunScript("PRAGMA query_only = ON"));
  return db;
}

}  // namespace

absl::StatusOr<SqlitePool::Lease> SqlitePool::Acquire() {
  {
    absl::MutexLock lock(&mutex_, absl::Condition(this, &SqlitePool::CanLend));
    if (!idle_.empty()) {
      Lease lease(*this, std::move(idle_.back()));
      idle_.pop_back();
      return lease;
    }
    ++num_open_;
  }
  absl::StatusOr<std::unique_ptr<SqliteDb>> db = OpenForReading(path_);
  if (!db.ok()) {
    absl::MutexLock lock(&mutex_);
    --num_open_;
    return db.status();
  }
  return Lease(*this, *std::move(db));
}

void SqlitePool::GiveBack(std::unique_ptr<SqliteDb> db) {
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(db));
}

}  // namespace warmstart::store
