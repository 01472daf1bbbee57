#ifndef WARMSTART_CLIENT_CPP_BACKUP_FOLDER_LOCK_H_
#define WARMSTART_CLIENT_CPP_BACKUP_FOLDER_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "client/cpp/backup/backup_paths.h"
#include "client/cpp/file_descriptor.h"

namespace warmstart::client {

// Keeps others off a folder while it lives. The kernel drops the lock with the
// process, however that ends. FAILED_PRECONDITION where others use the folder.
class FolderLock {
 public:
  // Of a backup, for somebody who writes to it. Makes the file BACKUP where it
  // is missing.
  static absl::StatusOr<FolderLock> ForWriting(const BackupPaths& paths);
  // Of a backup, for one of several who read it; also from a medium that is
  // read-only. NOT_FOUND where there is no BACKUP.
  static absl::StatusOr<FolderLock> ForReading(const BackupPaths& paths);
  // Of a data directory, as a server takes it: none starts there meanwhile.
  static absl::StatusOr<FolderLock> AsServer(const BackupPaths& paths);

 private:
  explicit FolderLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  static absl::StatusOr<FolderLock> Acquire(const std::string& path,
                                            int open_flags, int operation);

  FileDescriptor fd_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_FOLDER_LOCK_H_
