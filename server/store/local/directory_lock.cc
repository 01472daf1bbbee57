#include "server/store/local/directory_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace warmstart::store {
namespace {

// Who has the lock, for the message; " (pid 123)" or "".
std::string Holder(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  if (size <= 0) return "";
  return absl::StrCat(
      " (pid ", absl::StripAsciiWhitespace(absl::string_view(text, size)), ")");
}

// For people and messages alone, so what goes wrong here does not matter.
void WritePid(int fd) {
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const ssize_t written =
      ::pwrite(fd, pid.data(), pid.size(), 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Acquire(
    const StorePaths& paths) {
  const std::string path = paths.Lock();
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open '", path, "'"));
  }
  // Owns `fd` from here on.
  std::unique_ptr<DirectoryLock> lock(new DirectoryLock(fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return absl::ErrnoToStatus(errno,
                                 absl::StrCat("cannot lock '", path, "'"));
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "the data directory '", paths.DataDir(),
        "' is in use by another process", Holder(fd),
        "; stop that one, or start this one with a directory of its own"));
  }
  WritePid(fd);
  return lock;
}

DirectoryLock::~DirectoryLock() { ::close(fd_); }

}  // namespace warmstart::store
