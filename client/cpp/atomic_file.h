// AtomicFile: a file that appears under its name when it is complete, or not at
// all.
//
//   ASSIGN(file, AtomicFile::Create("model.pt"));
//   file->Append(bytes); ...
//   file->Commit();   // fsync, rename, fsync of the folder
//
// What was under the name before stays until Commit. A file that is not
// committed leaves nothing behind; where the file system has unnamed files
// (O_TMPFILE), not even when the process is killed. Not thread-safe.

#ifndef WARMSTART_CLIENT_CPP_ATOMIC_FILE_H_
#define WARMSTART_CLIENT_CPP_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cpp/file_descriptor.h"

namespace warmstart::client {

class AtomicFile {
 public:
  // Begins a file in `path`'s folder. A symbolic link is followed, so that it
  // goes on pointing to the file.
  //
  //   INVALID_ARGUMENT  `path` exists and is not a regular file: a folder, a
  //                     device or a pipe is not to be replaced
  //   NOT_FOUND         its folder is not there
  //   others            as the system says
  static absl::StatusOr<AtomicFile> Create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  absl::Status Append(absl::string_view bytes);

  // Gives the file its name. Call once, last.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary_path, FileDescriptor fd);

  absl::Status NameUnnamed();
  absl::Status Failure(absl::string_view what) const;

  std::string path_;
  std::string temporary_path_;  // empty while the file has no name
  FileDescriptor fd_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_ATOMIC_FILE_H_
