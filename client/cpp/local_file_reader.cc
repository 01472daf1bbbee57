#include "client/cpp/local_file_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace warmstart::client {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;

}  // namespace

absl::StatusOr<LocalFileReader> LocalFileReader::Open(const LocalFile& file) {
  FileDescriptor fd(open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", file.path));
  }
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // only a hint
  return LocalFileReader(file, std::move(fd));
}

absl::Status LocalFileReader::ReadChunk(int64_t offset, int64_t end,
                                        std::string& chunk) const {
  chunk.resize(std::min(kChunkBytes, end - offset));
  size_t filled = 0;
  while (filled < chunk.size()) {
    const ssize_t count = pread(fd_.get(), chunk.data() + filled,
                                chunk.size() - filled, offset + filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return absl::ErrnoToStatus(errno,
                                 absl::StrCat("cannot read ", file_.path));
    }
    if (count == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(file_.path, " became shorter while it was read"));
    }
    filled += count;
  }
  return absl::OkStatus();
}

}  // namespace warmstart::client
