#include "server/store/sqlite/sqlite_checkpointer.h"

#include <string>
#include <system_error>
#include <utility>

#include "server/base/status_macros.h"

namespace warmstart::store {

absl::StatusOr<std::unique_ptr<SqliteCheckpointer>> SqliteCheckpointer::Start(
    const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db, SqliteDb::Open(path));
  db->SetBusyTimeout(kWaitForReaders);
  std::unique_ptr<SqliteCheckpointer> checkpointer(
      new SqliteCheckpointer(std::move(db)));
  try {
    checkpointer->thread_ =
        std::thread(&SqliteCheckpointer::Run, checkpointer.get());
  } catch (const std::system_error&) {
    return absl::ResourceExhaustedError("there is no thread to be had");
  }
  return checkpointer;
}

SqliteCheckpointer::~SqliteCheckpointer() {
  {
    absl::MutexLock lock(&mutex_);
    is_ending_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void SqliteCheckpointer::OnCommit(int log_pages) {
  absl::MutexLock lock(&mutex_);
  if (log_pages < log_pages_) taken_pages_ = 0;  // it was begun anew
  log_pages_ = log_pages;
  if (log_pages < kTooLongPages) return;
  mutex_.Await(absl::Condition(this, &SqliteCheckpointer::IsIdle));
}

void SqliteCheckpointer::Run() {
  while (const int log_pages = WaitForWork()) {
    Copy(log_pages);
    absl::MutexLock lock(&mutex_);
    is_copying_ = false;
  }
}

// An error changes nothing: the log is as good as the database, and is copied
// when it has grown some more.
void SqliteCheckpointer::Copy(int log_pages) {
  // PASSIVE waits for nobody, and nobody for it.
  db_->Run("PRAGMA wal_checkpoint(PASSIVE)").IgnoreError();
  if (log_pages < kTooLongPages) return;
  // The commit that made it so long waits, and the others behind it.
  db_->Run("PRAGMA wal_checkpoint(RESTART)").IgnoreError();
}

int SqliteCheckpointer::WaitForWork() {
  absl::MutexLock lock(&mutex_,
                       absl::Condition(this, &SqliteCheckpointer::HasWork));
  if (is_ending_) return 0;
  is_copying_ = true;
  return taken_pages_ = log_pages_;
}

}  // namespace warmstart::store
