#include "client/cpp/file_range.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "client/cpp/file_descriptor.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;

absl::StatusOr<FileDescriptor> OpenForReading(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // only a hint
  return fd;
}

// Fills `buffer`, which has the size wanted, from `offset` of the file.
absl::Status ReadExactly(const std::string& path, int fd, int64_t offset,
                         std::string& buffer) {
  size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t count = pread(fd, buffer.data() + filled,
                                buffer.size() - filled, offset + filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    }
    if (count == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " became shorter while it was read"));
    }
    filled += count;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> ReadRange(const FileRange& range, std::string& buffer,
                               absl::FunctionRef<bool()> sink) {
  CLIENT_ASSIGN_OR_RETURN(const FileDescriptor fd, OpenForReading(range.path));
  for (int64_t done = 0; done < range.size; done += kChunkBytes) {
    buffer.resize(std::min(kChunkBytes, range.size - done));
    CLIENT_RETURN_IF_ERROR(
        ReadExactly(range.path, fd.get(), range.offset + done, buffer));
    if (!sink()) return false;
  }
  return true;
}

}  // namespace warmstart::client
