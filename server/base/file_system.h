// FileSystem: all that the store asks of a disk. A seam: tests replace it to
// fail, tear or stop at any step, and to drop what was not synced.

#ifndef WARMSTART_SERVER_BASE_FILE_SYSTEM_H_
#define WARMSTART_SERVER_BASE_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace warmstart {

// A file's bytes, mapped read-only and shared. They stay readable until the
// object is gone, even when the file was removed meanwhile. Thread-safe.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual absl::string_view bytes() const = 0;
};

// A file that is read by calls and not through a mapping, where a page that the
// disk cannot read would end the process. As far as nobody else uses them, the
// kernel's copies of its pages are dropped when it is opened and as it is read:
// it is the disk that is read, and memory is left to others. Not thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;

  virtual absl::StatusOr<int64_t> Size() = 0;
  // Fills `into` with the bytes from `offset` on, and returns how many there
  // were, fewer only at the end of the file. DATA_LOSS where the disk cannot
  // read them (EIO).
  virtual absl::StatusOr<size_t> Read(int64_t offset,
                                      absl::Span<char> into) = 0;
};

// A file that is being written. Not thread-safe.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes; what was not synced may be lost

  virtual absl::Status Append(absl::string_view data) = 0;
  // Makes the file `size` bytes long, with its disk space allocated (so that a
  // full disk is an error here, and not a SIGBUS later), and maps it for
  // writing. The span lives as long as this object. Call at most once, on an
  // empty file, and do not mix with Append.
  virtual absl::StatusOr<absl::Span<char>> MapForWriting(int64_t size) = 0;
  // Everything written, by Append or through the mapping, is on the disk when
  // this returns OK. After an error it must not be taken for written, even if
  // a later call succeeds.
  virtual absl::Status Sync() = 0;
};

// Paths are absolute or relative to the working directory. Errors name the path
// and carry the canonical code of the errno: NOT_FOUND, ALREADY_EXISTS,
// PERMISSION_DENIED, RESOURCE_EXHAUSTED (disk full, quota, file size limit),
// INTERNAL (EIO and others). Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Creates the file; ALREADY_EXISTS when it is there.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) = 0;
  // Opens a file to go on with it behind its first `size` bytes; what it has
  // beyond them is cut off. DATA_LOSS when it has fewer.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenToAppend(
      const std::string& path, int64_t size) = 0;
  virtual absl::StatusOr<std::shared_ptr<MappedFile>> Map(
      const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(
      const std::string& path) = 0;
  virtual absl::StatusOr<int64_t> Size(const std::string& path) = 0;
  // Replaces `to` where it exists.
  virtual absl::Status Rename(const std::string& from,
                              const std::string& to) = 0;
  // Gives the file a second name; ALREADY_EXISTS when `to` is there. Both must
  // be on one file system.
  virtual absl::Status Link(const std::string& from, const std::string& to) = 0;
  // OK when the file is already gone.
  virtual absl::Status Remove(const std::string& path) = 0;
  // Names of the entries, in no particular order, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& directory) = 0;
  // With its parents; OK when it is already there.
  virtual absl::Status CreateDirectory(const std::string& directory) = 0;
  // Makes renames and removals in `directory` durable.
  virtual absl::Status SyncDirectory(const std::string& directory) = 0;
};

// The operating system's; lives for the whole process.
FileSystem& PosixFileSystem();

}  // namespace warmstart

#endif  // WARMSTART_SERVER_BASE_FILE_SYSTEM_H_
