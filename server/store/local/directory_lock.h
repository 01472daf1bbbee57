// DirectoryLock: one process at a time has a data directory open.

#ifndef WARMSTART_SERVER_STORE_LOCAL_DIRECTORY_LOCK_H_
#define WARMSTART_SERVER_STORE_LOCAL_DIRECTORY_LOCK_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/store/local/paths.h"

namespace warmstart::store {

// The lock is held while the object lives. The kernel drops it with the
// process, however that ends, so a file that is left over locks nobody out.
class DirectoryLock {
 public:
  // FAILED_PRECONDITION, naming the folder and the holder, when it is taken.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Acquire(
      const StorePaths& paths);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_LOCAL_DIRECTORY_LOCK_H_
