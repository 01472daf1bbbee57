// LocalFileReader: the bytes of a file that is being sent.

#ifndef WARMSTART_CLIENT_CPP_LOCAL_FILE_READER_H_
#define WARMSTART_CLIENT_CPP_LOCAL_FILE_READER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cpp/file_descriptor.h"
#include "client/cpp/file_set.h"

namespace warmstart::client {

// Not thread-safe.
class LocalFileReader {
 public:
  // Fails as the system says.
  static absl::StatusOr<LocalFileReader> Open(const LocalFile& file);

  // Fills `chunk` with what the file has from `offset` on, below `end`: as much
  // as is sent in one message. FAILED_PRECONDITION where the file has become
  // shorter than its size was.
  absl::Status ReadChunk(int64_t offset, int64_t end, std::string& chunk) const;

 private:
  LocalFileReader(const LocalFile& file, FileDescriptor fd)
      : file_(file), fd_(std::move(fd)) {}

  LocalFile file_;
  FileDescriptor fd_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_LOCAL_FILE_READER_H_
