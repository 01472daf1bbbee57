#include "client/cpp/backup/local_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
// How much is written before the kernel is told to start writing back, so that
// the sync finds little left to do.
constexpr int64_t kWritebackBytes = int64_t{8} << 20;

absl::Status Failure(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

std::string ParentOf(const std::string& path) {
  const std::filesystem::path parent =
      std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

absl::Status TooShort(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, " is shorter than it was"));
}

}  // namespace

absl::Status MakeFolder(const std::string& path) {
  const std::string parent = ParentOf(path);
  if (mkdir(path.c_str(), 0777) == 0) return SyncFolder(parent);
  if (errno == ENOENT && parent != path) {
    CLIENT_RETURN_IF_ERROR(MakeFolder(parent));
    if (mkdir(path.c_str(), 0777) == 0) return SyncFolder(parent);
  }
  const absl::Status failure = Failure("make the folder", path);
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ? absl::OkStatus()
                                                      : failure;
}

absl::Status SyncFolder(const std::string& path) {
  const FileDescriptor folder(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // EINVAL: a file system whose folders cannot be synced, nor need to be.
  if (!folder.ok() || (fsync(folder.get()) != 0 && errno != EINVAL)) {
    return Failure("make durable", path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(path, error);
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    errno = error.value();
    return Failure("list", path);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<int64_t> FileSize(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return Failure("find", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::NotFoundError(absl::StrCat(path, " is no regular file"));
  }
  return info.st_size;
}

absl::Status RenameFile(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return Failure(absl::StrCat("rename ", from, " to"), to);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return Failure("remove", path);
}

absl::Status ReadPieces(
    const std::string& path, int64_t num_bytes,
    absl::FunctionRef<absl::Status(absl::string_view)> sink) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return Failure("read", path);
  const bool all = num_bytes < 0;
  int64_t left = all ? std::numeric_limits<int64_t>::max() : num_bytes;
  std::string piece(kPieceBytes, '\0');
  while (left > 0) {
    const ssize_t count =
        read(fd.get(), piece.data(), std::min(left, kPieceBytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failure("read", path);
    if (count == 0) return all ? absl::OkStatus() : TooShort(path);
    CLIENT_RETURN_IF_ERROR(sink(absl::string_view(piece.data(), count)));
    left -= count;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  Sha256 sha256;
  CLIENT_RETURN_IF_ERROR(
      ReadPieces(path, /*num_bytes=*/-1, [&](absl::string_view piece) {
        sha256.Update(piece);
        return absl::OkStatus();
      }));
  return sha256.FinishHex();
}

absl::StatusOr<GrowingFile> GrowingFile::Open(const std::string& path,
                                              int64_t offset) {
  FileDescriptor fd(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
  if (!fd.ok()) return Failure("create", path);
  GrowingFile file(path, std::move(fd));
  CLIENT_RETURN_IF_ERROR(ReadPieces(path, offset, [&](absl::string_view piece) {
    file.sha256_.Update(piece);
    return absl::OkStatus();
  }));
  if (ftruncate(file.fd_.get(), offset) != 0 ||
      lseek(file.fd_.get(), offset, SEEK_SET) < 0) {
    return Failure("write", path);
  }
  file.size_ = offset;
  file.written_back_ = offset;
  return file;
}

absl::Status GrowingFile::Append(absl::string_view bytes) {
  sha256_.Update(bytes);
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failure("write", path_);
    bytes.remove_prefix(written);
    size_ += written;
  }
  if (size_ - written_back_ >= kWritebackBytes) {
    sync_file_range(fd_.get(), written_back_, size_ - written_back_,
                    SYNC_FILE_RANGE_WRITE);  // only a hint
    written_back_ = size_;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> GrowingFile::Finish() {
  if (fsync(fd_.get()) != 0) return Failure("write", path_);
  return sha256_.FinishHex();
}

}  // namespace warmstart::client
