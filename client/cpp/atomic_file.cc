#include "client/cpp/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/request_id.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr mode_t kMode = 0666;  // less the user's umask

std::string FolderOf(const std::string& path) {
  const std::filesystem::path parent =
      std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// Where `path` leads to: itself, or what the symbolic link there points to.
absl::StatusOr<std::string> Destination(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return path;  // new: nothing to protect
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, S_ISDIR(info.st_mode) ? " is a folder; name a file in it"
                                    : " is not a regular file"));
  }
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

// Beside the destination, so that the rename stays within one file system.
std::string TemporaryPath(const std::string& path) {
  return absl::StrCat(path, ".", NewRequestId().substr(0, 8), ".part");
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& path) {
  CLIENT_ASSIGN_OR_RETURN(std::string destination, Destination(path));
  FileDescriptor unnamed(open(FolderOf(destination).c_str(),
                              O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode));
  if (unnamed.ok()) {
    return AtomicFile(std::move(destination), "", std::move(unnamed));
  }
  std::string temporary = TemporaryPath(destination);
  FileDescriptor named(
      open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode));
  if (!named.ok()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  }
  return AtomicFile(std::move(destination), std::move(temporary),
                    std::move(named));
}

AtomicFile::AtomicFile(std::string path, std::string temporary_path,
                       FileDescriptor fd)
    : path_(std::move(path)),
      temporary_path_(std::move(temporary_path)),
      fd_(std::move(fd)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_path_(std::exchange(other.temporary_path_, "")),
      fd_(std::move(other.fd_)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
}

absl::Status AtomicFile::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Failure("cannot write");
    }
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_.get()) != 0) return Failure("cannot write");
  if (temporary_path_.empty()) CLIENT_RETURN_IF_ERROR(NameUnnamed());
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    return Failure("cannot rename the download to");
  }
  temporary_path_.clear();
  const FileDescriptor folder(
      open(FolderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // EINVAL: a file system whose folders cannot be synced, nor need to be.
  if (!folder.ok() || (fsync(folder.get()) != 0 && errno != EINVAL)) {
    return Failure("cannot make durable");
  }
  return absl::OkStatus();
}

// linkat does not replace a file, hence a temporary name on the way.
absl::Status AtomicFile::NameUnnamed() {
  std::string temporary = TemporaryPath(path_);
  const std::string source = absl::StrCat("/proc/self/fd/", fd_.get());
  if (linkat(AT_FDCWD, source.c_str(), AT_FDCWD, temporary.c_str(),
             AT_SYMLINK_FOLLOW) != 0) {
    return Failure("cannot create");
  }
  temporary_path_ = std::move(temporary);
  return absl::OkStatus();
}

absl::Status AtomicFile::Failure(absl::string_view what) const {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path_));
}

}  // namespace warmstart::client
