// FileSet: the files of one checkpoint, found from the paths that a user names.
//
//   model.pt                      that file
//   model.safetensors.index.json  it, and the shards that it names, from the
//                                 same folder and from nowhere else
//   a folder                      the one index in it with its shards, or else
//                                 the one checkpoint file in it
//
// Several paths make one set. The server gets each file by its last name alone,
// so no two of a set may share it.

#ifndef WARMSTART_CLIENT_CPP_FILE_SET_H_
#define WARMSTART_CLIENT_CPP_FILE_SET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace warmstart::client {

struct LocalFile {
  std::string name;  // as the server gets to know it
  std::string path;  // as it is opened here
  int64_t size = 0;  // in bytes

  friend bool operator==(const LocalFile&, const LocalFile&) = default;
};

// In bytes.
int64_t TotalSize(absl::Span<const LocalFile> files);

// The files of the set, an index before its shards.
//
//   INVALID_ARGUMENT    no path; not a regular file; an index that is no JSON
//   or
//                       names a file outside its folder; a folder that does not
//                       say which checkpoint is meant; two files of one name
//   NOT_FOUND           a path or a shard that is not there
//   PERMISSION_DENIED   one that may not be read
absl::StatusOr<std::vector<LocalFile>> ResolveFileSet(
    absl::Span<const std::string> paths);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_FILE_SET_H_
