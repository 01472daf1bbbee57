// What a backup asks of this machine's file system. Errors name the path and
// carry the code of the system's error.

#ifndef WARMSTART_CLIENT_CPP_BACKUP_LOCAL_FILES_H_
#define WARMSTART_CLIENT_CPP_BACKUP_LOCAL_FILES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cpp/backup/sha256.h"
#include "client/cpp/file_descriptor.h"

namespace warmstart::client {

// With its parents, all of them durable; OK when it is already there. `path`
// does not end with a slash.
absl::Status MakeFolder(const std::string& path);

// Makes the names in a folder durable.
absl::Status SyncFolder(const std::string& path);

// Names of what is in a folder, sorted. NOT_FOUND where it is not there.
absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path);

// NOT_FOUND where it is not there, or is no regular file.
absl::StatusOr<int64_t> FileSize(const std::string& path);

absl::Status RenameFile(const std::string& from, const std::string& to);

// OK when it is already gone.
absl::Status RemoveFile(const std::string& path);

// Hands the first `num_bytes` of a file to `sink`, piece by piece; all of them
// where it is negative. DATA_LOSS where it is shorter.
absl::Status ReadPieces(
    const std::string& path, int64_t num_bytes,
    absl::FunctionRef<absl::Status(absl::string_view)> sink);

absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

// A file that is written front to back, and knows the SHA-256 of all that it
// holds. What was appended stays, also where it was not finished: the file has
// its name from the start. Not thread-safe.
class GrowingFile {
 public:
  // Keeps the first `offset` bytes of what is there and drops the rest;
  // DATA_LOSS where there are fewer.
  static absl::StatusOr<GrowingFile> Open(const std::string& path,
                                          int64_t offset);

  int64_t size() const { return size_; }
  absl::Status Append(absl::string_view bytes);

  // Syncs the file and gives its SHA-256. Call once, last.
  absl::StatusOr<std::string> Finish();

 private:
  GrowingFile(std::string path, FileDescriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  FileDescriptor fd_;
  int64_t size_ = 0;
  int64_t written_back_ = 0;
  Sha256 sha256_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_LOCAL_FILES_H_
