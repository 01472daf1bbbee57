#include "client/cpp/backup/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/cpp/backup/local_files.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr absl::string_view kText =
    "This folder is a backup of a Warmstart server, made by\n"
    "`warmstart admin backup`. `warmstart admin restore` makes a data "
    "directory\n"
    "of it, and so does a copy of it. Start no server on the folder itself: "
    "it\n"
    "would be no backup any more. `sha256sum -c SHA256SUMS` checks it.\n";

absl::Status Failure(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// Of a file that is new, or that somebody was about to write and did not.
absl::Status WriteTextIfEmpty(int fd, const BackupPaths& paths) {
  struct stat info;
  if (fstat(fd, &info) != 0) return Failure("read", paths.Marker());
  if (info.st_size > 0) return absl::OkStatus();
  if (write(fd, kText.data(), kText.size()) < 0 || fsync(fd) != 0) {
    return Failure("write", paths.Marker());
  }
  return SyncFolder(paths.Dir());
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::ForWriting(const BackupPaths& paths) {
  CLIENT_ASSIGN_OR_RETURN(FolderLock lock,
                          Acquire(paths.Marker(), O_RDWR | O_CREAT, LOCK_EX));
  CLIENT_RETURN_IF_ERROR(WriteTextIfEmpty(lock.fd_.get(), paths));
  return lock;
}

absl::StatusOr<FolderLock> FolderLock::ForReading(const BackupPaths& paths) {
  return Acquire(paths.Marker(), O_RDONLY, LOCK_SH);
}

absl::StatusOr<FolderLock> FolderLock::AsServer(const BackupPaths& paths) {
  return Acquire(paths.ServerLock(), O_RDWR | O_CREAT, LOCK_EX);
}

absl::StatusOr<FolderLock> FolderLock::Acquire(const std::string& path,
                                               int open_flags, int operation) {
  FileDescriptor fd(open(path.c_str(), open_flags | O_CLOEXEC, 0666));
  if (!fd.ok()) return Failure("open", path);
  if (flock(fd.get(), operation | LOCK_NB) == 0) {
    return FolderLock(std::move(fd));
  }
  if (errno != EWOULDBLOCK) return Failure("lock", path);
  return absl::FailedPreconditionError(
      absl::StrCat(path,
                   " is locked: another backup, restore or server uses the "
                   "folder; wait for it, or name another one"));
}

}  // namespace warmstart::client
