// A run of bytes in a local file, to be sent from where it lies.

#ifndef WARMSTART_CLIENT_CPP_FILE_RANGE_H_
#define WARMSTART_CLIENT_CPP_FILE_RANGE_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace warmstart::client {

struct FileRange {
  std::string path;
  int64_t offset = 0;  // bytes
  int64_t size = 0;
};

// Fills `buffer` with the next bytes of `range`, at most 1 MiB at a time, and
// calls `sink` each time, until all were there or `sink` returns false. Returns
// what the last `sink` did; true for an empty range.
//
//   FAILED_PRECONDITION  the file is shorter, or became so
//   others               as the system says
absl::StatusOr<bool> ReadRange(const FileRange& range, std::string& buffer,
                               absl::FunctionRef<bool()> sink);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_FILE_RANGE_H_
